"""``proxysr notebooks``: what it hands on, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli import Said, refused
from tests.test_cli import ask as ask  # a fixture

Ask = Callable[..., Said]


def test_parameters_of_notebooks_are_handed_on(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def recorded(names: list[str], **options: Any) -> list[Path]:
        calls.append((names, options))
        return [tmp_path / "01_train.html", tmp_path / "index.html"]

    monkeypatch.setattr("proxysr.notebooks.running.run_notebooks", recorded)
    (tmp_path / "shop.yaml").write_text("data_dir: data/shop\nepochs: 3\n")
    words = ["--params", tmp_path / "shop.yaml", "--set", "epochs=5", "--out", tmp_path]
    said = ask("notebooks", "01_train", *words, "--json")
    assert said.json["index"] == str(tmp_path / "index.html")
    params = {"data_dir": "data/shop", "epochs": "5"}
    rest = {"out": str(tmp_path), "jobs": 1, "resume": False}
    assert calls == [(["01_train"], {"params": params} | rest)]
    assert "1 notebook(s) executed. Open" in ask("notebooks", "--out", tmp_path).out
    section = "01_train:\n  epochs: 3\n  seed: 1\n"
    (tmp_path / "one.yaml").write_text(section)
    (tmp_path / "all.yaml").write_text(section + "epochs: 4\n")
    for file, names in (("one.yaml", ["01_train"]), ("all.yaml", [])):
        ask("notebooks", "--params", tmp_path / file, "--set", "epochs=5", "--resume")
        assert calls[-1][0] == names, "those that have a section, if all parameters are in sections"
        assert calls[-1][1]["params"] == {"01_train": {"seed": 1}, "epochs": "5"}
        assert calls[-1][1]["resume"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- epochs", "has no parameters: write NAME: VALUE, one a line"),
        ("1: epochs", "has no parameters"),
        ("{epochs: 3", "shop.yaml is neither YAML nor JSON"),
        ("01_train:\n  1: epochs", "has no parameters"),
        ("epochs: 3\nseed: 1\nepochs: 4", "shop.yaml names epochs twice in one place"),
        ("a:\n  k: 1\n  k: 2", "shop.yaml names k twice"),
        ("01_trian:\n  epochs: 3", "'01_trian' is not a known notebook. Did you mean '01_train'"),
    ],
)
def test_parameters_that_are_none(ask: Ask, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "shop.yaml").write_text(content)
    assert message in refused(ask("notebooks", "--params", tmp_path / "shop.yaml"))


def test_interrupted_notebooks_say_how_to_go_on(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("proxysr.notebooks.running.run_notebooks", interrupted)
    said = ask("notebooks", "--out", "kept")
    assert said.code == 130
    assert "Finished notebooks are in kept; the same command with --resume runs" in said.err


def test_parameters_by_an_unknown_name(ask: Ask) -> None:
    said = refused(ask("notebooks", "--params", "full-diginetika"))
    assert "full-diginetika is no file, and no parameters of that name come with proxysr." in said
    assert "Did you mean 'full-diginetica'? Known: full-diginetica, " in said


def test_a_notebook_that_does_not_exist(ask: Ask, tmp_path: Path) -> None:
    said = ask("notebooks", "01_trian", "--out", tmp_path / "pages")
    assert "'01_trian' is not a known notebook. Did you mean '01_train'?" in refused(said)
    file = tmp_path / "pages"
    file.touch()
    said = ask("notebooks", "01_train", "--out", file)
    assert f"{file} is a file; nothing was written. Name a folder." in refused(said)
