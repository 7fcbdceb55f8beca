"""Preparation against its literal twin, its account, its options and its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.data import open_events, prepare, prepare_parts, provenance_table, read_events
from proxysr.data.engines import embedded
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sessions import SessionSplit
from tests.data.literal_preparation import Row, literal

NOON = 1_600_000_000
ROWS = st.lists(
    st.builds(
        Row,
        item=st.sampled_from("abcdef"),
        # few different times, so that many are equal, around the turns of two days
        time=st.builds(lambda t: 1_600_041_600 + 1800 * t, st.integers(-5, 60)),
        session=st.sampled_from([None, "s1", "s2", "s3", "s4", "s5", "s6"]),
        user=st.sampled_from(["u", "v", "w", "x"]),
    ),
    min_size=20,
    max_size=80,
)
KINDS = st.one_of(
    st.just({"sessions": "given"}),
    st.builds(dict, sessions=st.just("day"), day_starts_at=st.sampled_from([0.0, 4.5])),
    st.builds(dict, sessions=st.just("gap"), gap_minutes=st.sampled_from([29.0, 30.0, 90.0])),
)
CONFIGS = st.builds(
    lambda kind, **options: PrepareConfig(**kind, **options),
    kind=KINDS,
    max_mixed_sessions=st.just(1.0),
    drop_repeats=st.booleans(),
    min_item_count=st.integers(1, 5),
    min_session_length=st.integers(2, 3),
    max_session_length=st.sampled_from([None, 8]),
    first_filter=st.sampled_from(["items", "sessions"]),
    rounds=st.sampled_from(["once", "fixpoint"]),
    valid_fraction=st.sampled_from([0.1, 0.25]),
    test_fraction=st.sampled_from([0.1, 0.25]),
    recent_fraction=st.sampled_from([1.0, 0.5]),
)


@pytest.fixture(scope="module")
def database() -> Any:
    return embedded()


def frame_of(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": [row.item for row in rows],
            "timestamp": [row.time for row in rows],
            "session_id": [row.session for row in rows],
            "user_id": [row.user for row in rows],
        }
    )


def raw_ids(split: SessionSplit) -> tuple[list[list[tuple[str | None, list[str]]]], list[str]]:
    """A split in the form of the literal twin."""
    names = split.items["item_id"].tolist()
    users = [*split.users["user_id"], None]
    parts = []
    for part in (split.train, split.valid, split.test):
        parts.append(
            [
                (users[part.user_index[row]], [names[index - 1] for index in part[row]])
                for row in range(len(part))
            ]
        )
    return parts, names


# an example takes half a second: shrinking a failing one would take minutes
@settings(max_examples=9, phases=[Phase.explicit, Phase.generate])
@given(rows=ROWS, config=CONFIGS)
def test_prepare_equals_the_literal_rule(
    database: Any, rows: list[Row], config: PrepareConfig
) -> None:
    expected = literal(rows, config, config.sessions)
    if expected is None:
        with pytest.raises(ValueError, match="Nothing is left|too few|is empty"):
            prepare(frame_of(rows), config, connection=database)
    else:
        split = prepare(frame_of(rows), config, connection=database)
        assert raw_ids(split) == expected
        counts = [len(row[1]) for row in expected[0][0]]
        last = {row["step"]: row for row in split.provenance["steps"]}
        assert last["train"]["interactions"] == sum(counts)
        assert last["train"]["sessions"] == len(counts)
        assert last["train"]["users"] == len({user for user, _ in expected[0][0]} - {None})


def log(n_sessions: int = 12) -> pd.DataFrame:
    """Sessions of three clicks on items 0, 1, 2, in time order; users in turn."""
    n = 3 * n_sessions
    return pd.DataFrame(
        {
            "item_id": [position % 3 for position in range(n)],
            "timestamp": [NOON + 60 * position for position in range(n)],
            "session_id": [position // 3 for position in range(n)],
            "user_id": [f"user{position // 3 % 4}" for position in range(n)],
            "title": [f"Item {position % 3}" for position in range(n)],
        }
    )


def test_the_order_of_rows_decides_between_equal_times() -> None:
    events = log().assign(timestamp=NOON)
    split = prepare(events, PrepareConfig(min_item_count=1))
    assert [split.items["item_id"][index - 1] for index in split.train[0]] == ["0", "1", "2"]
    backwards = prepare(events.iloc[::-1], PrepareConfig(min_item_count=1))
    assert [backwards.items["item_id"][i - 1] for i in backwards.train[0]] == ["2", "1", "0"]
    assert backwards.train.session_ids[0] == "11"


def test_the_same_split_from_a_frame_a_file_and_another_database(tmp_path: Path) -> None:
    events = log(30)
    events["timestamp"] += np.tile([0, -30, 5], 30)
    config = PrepareConfig(sessions="gap", gap_minutes=1.2, min_item_count=1)
    split = prepare(events, config)
    events.to_csv(tmp_path / "log.csv.gz", index=False)
    events.to_parquet(tmp_path / "log.parquet", index=False)
    for file in ("log.csv.gz", "log.parquet"):
        opened = prepare(tmp_path / file, config)
        assert opened.fingerprint() == split.fingerprint()
        assert opened.items.equals(split.items)
        assert opened.users.equals(split.users)
    connection = ibis.duckdb.connect()
    connection.con.execute(
        f"CREATE TABLE warehouse AS FROM read_parquet('{tmp_path / 'log.parquet'}')"
    )
    warehouse = open_events(connection.table("warehouse"))
    assert prepare(warehouse, config).fingerprint() == split.fingerprint()


def test_titles_items_and_session_facts_travel() -> None:
    events = log()
    events.loc[0, "title"] = "a misprint"
    items = pd.DataFrame(
        {"item_id": [0, 2, 9], "title": ["Zero", None, "gone"], "price": [1, 2, 3]}
    )
    info = pd.DataFrame({"session_id": range(20), "planted_interest": range(100, 120)})
    config = PrepareConfig(min_item_count=1)
    split = prepare(events, config, items=items, session_info=info)
    assert split.items.set_index("item_id")["title"].to_dict() == {
        "0": "Zero",
        "1": "Item 1",
        "2": "Item 2",
    }
    assert split.items["price"].tolist()[0] == 1
    assert split.items["price"].isna().tolist() == [False, True, False]
    assert split.session_info["session_id"].tolist() == [str(number) for number in range(12)]
    assert split.session_info["planted_interest"].tolist() == list(range(100, 112))
    assert prepare(events, config).items["title"].tolist() == ["Item 0", "Item 1", "Item 2"]


def test_a_saved_split_comes_back(tmp_path: Path) -> None:
    split = prepare(log(), PrepareConfig(min_item_count=1), source={"name": "mine"})
    back = SessionSplit.load(split.save(tmp_path / "data"))
    assert back.fingerprint() == split.fingerprint()
    assert back.provenance == split.provenance
    assert back.provenance["source"]["name"] == "mine"
    assert back.train.started_at[0] == NOON
    assert provenance_table(back).equals(provenance_table(split))


def test_days_and_gaps_name_their_sessions() -> None:
    events = log(40).drop(columns="session_id")
    days = prepare(events, PrepareConfig(min_item_count=1, sessions="day", test_fraction=0))
    assert days.train.session_ids[0] == "user0@2020-09-13"
    assert days.provenance["options"]["sessions"] == "day"
    gaps = prepare(events, PrepareConfig(min_item_count=1, sessions="gap", gap_minutes=5))
    assert gaps.train.session_ids.tolist()[:5] == [f"user{n}#1" for n in range(4)] + ["user0#2"]
    never = prepare(events, PrepareConfig(min_item_count=1, sessions="gap", gap_minutes=1e302))
    assert never.provenance["steps"][1]["sessions"] == 4


def test_auto_takes_given_sessions_where_there_are_some() -> None:
    config = PrepareConfig(min_item_count=1)
    assert prepare(log(), config).provenance["options"]["sessions"] == "given"
    users = prepare(log(40).drop(columns="session_id"), config.replace(test_fraction=0))
    assert users.provenance["options"]["sessions"] == "day"


def test_running_numbers_order_but_date_nothing() -> None:
    events = log().assign(timestamp=range(36))
    split = prepare(events, PrepareConfig(min_item_count=1))
    assert np.isnan(split.train.started_at).all()
    assert split.provenance["time_unit"] == ["order"]
    with pytest.raises(ConfigError, match="sessions='day' needs dates, and the times of the event"):
        prepare(events, PrepareConfig(sessions="day"))


def test_the_account_shows_every_step_and_the_paper_beside_it() -> None:
    events = log()
    events.loc[1, "item_id"] = 99  # a rare item
    source = {"published": {"interactions": 1000, "items": 10, "sessions": 100}}
    table = provenance_table(prepare(events, PrepareConfig(min_item_count=2), source=source))
    assert table["step"].tolist() == [
        "rows read",
        "events with a session id",
        "items of at least 2 clicks (round 1)",
        "sessions of at least 2 clicks (round 1)",
        "train, with items unseen in training",
        "valid, with items unseen in training",
        "test, with items unseen in training",
        "items unseen in training dropped",
        "sessions of one click dropped",
        "train",
        "valid",
        "test",
        "published (paper, Table 1)",
    ]
    assert table["interactions"].tolist() == [36, 36, 35, 35, 29, 3, 3, 35, 35, 29, 3, 3, 1000]
    assert table["users"][1] == 4
    assert table["mean_length"].tolist()[-1] == 10.0


def test_filters_run_once_or_to_a_fixpoint() -> None:
    # dropping b leaves session 2 with one click; dropping that leaves c with one click
    sessions = [["a", "a", "c"], ["a", "a"], ["b", "c"], ["a", "a"], ["a", "a"]]
    events = pd.DataFrame(
        [
            {"session_id": s, "item_id": item, "timestamp": NOON + 10 * s + i}
            for s, clicks in enumerate(sessions)
            for i, item in enumerate(clicks)
        ]
    )
    config = PrepareConfig(min_item_count=2)
    assert prepare(events, config).items["item_id"].tolist() == ["a"]
    once = prepare(events, config.replace(rounds="once"))
    assert once.items["item_id"].tolist() == ["a", "c"]
    assert len(once.train) == 2
    first = config.replace(rounds="once", first_filter="sessions")
    assert prepare(events, first).provenance["steps"][2]["step"] == "sessions of at least 2 clicks"


def test_sessions_of_several_users() -> None:
    events = log(20)
    events.loc[1, "user_id"] = "user3"  # one session of twenty
    split = prepare(events, PrepareConfig(min_item_count=1))
    assert split.users["user_id"][split.train.user_index[0]] == "user0"
    assert split.provenance["steps"][2]["step"] == "1 sessions of several users given to the first"
    with pytest.raises(
        ValueError, match=r"1 session ids \(5%\) occur with several users, such as "
    ):
        prepare(events, PrepareConfig(max_mixed_sessions=0.01))


def test_given_parts_stay_apart() -> None:
    events = log().astype({"session_id": str})
    train, valid, test = events[:18], events[18:27], events[27:]
    valid = valid.assign(item_id=[0, 1, 7, 7, 7, 0, 7, 8, 9], session_id=["0"] * 3 + list("aabbcc"))
    split = prepare_parts(train, valid, test, PrepareConfig(max_mixed_sessions=1))
    assert [len(part) for part in (split.train, split.valid, split.test)] == [6, 1, 3]
    assert split.valid.session_ids.tolist() == ["0"]
    assert [split.items["item_id"][index - 1] for index in split.valid[0]] == ["0", "1"]
    assert provenance_table(split)["interactions"].tolist()[-3:] == [18, 2, 9]
    with pytest.raises(ConfigError, match="Parts that are given have their sessions given too"):
        prepare_parts(train, valid, test, PrepareConfig(sessions="day"))
    with pytest.raises(ConfigError, match="min_item_count, valid_fraction: no effect, as parts"):
        prepare_parts(train, valid, test, PrepareConfig(min_item_count=2, valid_fraction=0.3))


def test_only_recent_training_sessions_stay() -> None:
    events = log().assign(item_id=[position // 3 % 4 for position in range(36)])
    train, valid, test = events[:18], events[18:27], events[27:]
    split = prepare_parts(train, valid, test, PrepareConfig(recent_fraction=1 / 3))
    assert split.train.session_ids.tolist() == ["4", "5"]
    assert split.items["item_id"].tolist() == ["0", "1"]  # of sessions 4 and 5
    assert split.valid.session_ids.tolist() == ["8"]  # 6 and 7 have no item of these
    steps = {row["step"]: row for row in split.provenance["steps"]}
    dropped = steps["all but the most recent 0.3333 of training sessions dropped"]
    assert (dropped["sessions"], dropped["interactions"]) == (8, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_item_count": 0}, "min_item_count is at least 1; received 0"),
        ({"min_session_length": 1}, "min_session_length is at least 2; received 1"),
        ({"max_session_length": 1}, r"max_session_length is at least min_session_length \(2\)"),
        ({"gap_minutes": 0}, "gap_minutes is positive; received 0"),
        ({"day_starts_at": 24}, "day_starts_at is an hour from 0 to below 24"),
        ({"test_fraction": 1}, r"test_fraction is in \[0, 1\)"),
        ({"recent_fraction": 0}, "recent_fraction is above 0 and at most 1; received 0"),
        ({"max_mixed_sessions": 2}, r"max_mixed_sessions is in \[0, 1\]; received 2"),
        (
            {"valid_fraction": 0.5, "test_fraction": 0.5},
            r"valid_fraction \+ test_fraction is below",
        ),
        (
            {"gap_minutes": 5},
            r"gap_minutes is for sessions='gap' and changes nothing where sessions are 'auto'\. "
            r"Add --sessions gap \(sessions='gap'\), or leave gap_minutes out",
        ),
        (
            {"day_starts_at": 5, "sessions": "gap"},
            "day_starts_at is for sessions='day' and changes nothing where sessions are 'gap'",
        ),
        ({"sessions": "weekly"}, "sessions is one of 'auto', 'given', 'day', 'gap'"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PrepareConfig.from_dict(options)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"min_item_count": 99}, "Nothing is left after the step 'items of at least 99"),
        ({}, {"min_session_length": 4}, "Nothing is left after the step 'sessions of at least 4"),
        ({"session_id": 1}, {}, "1 session is too few for three parts"),
        ({"session_id": None}, {"sessions": "given"}, "Nothing is left after the step 'events wit"),
        ({"item_id": range(36)}, {"min_item_count": 1}, "The valid part is empty: none of its"),
    ],
)
def test_an_empty_result_is_an_error(
    change: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(
            log().assign(**change), PrepareConfig.from_dict(options | {"max_mixed_sessions": 1})
        )


def test_what_sessions_need_is_said() -> None:
    with pytest.raises(ConfigError, match="sessions='given' needs a column of session ids"):
        prepare(log().drop(columns="session_id"), PrepareConfig(sessions="given"))
    with pytest.raises(
        ConfigError, match="sessions='gap' cuts the events of users, and the events"
    ):
        prepare(log().drop(columns="user_id"), PrepareConfig(sessions="gap"))
    of_days = PrepareConfig(day_starts_at=5, min_item_count=1)
    with pytest.raises(
        ConfigError, match="day_starts_at .* changes nothing where sessions are 'given'"
    ):
        prepare(log(), of_days)
    options = prepare(log().drop(columns="session_id"), of_days).provenance["options"]
    assert (options["sessions"], options["day_starts_at"]) == ("day", 5)


def test_facts_that_are_ambiguous_are_refused() -> None:
    twice = pd.DataFrame({"item_id": ["1", "1"], "title": ["a", "b"]})
    with pytest.raises(ValueError, match="The items frame has item_id '1' more than once"):
        prepare(log(), PrepareConfig(min_item_count=1), items=twice)
    with pytest.raises(ValueError, match="The session_info frame: 'session_id' is not a known col"):
        prepare(log(), PrepareConfig(min_item_count=1), session_info=pd.DataFrame({"session": [1]}))


def test_every_option_is_explained() -> None:
    assert all(field.description for field in PrepareConfig.model_fields.values())


@pytest.mark.parametrize(("unit", "step"), [("ms", 1_000), ("s", 1), ("order", 1)])
def test_a_frame_that_was_read_is_prepared_as_its_table(
    tmp_path: Path, unit: str, step: int
) -> None:
    events = log(30)
    events["timestamp"] = (events["timestamp"] - events["timestamp"].min() + 200_000) * step
    events.loc[3, "item_id"] = None
    events.to_csv(tmp_path / "log.csv", index=False)
    options: dict[str, Any] = {"time_unit": unit, "on_bad_rows": "drop"}
    config = PrepareConfig(sessions="given", min_item_count=1)
    table = prepare(open_events(tmp_path / "log.csv", **options), config)
    frame = prepare(read_events(tmp_path / "log.csv", **options), config)
    assert np.array_equal(frame.train.started_at, table.train.started_at, equal_nan=True)
    assert frame.provenance == table.provenance


def test_a_frame_that_was_changed_since_it_was_read_says_no_more_than_is_true() -> None:
    events = log(30)
    events.loc[3, "item_id"] = None
    read = read_events(events, time_unit="s", on_bad_rows="drop")
    fewer = prepare(read.iloc[:-3], PrepareConfig(min_item_count=1))
    assert fewer.provenance["bad_rows"][0]["rows"] == len(read) - 3
    assert fewer.provenance["bad_rows"][0]["malformed"] == 0
    dated = read.assign(timestamp=pd.to_datetime(read["timestamp"], unit="s"))
    assert prepare(dated, PrepareConfig(min_item_count=1)).provenance["time_unit"] == ["date"]
    assert prepare(read, PrepareConfig(min_item_count=1)).provenance["time_unit"] == ["s"]
