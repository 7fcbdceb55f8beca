"""Sessions and splits: what counts as a target, and files that are refused when damaged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions, SessionSplit, Task

CLICKS = st.lists(st.lists(st.integers(1, 5), max_size=9), max_size=8)
TASKS: st.SearchStrategy[Task] = st.sampled_from(["unseen", "repeat"])


def literal_prefixes(
    clicks: list[list[int]], task: Task, min_prefix: int
) -> list[tuple[int, int, int]]:
    """(session, length, target) by the words of the paper's section 4.2, one prefix at a time."""
    rows = []
    for row, session in enumerate(clicks):
        for position, item in enumerate(session):
            prefix = session[:position]
            if len(prefix) < min_prefix:
                continue
            if task == "unseen" and item in prefix:
                continue
            rows.append((row, position, item))
    return rows


@given(clicks=CLICKS, task=TASKS, min_prefix=st.integers(1, 4))
def test_prefixes_equal_the_literal_rule(
    clicks: list[list[int]], task: Task, min_prefix: int
) -> None:
    got = Sessions.from_lists(clicks).prefixes(task, min_prefix)
    rows = list(zip(*(column.tolist() for column in got), strict=True))
    assert rows == literal_prefixes(clicks, task, min_prefix)


@pytest.mark.parametrize("together", [1, 3, 7, 100])
@pytest.mark.parametrize("min_prefix", [1, 2])
def test_targets_do_not_depend_on_how_many_clicks_are_looked_at_together(
    together: int, min_prefix: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = [[3, 1, 3, 2], [], [2, 1], [5], [], [4, 4, 4, 4, 1, 4, 2, 1], [7, 2, 7], []]
    expected = [
        position >= min_prefix and item not in clicks[:position]
        for clicks in lists
        for position, item in enumerate(clicks)
    ]
    monkeypatch.setattr("proxysr.data.sessions.CLICKS_TOGETHER", together)
    is_target = Sessions.from_lists(lists).is_target("unseen", min_prefix)
    assert is_target.tolist() == expected


def test_targets_worked_by_hand() -> None:
    sessions = Sessions.from_lists([[7, 7, 8], [9], [8, 7, 8, 9]])
    assert np.flatnonzero(sessions.is_target("unseen")).tolist() == [2, 5, 7]
    assert np.flatnonzero(sessions.is_target("repeat")).tolist() == [1, 2, 5, 6, 7]
    assert np.flatnonzero(sessions.is_target("repeat", 3)).tolist() == [7]


@given(
    clicks=CLICKS.filter(len),
    data=st.data(),
)
def test_select_equals_picking_lists(clicks: list[list[int]], data: st.DataObject) -> None:
    sessions = Sessions.from_lists(clicks, started_at=list(range(len(clicks))))
    rows = data.draw(st.lists(st.integers(0, len(clicks) - 1)))
    picked = sessions.select(np.array(rows, dtype=np.int64))
    assert [picked[i].tolist() for i in range(len(picked))] == [clicks[row] for row in rows]
    assert picked.session_ids.tolist() == picked.started_at.tolist() == rows
    mask = np.array([len(session) > 2 for session in clicks])
    longer = sessions.select(mask)
    assert longer.lengths.tolist() == [len(session) for session in clicks if len(session) > 2]
    assert longer.n_clicks == sum(longer.lengths)


def good() -> dict[str, object]:
    return {
        "items": np.array([1, 2, 3], np.int32),
        "offsets": np.array([0, 1, 3]),
        "session_ids": np.array(["a", "b"]),
        "user_index": np.array([-1, 0], np.int32),
        "started_at": np.array([0.0, 1.0]),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": np.array([], np.int64)}, r"Sessions\.offsets needs at least one entry"),
        ({"offsets": np.array([0, 1, 2])}, "must run from 0 to the 3 items; received 0 to 2"),
        ({"offsets": np.array([1, 1, 3])}, "must run from 0 to the 3 items; received 1 to 3"),
        (
            {
                "offsets": np.array([0, 4, 3, 3]),
                "session_ids": np.arange(3),
                "user_index": np.zeros(3, np.int32),
                "started_at": np.zeros(3),
            },
            r"Sessions\.offsets must not decrease",
        ),
        ({"session_ids": np.array(["a"])}, r"session_ids needs 2 entries, one a session; rec"),
        ({"user_index": np.zeros(3, np.int32)}, "user_index needs 2 entries.*received 3"),
        ({"started_at": np.zeros(0)}, "started_at needs 2 entries.*received 0"),
        ({"items": np.array([1, 0, 3], np.int32)}, "Item indices start at 1; 0 is the padding"),
        ({"items": np.array([1.0, 2.0, 3.0])}, r"items holds whole numbers; received float64"),
        ({"offsets": np.array([0.0, 1.0, 3.0])}, r"offsets holds whole numbers; received float"),
        ({"user_index": np.array([-7, 0])}, "user_index is -1 or a row of the users; received -7"),
    ],
)
def test_sessions_that_make_no_sense(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sessions(**(good() | change))  # type: ignore[arg-type]


def test_lists_are_not_cut_to_whole_numbers() -> None:
    with pytest.raises(ConfigError, match="items holds whole numbers; received float64"):
        Sessions.from_lists([[1.7, 2]])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="user_index holds whole numbers; received float64"):
        Sessions.from_lists([[1, 2]], user_index=[0.9])  # type: ignore[list-item]
    assert Sessions.from_lists([[2**40]]).items.tolist() == [2**40]
    assert Sessions.from_lists([[], [1]]).items.dtype == np.int32


