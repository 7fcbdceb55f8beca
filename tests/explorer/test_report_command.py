"""``proxysr report``, on runs as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from proxysr.__main__ import main
from proxysr.run import RunDir
from proxysr.running import train_run
from tests.explorer.test_report import payload_of


def test_a_run_becomes_a_page(
    hostile_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    words = ["report", str(hostile_dir), str(file), "--max-sessions", "30", "--json"]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    tree = payload_of(file.read_text(encoding="utf-8"))
    assert (answer["file"], answer["bytes"]) == (str(file), file.stat().st_size)
    assert len(tree["sessions"]["id"]) == 30
    assert answer["n_sessions"] == sum(proxy["n"] for proxy in tree["proxies"]) == 40
    assert tree["sessions"]["half_xy"] is not None
    meta = tree["meta"]
    command = f"proxysr report '{hostile_dir}' {file} --max-sessions 30"
    assert {"name": "Command", "pairs": [["made by", command]]} in meta["origin"]
    told = {meta["finding"], *meta["notes"]}
    assert [note for note in answer["notes"] if note not in told] == []
    assert any("Procrustes disparity" in said for said in meta["quality"])
    assert main([*words[:-1], "--split", "valid"]) == 0  # an earlier report is replaced
    assert capsys.readouterr().out.startswith(f"{file}: ")
    assert payload_of(file.read_text(encoding="utf-8"))["meta"]["part"] == "valid"


def test_a_run_without_a_snapshot_half_way_is_shown_without(
    hostile_dir: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(hostile_dir, copy)
    run = RunDir(copy)
    (copy / f"checkpoints/epoch-{run.half_epoch:04d}.safetensors").unlink()
    assert main(["report", str(copy), str(tmp_path / "page.html")]) == 0
    tree = payload_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert tree["sessions"]["half_xy"] is None
    assert "There is no half-way snapshot to compare with." in tree["meta"]["quality"]


def test_five_sessions_are_enough_for_a_page(hostile_dir: Path, tmp_path: Path) -> None:
    assert (
        main(["report", str(hostile_dir), str(tmp_path / "page.html"), "--max-sessions", "5"]) == 0
    )
    sessions = payload_of((tmp_path / "page.html").read_text(encoding="utf-8"))["sessions"]
    assert len(sessions["id"]) == 5


def test_what_cannot_be_reported_is_one_line(
    hostile_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    counting, folder = tmp_path / "counting", tmp_path / "folder.html"
    folder.mkdir()
    train_run(hostile_dir.parent / "data", counting, model="popularity", progress=False)
    page = str(tmp_path / "page.html")
    capsys.readouterr()
    for words, message in (
        ([str(tmp_path), page], "is not a proxysr run: it has no config.json"),
        (
            [str(hostile_dir), str(mine)],
            "exists and is not a proxysr report; nothing was overwritten",
        ),
        (
            [str(hostile_dir), str(tmp_path / "page")],
            "A report is an HTML file, such as report.html",
        ),
        ([str(hostile_dir), str(folder)], "is a folder; nothing was written. Name a file."),
        ([str(counting), page], "chooses no proxies"),
        (
            [str(hostile_dir), page, "--max-sessions", "4"],
            "--max-sessions is at least 5, for a map; received 4.",
        ),
        (
            [str(hostile_dir), page, "--compare", str(counting)],
            "has no ranks for test, task 'unseen'",
        ),
    ):
        assert main(["report", *words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        last = captured.err.strip().splitlines()[-1]
        assert last.startswith("proxysr report: error: ")
        assert message in last
    assert mine.read_text() == "mine"
    assert not Path(page).exists()


@pytest.mark.parametrize("words", [["evaluate"], ["explore"], ["report"]])
def test_data_that_have_moved_are_named_with_an_option(
    hostile_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(hostile_dir, copy)
    about = json.loads((copy / "data.json").read_text())
    (copy / "data.json").write_text(json.dumps(about | {"data_dir": str(tmp_path / "gone")}))
    words = [*words, str(copy), *([str(tmp_path / "page.html")] if words == ["report"] else [])]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'gone'}, the data that {copy} was trained on, is not there. If" in said
    assert "name its folder with --data" in said
    if words[0] == "evaluate":
        assert main([*words, "--data", str(hostile_dir.parent / "data")]) == 0
