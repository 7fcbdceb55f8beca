"""What killed processes leave is removed by the next; locks tell who holds them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from proxysr.data.sessions import SessionSplit
from proxysr.files import replacing
from proxysr.processes import (
    DAY,
    Holder,
    host,
    is_alive,
    locked,
    scratch_folder,
    sweep,
    sweep_folder,
    temporary_name,
)


@pytest.fixture(scope="module")
def dead() -> int:
    """Number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_the_dead_left_is_removed_and_no_more(tmp_path: Path, dead: int) -> None:
    path = tmp_path / "page.html"
    own = temporary_name(path, "tmp")
    other_host = f".page.html.{'0' * 8}-{dead}-{'a' * 8}.tmp"
    kept = [own.name, other_host, f".other.html.{host()}-{dead}-{'a' * 8}.tmp", ".page.html.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / f".page.html.{host()}-{dead}-{'b' * 8}.tmp").touch()
    folder = tmp_path / f".page.html.{host()}-{dead}-{'c' * 8}.tmp"
    folder.mkdir()
    (folder / "file").touch()
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == sorted([*kept, "page.html"])
    before = os.stat(tmp_path).st_mtime - 2 * DAY
    os.utime(tmp_path / other_host, (before, before))
    sweep(path)
    assert other_host not in names(tmp_path)


def test_names_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".html")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_whole_folder_is_swept(tmp_path: Path, dead: int) -> None:
    (tmp_path / "deep").mkdir()
    left = tmp_path / "deep" / f".last.safetensors.{host()}-{dead}-{'b' * 8}.tmp"
    left.touch()
    own = temporary_name(tmp_path / "deep" / "last.safetensors", "tmp")
    own.touch()
    sweep_folder(tmp_path)
    assert names(tmp_path / "deep") == [own.name]


def test_a_split_that_was_being_replaced_is_put_back(
    tiny_split: SessionSplit, tmp_path: Path, dead: int
) -> None:
    """Where folders cannot change names in one step, there is a moment between two."""
    folder = tiny_split.save(tmp_path / "data")
    fingerprint = tiny_split.fingerprint()
    folder.rename(tmp_path / f".data.{host()}-{dead}-{'b' * 8}.old")
    assert SessionSplit.load(folder).fingerprint() == fingerprint
    assert names(tmp_path) == ["data"]


def test_folders_are_replaced_where_names_cannot_be_exchanged(
    tiny_split: SessionSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.files.exchanged", lambda *_: False)
    for _ in range(2):
        folder = tiny_split.save(tmp_path / "data")
    assert names(tmp_path) == ["data"]
    original = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="the disk is full"):
        tiny_split.save(folder)
    assert SessionSplit.load(folder).fingerprint() == tiny_split.fingerprint()
    assert names(tmp_path) == ["data"]


def test_scratch_folders_of_the_dead_are_removed(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"proxysr-{host()}-{dead}-abcdefgh").mkdir()
    (tmp_path / "proxysr-mine").mkdir()
    made = scratch_folder()
    assert names(tmp_path) == sorted([made.name, "proxysr-mine"])
    assert is_alive(os.getpid())
    assert not is_alive(dead)


def test_a_lock_tells_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / ".training.lock"
    with locked(path, "It is busy.") as before:
        assert before is None
        told = rf"It is busy\. It is held by process {os.getpid()} on \S+, since 20\d\d-"
        with pytest.raises(ValueError, match=told), locked(path, "It is busy."):
            pass
        assert json.loads(path.read_text())[0] == os.getpid(), "who lost changed nothing"
    assert path.read_text() == ""


def test_a_stale_lock_is_noticed_and_taken(tmp_path: Path, dead: int) -> None:
    path = tmp_path / ".training.lock"
    path.write_text(json.dumps(Holder(dead, "shop", "2026-01-01 10:00:00")))
    with locked(path, "busy") as before:
        assert str(before) == f"process {dead} on shop, since 2026-01-01 10:00:00"
    for odd in ("{", "[1]", "\x00", '["x", 1, 2]'):
        path.write_text(odd)
        with locked(path, "busy") as before:
            assert before is None


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / ".lock"
    with pytest.raises(OSError, match=re.escape(str(path))), locked(path, "busy"):
        pass
