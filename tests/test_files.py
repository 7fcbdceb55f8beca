"""Files are whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxysr.disk import WriteError
from proxysr.files import check_own, check_writable, read_json, read_yaml, replacing, write_json


def test_a_file_is_replaced_only_on_success(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "note.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["note.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("old", "new"):
        with replacing(folder) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
        assert [file.name for file in folder.iterdir()] == [name]

    def fail() -> None:
        with replacing(folder) as temporary:
            temporary.mkdir()
            (temporary / "half").touch()
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert [file.name for file in folder.iterdir()] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["data"]


def test_a_file_takes_no_folder_s_place_nor_a_folder_a_file_s(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    with pytest.raises(WriteError, match="/folder is a folder; nothing was written. Name a file"):
        write_json(folder, {})
    with pytest.raises(WriteError, match="/folder is a folder; nothing was written. Name a file"):
        check_writable(folder, "file")
    with pytest.raises(WriteError, match="/file is a file; nothing was written. Name a folder"):
        check_writable(file, "folder")
    for path in (folder, file, tmp_path / "new"):
        check_writable(path)
    check_writable(folder, "folder")
    check_writable(file, "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_only_files_of_one_s_own_are_replaced(tmp_path: Path) -> None:
    for name, text in (("own", "Title\nMade by us\n"), ("empty", ""), ("other", "Title\n")):
        (tmp_path / name).write_text(text)
    for name in ("own", "empty", "absent"):
        check_own(tmp_path / name, "Made by us", "a page")
    message = "/other exists and is not a page; nothing was overwritten. Name another folder."
    with pytest.raises(ValueError, match=message):
        check_own(tmp_path / "other", "Made by us", "a page", "folder")
    with pytest.raises(WriteError, match="is a folder; nothing was written. Name a file"):
        check_own(tmp_path, "Made by us", "a page")


def test_links_in_a_circle_and_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (loop, loop / "new"):
        with pytest.raises(WriteError, match="loop.* cannot be written: .*levels of symbolic link"):
            check_writable(path)
    (tmp_path / "link").symlink_to(tmp_path / "new")
    check_writable(tmp_path / "link")
    with pytest.raises(WriteError, match="cannot be written: its name is not UTF-8 text"):
        check_writable(tmp_path / os.fsdecode(b"o\xff"))


def test_json_round_trip_keeps_letters_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"title": "Rhône", "n": [1, 2.5, None]})
    assert "Rhône" in path.read_text(encoding="utf-8")
    assert read_json(path) == {"title": "Rhône", "n": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("name", "text", "twice"),
    [
        ("a.yaml", "models: a\nseeds: [0]\nmodels: b\n", "models"),
        ("a.yaml", "models: [{model: a, settings: {k: 1, k: 2}}]", "k"),
        ("a.yaml", '{"a": [[{"b": 1, "b": 2}]], "a": 3}', "a, b"),
        ("a.json", '{"a": [[{"b": 1, "b": 2}]], "a": 3}', "a, b"),
    ],
)
def test_a_name_that_is_there_twice_is_told(
    tmp_path: Path, name: str, text: str, twice: str
) -> None:
    (tmp_path / name).write_text(text)
    read = read_json if name.endswith("json") else read_yaml
    with pytest.raises(ValueError, match=f"/{name} names {twice} twice in one place; one would be"):
        read(tmp_path / name)
    (tmp_path / name).write_text('{"a": {"b": 1}, "b": {"a": 1}}')
    assert read(tmp_path / name) == {"a": {"b": 1}, "b": {"a": 1}}


def test_nan_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b'{"a": 1', b"", b"\xff\xfe"])
def test_damaged_json_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is damaged: it is not valid JSON"):
        read_json(path)
