"""A disk that fills, or closes, at any moment: one readable error, and nothing is lost."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxysr.__main__ import main
from proxysr.disk import WriteError, no_room
from proxysr.files import exchanged, replacing
from proxysr.run import RunDir
from tests.hostile import shop
from tests.hostile.disk import Faults, faulty, filled, small_disk

FULL = r"cannot be written: the disk is full \(.* of it were written, .* are free in .*\)"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop.split().save(tmp_path_factory.mktemp("data") / "split")


@pytest.fixture(scope="module")
def run_dir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    shop.train(data, path)
    shop.evaluated(path)
    return path


def left_in(folder: Path) -> list[str]:
    """Temporary files."""
    return [path.name for path in folder.rglob("*") if path.suffix in (".tmp", ".old")]


def counted(work: Callable[[], Any]) -> Faults:
    with faulty() as faults:
        work()
    assert faults.n > 3, "the layer sees nothing"
    return faults


def failed(work: Callable[[], Any], at: int, number: int = errno.ENOSPC) -> str:
    """What is said when the disk fails from a moment on."""
    with faulty(at, number), pytest.raises(WriteError, match="cannot be written") as caught:
        work()
    return str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_split_is_the_old_or_the_new_at_any_moment(tmp_path: Path, number: int) -> None:
    folder = shop.split(seed=1).save(tmp_path / "data")
    old, other = shop.files_in(folder), shop.split(seed=5, n=20)
    n = counted(lambda: other.save(tmp_path / "counted")).n
    moments = range(1, n) if number == errno.ENOSPC else range(1, n, 9)
    renamed = 0
    for at in moments:
        said = failed(lambda: other.save(folder), at, number)
        assert str(folder) in said
        if number == errno.ENOSPC:
            assert re.search(FULL, said) or "takes no new folder (No space left" in said, said
        assert not left_in(tmp_path)
        state = shop.files_in(folder)
        if state != old:  # all was written, and only the flush of the names failed
            assert state == shop.files_in(tmp_path / "counted")
            renamed += 1
            old = state
    assert renamed <= 1
    other.save(folder)
    assert shop.files_in(folder) == shop.files_in(tmp_path / "counted")


def test_training_goes_on_once_there_is_space(data: Path, run_dir: Path, tmp_path: Path) -> None:
    n = counted(lambda: shop.train(data, tmp_path / "counted")).n
    whole = shop.outcome(tmp_path / "counted")
    for at in sorted({2, n // 4, n // 2, 2 * n // 3, n - 2}):
        path = tmp_path / f"at-{at}"
        said = failed(lambda path=path: shop.train(data, path), at)
        assert str(path) in said
        assert not left_in(tmp_path)
        shop.train(data, path, resume=(path / "config.json").is_file())
        assert shop.outcome(path) == whole


def test_an_evaluation_is_the_old_or_the_new(run_dir: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(run_dir, tmp_path / "run"))
    before, old = RunDir(path).evaluation(), shop.files_in(path)
    n = counted(lambda: shop.evaluated(path, ks=(5,))).n
    shop.evaluated(path)
    for at in range(1, n - 1):
        said = failed(lambda: shop.evaluated(path, ks=(5,)), at)
        assert str(path) in said
        if shop.files_in(path) == old:
            assert RunDir(path).evaluation() == before
        RunDir(path).ranks()  # ranks are those that the metrics are of
        assert not left_in(path)


def test_a_page_is_the_old_or_the_new(tmp_path: Path) -> None:
    """As a report, a notebook's page and a picture are written."""
    path = tmp_path / "page.html"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")

    for at in range(1, counted(write).n):
        path.write_text("old")
        assert re.search(FULL, failed(write, at))
        assert path.read_text() in ("old", "new")
        assert not left_in(tmp_path)


def test_a_real_disk_that_is_full(data: Path, tmp_path: Path, run_dir: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        folder = shop.split().save(disk / "data")
        old = shop.files_in(folder)
        for left in (0, 9_000, 30_000):
            with filled(disk, left), pytest.raises(OSError, match="cannot be written"):
                shop.split(seed=4).save(folder)
            assert shop.files_in(folder) == old
        for left in (20_000, 40_000):  # what fills it is written by libraries
            with filled(disk, left), pytest.raises(WriteError, match=FULL):
                shop.train(folder, disk / "run")
            path = disk / "run"
            shop.train(folder, path, resume=(path / "config.json").is_file())
            with filled(disk, 0), pytest.raises(OSError, match="cannot be written"):
                shop.evaluated(path)
            assert not left_in(disk)
            assert shop.outcome(path) == shop.outcome(run_dir)
            shutil.rmtree(path)


def test_the_command_says_it_in_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(data), str(tmp_path / "run"), "--epochs", "1"]
    with faulty(12):
        assert main([*words, "--set", "embedding_dim=4", "n_proxies=3"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("proxysr train: error: ")
    assert re.search(FULL, last)
    assert last.endswith("then run the same command again.")


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_files_get_the_umask_of_their_user(data: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = shop.train(data, tmp_path / "run", epochs=1).path
        shop.evaluated(path)
        shop.split().save(tmp_path / "data")
    finally:
        os.umask(before)
    for made in (path, tmp_path / "data"):
        for file in [made, *made.rglob("*")]:
            wanted = 0o750 if file.is_dir() else 0o640
            assert file.stat().st_mode & 0o777 == wanted, file


def test_a_run_behind_a_link(data: Path, run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    shop.train(data, link, epochs=1)
    shop.train(data, link, resume=True)
    shop.evaluated(link)
    assert link.is_symlink()
    assert shop.outcome(link) == shop.outcome(run_dir)
    data_link = tmp_path / "data"
    data_link.symlink_to(shutil.copytree(data, tmp_path / "split"))
    shop.split(seed=9).save(data_link)
    assert data_link.is_symlink()


def test_folders_change_names_in_one_step(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).touch()
    if not exchanged(one, other):
        pytest.skip("this disk cannot")
    assert [path.name for path in one.iterdir()] == ["other"]
    assert [path.name for path in other.iterdir()] == ["one"]
    assert not exchanged(one, tmp_path / "missing")


def test_a_database_without_room_is_told() -> None:
    for said in (
        "IO Error: Could not write file: No space left on device",
        "failed to offload data block of size 256",
    ):
        told = no_room(RuntimeError(said))
        assert told is not None
        assert re.search(r"the folder for temporary files, has no room for this log", str(told))
        assert "name another place with TMPDIR" in str(told)
    assert no_room(RuntimeError("Conversion Error")) is None