def test_sessions_are_a_sequence() -> None:
    sessions = Sessions.from_lists([[1, 2], [3, 3, 4]])
    assert sessions[-1].tolist() == [3, 3, 4]
    assert [clicks.tolist() for clicks in sessions] == [[1, 2], [3, 3, 4]]
    for row in (2, -3):
        with pytest.raises(IndexError, match=f"There is no session {row}; there are 2 of them"):
            sessions[row]


def test_sessions_are_shown_in_a_line(tiny_split: SessionSplit) -> None:
    sessions = Sessions.from_lists([[1, 2], [3, 3, 4]])
    assert repr(sessions) == "Sessions(2 sessions, 5 clicks, 4 items)"
    assert repr(Sessions.from_lists([])) == "Sessions(0 sessions, 0 clicks, 0 items)"
    shown = repr(tiny_split)
    assert shown.startswith(f"SessionSplit({tiny_split.n_items} items, ")
    assert f"train={tiny_split.train!r}, valid=" in shown
    assert "\n" not in shown


def test_columns_of_several_types_are_named(tiny_split: SessionSplit, tmp_path: Path) -> None:
    mixed = [1, *["a"] * (tiny_split.n_items - 1)]
    split = dataclasses.replace(tiny_split, items=tiny_split.items.assign(price=mixed))
    with pytest.raises(ValueError, match=r"items cannot be written\..* column price .*of one type"):
        split.save(tmp_path / "data")
    assert not list(tmp_path.iterdir())


def test_task_and_min_prefix_are_checked() -> None:
    sessions = Sessions.from_lists([[1, 2]])
    with pytest.raises(ConfigError, match=r"'unsen' is not a known task\. Did you mean 'unseen'"):
        sessions.prefixes("unsen")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="min_prefix is not negative; received -1"):
        sessions.prefixes("repeat", -1)


def test_an_item_outside_the_table_is_refused(tiny_split: SessionSplit) -> None:
    foreign = Sessions.from_lists([[1, 7]])
    with pytest.raises(ConfigError, match="test holds item index 7, but the items table has only"):
        SessionSplit(
            tiny_split.train, tiny_split.valid, foreign, tiny_split.items, tiny_split.users
        )


