"""``proxysr demo``: what it finds, and that it overwrites nothing."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from proxysr import files, running
from proxysr.__main__ import main
from proxysr.analysis.agreement import planted_found
from proxysr.checkpoints import write_checkpoint
from proxysr.cli import demo
from proxysr.run import RunDir
from proxysr.training import TrainState


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Files below a folder, with when they were written and what is in them."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has run, as a person runs it."""
    folder = tmp_path_factory.mktemp("somewhere") / "demo"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "proxysr", "demo", str(folder), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["folder"] == str(folder), "the answer is all of stdout"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds <= 120, "of the processor; about 40 where nothing else runs"
    return folder


def test_planted_interests_are_found_and_counting_is_beaten(made: Path) -> None:
    said = json.loads((made / "demo.json").read_text())
    assert said["ami"] >= 0.8
    own, other = (said["metrics"][name]["unseen"]["R@20"] for name in ("shop", "counting"))
    assert own > other + 0.05


def test_it_says_what_it_found_and_what_to_open(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", str(made)]) == 0
    finding, to_open = capsys.readouterr().out.splitlines()
    ranks = {
        name: RunDir(made / name).ranks("test", "unseen")["rank"] for name in ("shop", "counting")
    }
    own, other = (100 * float((rank <= 20).mean()) for rank in ranks.values())
    assert finding.startswith(
        f"latent_proxy has {own:.1f} % of the next new items among its first 20, counting what is "
        f"clicked together {other:.1f} %; its "
    )
    assert re.search(r" the 10 planted interests by an AMI of -?\d\.\d\d \(1: ", finding)
    assert to_open == f"Open {made / 'report.html'} in a browser."
    page = (made / "report.html").read_text()
    assert re.search(r"10 interests were planted in these sessions, .* an AMI of", page)
    assert {entry["task"] for entry in RunDir(made / "shop").metrics().values()} == {*demo.TASKS}


def test_its_log_looks_like_one_of_a_shop(made: Path) -> None:
    log = pd.read_csv(made / "clicks.csv")
    assert [*log] == ["visit", "customer", "sku", "when", "name"]
    assert pd.to_datetime(log["when"]).is_monotonic_increasing
    assert log["name"].nunique() == log["sku"].nunique() > 50
    again = ["prepare", str(made / "clicks.csv"), str(made.parent / "data")]
    columns = "--session visit --user customer --item sku --time when --title name"
    assert main([*again, *columns.split()]) == 0
    both = [
        json.loads((folder / "split.json").read_text())
        for folder in (made / "data", made.parent / "data")
    ]
    assert both[0]["provenance"]["steps"] == both[1]["provenance"]["steps"]


def test_run_twice_nothing_is_written(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(made)
    assert main(["demo", str(made), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert everything(made) == before
    assert said["report"] == str(made / "report.html")
    assert said["metrics"]["shop"]["unseen"]["R@20"] > 0
    assert f"AMI of {said['ami']:.2f}" in said["finding"]


def test_interrupted_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "SHOP", demo.SHOP | {"n_sessions": 300, "n_items": 100})
    monkeypatch.setattr(demo, "TRAIN", demo.TRAIN | {"epochs": 3})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["demo", str(whole)]) == 0
    finding = capsys.readouterr().out.splitlines()[0]

    def after_two_epochs(file: Path, state: TrainState, run: str) -> None:
        if len(state.history.rows) > 2:
            raise KeyboardInterrupt
        write_checkpoint(file, state, run)

    with monkeypatch.context() as patch:
        patch.setattr(running, "write_checkpoint", after_two_epochs)
        assert main(["demo", str(broken)]) == 130
    assert f"in {broken}; the same command continues from there." in capsys.readouterr().err
    kept = {name: time for name, (time, _) in everything(broken).items() if "data/" in name}
    assert kept
    assert main(["demo", str(broken)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == finding
    after = everything(broken)
    assert {name: after[name][0] for name in kept} == kept


def test_a_folder_with_other_files_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.tex").write_text("do not lose me")
    before = everything(tmp_path)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "proxysr demo: error: demo holds other files; nothing was written. Name a new folder, such "
        "as proxysr demo demo/demo\n"
    )
    (tmp_path / "notes.txt").write_text("")
    assert main(["demo", "notes.txt"]) == 2
    assert "notes.txt is a file; nothing was overwritten. Name a new" in capsys.readouterr().err
    assert everything(tmp_path) == before | {"notes.txt": everything(tmp_path)["notes.txt"]}


def test_without_the_right_to_write_it_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryDirectory", refused)  # root may write anywhere
    assert main(["demo", str(tmp_path / "demo")]) == 2
    assert (
        f"demo.json cannot be written: {tmp_path} takes no new folder (Permission denied). "
        "Name another place."
    ) in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_demo_that_lost_its_page_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo.json").write_text('{"format": "proxysr demo", "finding": "all is well"}')
    assert main(["demo", str(tmp_path)]) == 2
    assert "has a demo without its report.html. Name a new" in capsys.readouterr().err


def test_agreement_with_planted_interests() -> None:
    table = pd.DataFrame({"proxy": [1, 1, 2, 2, 3], "planted_interest": ["a", "a", "b", "b", None]})
    found = planted_found(table)
    assert found is not None
    assert (found.ami, found.n_planted, found.n_proxies, found.n_sessions) == (1.0, 2, 2, 4)
    crossed = planted_found(table.assign(proxy=[1, 2, 1, 2, 3]))
    assert crossed is not None
    assert crossed.ami < 0.1
    assert planted_found(table.drop(columns="planted_interest")) is None
    assert planted_found(table.tail(1)) is None
