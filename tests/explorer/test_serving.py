"""The page's one cell shows the explorer or says why not; the server starts only on a free port."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from proxysr.__main__ import main
from proxysr.config import ConfigError
from proxysr.explorer import ProxyExplorer
from proxysr.explorer.serving import HOST, NOTEBOOK, VARIABLE, page, serve
from proxysr.runs import RunDir


def test_the_page_shows_the_run_that_is_named(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"run": str(run.path), "part": "train"}))
    shown = page()
    assert isinstance(shown, ProxyExplorer)
    assert shown.scene.view.part == "train"


def test_problems_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert "Start this page with `proxysr explore RUN_DIR`." in page().value
    monkeypatch.setenv(VARIABLE, json.dumps({"run": str(tmp_path / "<b>")}))
    assert "&lt;b&gt; is not a proxysr run" in page().value


def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} cannot be used .* Name another"):
            serve({}, port=port)


def test_the_notebook_of_the_page_is_one_cell_that_asks_for_it() -> None:
    (cell,) = json.loads(NOTEBOOK.read_text())["cells"]
    assert "".join(cell["source"]) == "from proxysr.explorer.serving import page\n\npage()"


def test_the_command_refuses_what_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", str(tmp_path)]) == 2
    assert "is not a proxysr run" in capsys.readouterr().err


@pytest.mark.parametrize("port", [-1, 0, 65_536, 99_999])
def test_there_is_no_such_port(port: int) -> None:
    with pytest.raises(ConfigError, match=f"Ports are 1 to 65535; received {port}"):
        serve({}, port=port)


def test_a_selection_that_does_not_fit_is_refused_before_a_page_is_served(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explore", str(run.path), "--port", "18990", "--split", "train", "--selection"]
    assert main([*words, str(tmp_path / "none.csv")]) == 2
    assert "There is no selection at" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_text("session_id\nzzz\n")
    assert main([*words, str(other)]) == 2
    assert "None of the 1 sessions of the selection is in part 'train'" in capsys.readouterr().err