def test_a_user_outside_the_table_is_refused(tiny_split: SessionSplit) -> None:
    foreign = Sessions.from_lists([[1, 2]], user_index=[2])
    with pytest.raises(ConfigError, match="valid holds user index 2, but the users table has only"):
        SessionSplit(tiny_split.train, foreign, tiny_split.test, tiny_split.items, tiny_split.users)


def test_items_need_an_id(tiny_split: SessionSplit) -> None:
    nameless = tiny_split.items.drop(columns="item_id")
    with pytest.raises(ConfigError, match="items table has no column item_id; it has count, title"):
        SessionSplit(
            tiny_split.train, tiny_split.valid, tiny_split.test, nameless, tiny_split.users
        )


def same(left: Sessions, right: Sessions) -> None:
    for name in Sessions.__dataclass_fields__:
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_a_split_comes_back_as_it_was_saved(tiny_split: SessionSplit, tmp_path: Path) -> None:
    assert tiny_split.save(tmp_path / "data") == tmp_path / "data"
    back = SessionSplit.load(tmp_path / "data")
    for part in ("train", "valid", "test"):
        same(back.part(part), tiny_split.part(part))
    for table in ("items", "users", "session_info"):
        pd.testing.assert_frame_equal(
            getattr(back, table), getattr(tiny_split, table), check_dtype=False
        )
    assert back.provenance == tiny_split.provenance
    assert back.fingerprint() == tiny_split.fingerprint()
    assert isinstance(back.train.items, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@settings(max_examples=20)
@given(clicks=CLICKS)
def test_any_sessions_come_back(
    clicks: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sessions = Sessions.from_lists(clicks)
    folder = tmp_path_factory.mktemp("sessions") / "part"
    sessions.save(folder)
    same(Sessions.load(folder), sessions)


def test_ids_of_mixed_types_are_saved_as_text(tmp_path: Path) -> None:
    mixed = np.array(["x", 7], dtype=object)
    sessions = dataclasses.replace(Sessions.from_lists([[1], [2]]), session_ids=mixed)
    sessions.save(tmp_path / "part")
    assert Sessions.load(tmp_path / "part").session_ids.tolist() == ["x", "7"]


def test_saving_again_replaces_a_split_and_nothing_else(
    tiny_split: SessionSplit, tmp_path: Path
) -> None:
    folder = tiny_split.save(tmp_path / "data")
    tiny_split.save(folder)
    SessionSplit.load(folder)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.jpg").touch()
    with pytest.raises(ValueError, match="photos exists and is not a proxysr split; nothing was"):
        tiny_split.save(photos)
    assert [path.name for path in photos.iterdir()] == ["cat.jpg"]
    with pytest.raises(ValueError, match=r"cat\.jpg exists and is not a proxysr split; nothing"):
        tiny_split.save(photos / "cat.jpg")


@pytest.mark.parametrize("name", ["clicks.csv", "train/clicks.csv", "runs/toy/config.json"])
def test_what_lies_beside_a_split_is_never_lost(
    tiny_split: SessionSplit, tmp_path: Path, name: str
) -> None:
    folder = tiny_split.save(tmp_path / "shop")
    precious = folder / name
    precious.parent.mkdir(parents=True, exist_ok=True)
    precious.write_text("precious")
    with pytest.raises(ValueError, match=rf"shop holds {name.partition('/toy')[0]} besides a pro"):
        tiny_split.save(folder)
    assert precious.read_text() == "precious"


def test_a_link_to_a_split_and_the_folder_one_is_in(
    tiny_split: SessionSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_split.save(tmp_path / "data")
    (tmp_path / "link").symlink_to(folder)
    tiny_split.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    monkeypatch.chdir(folder)
    tiny_split.save(".")
    assert SessionSplit.load(folder).fingerprint() == tiny_split.fingerprint()


def test_a_place_that_takes_nothing_is_named(tiny_split: SessionSplit, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/data cannot be written: .*file takes no new folder"):
        tiny_split.save(tmp_path / "file" / "data")


def test_the_fingerprint_sees_clicks_bounds_and_ids(tiny_split: SessionSplit) -> None:
    def variant(**changes: object) -> str:
        fields = {n: getattr(tiny_split, n) for n in SessionSplit.__dataclass_fields__} | changes
        return SessionSplit(**fields).fingerprint()

    other_ids = tiny_split.items.assign(item_id=[f"x{i}" for i in range(6)])
    prints = {
        tiny_split.fingerprint(),
        variant(valid=Sessions.from_lists([[1, 2, 3, 4], [6, 2]])),
        variant(valid=Sessions.from_lists([[1, 2, 3], [4, 6, 1]])),
        variant(items=other_ids),
        variant(users=tiny_split.users.assign(user_id=["x", *tiny_split.users["user_id"][1:]])),
        variant(
            valid=dataclasses.replace(
                tiny_split.valid, user_index=np.zeros(len(tiny_split.valid), np.int32)
            )
        ),
    }
    assert len(prints) == 6
    assert variant(provenance={"source": "elsewhere"}) == tiny_split.fingerprint()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def noise(path: Path) -> None:
    path.write_bytes(b"noise")


def header(**values: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(json.dumps(values))

    return write


def floats(path: Path) -> None:
    np.save(path, np.array([0.5, 1.5]))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("split.json", Path.unlink, r"data is not a proxysr split: it has no split\.json"),
        ("split.json", noise, r"split\.json is damaged: it is not valid JSON"),
        ("split.json", header(a=1), r"split\.json was not written by proxysr"),
        (
            "split.json",
            header(format="proxysr-split", version=9),
            "is a split of version 9; this proxysr reads version 1. Prepare the data again",
        ),
        (
            "split.json",
            header(format="proxysr-split", version=1),
            r"split\.json is damaged: it has no 'provenance'",
        ),
        ("train/items.npy", Path.unlink, r"items\.npy is missing or damaged"),
        ("train/items.npy", cut, r"items\.npy is missing or damaged"),
        ("train/items.npy", noise, r"items\.npy is missing or damaged"),
        ("valid/offsets.npy", floats, r"valid is damaged: Sessions\.offsets holds whole numbers"),
        ("test/started_at.npy", lambda path: np.save(path, np.zeros(3)), "test is damaged: Sess"),
        ("items.parquet", Path.unlink, r"items\.parquet is missing or damaged"),
        ("users.parquet", noise, r"users\.parquet is missing or damaged"),
        ("session_info.parquet", cut, r"session_info\.parquet is missing or damaged"),
    ],
)
def test_damaged_splits_are_refused(
    tiny_split: SessionSplit,
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    folder = tiny_split.save(tmp_path / "data")
    damage(folder / name)
    with pytest.raises(ValueError, match=message):
        SessionSplit.load(folder)


def test_pickled_arrays_are_never_loaded(tiny_split: SessionSplit, tmp_path: Path) -> None:
    folder = tiny_split.save(tmp_path / "data")
    np.save(folder / "train" / "session_ids.npy", np.array(["a", 1], dtype=object))
    with pytest.raises(ValueError, match=r"session_ids\.npy is missing or damaged"):
        SessionSplit.load(folder)


def test_parts_by_name(tiny_split: SessionSplit) -> None:
    assert tiny_split.part("valid") is tiny_split.valid
    with pytest.raises(ConfigError, match=r"'vaild' is not a known part of a split\. Did you mean"):
        tiny_split.part("vaild")


def test_first_clicks_are_targets_if_asked_for() -> None:
    sessions = Sessions.from_lists([[3, 3, 1], [], [2]])
    assert sessions.prefixes("unseen", 0).target.tolist() == [3, 1, 2]
    assert sessions.prefixes("repeat", 0).length.tolist() == [0, 1, 2, 0]


def test_users_that_are_no_whole_numbers_name_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    Sessions.from_lists([[1, 2], [3]]).save(folder)
    np.save(folder / "user_index.npy", np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="train is damaged: .*user_index holds whole numbers"):
        Sessions.load(folder)
