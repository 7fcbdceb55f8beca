"""Times: exact where they are whole, and checked for what times of a log can be."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.data import BadRowsError, PrepareConfig, open_events, prepare, read_events

SECOND = 1_772_359_205


def frame(times: Any) -> pd.DataFrame:
    return pd.DataFrame({"item_id": "a", "timestamp": times, "session_id": 1})


@pytest.mark.parametrize(
    ("times", "first"),
    [
        (["20260301100058", "20260301120058"], "2026-03-01 10:00:58"),
        ([202603011000, 202603011001], "2026-03-01 10:00:00"),
        ([20260301.0, 20260302.0, None], "2026-03-01"),
    ],
)
def test_dates_written_as_numbers(times: list[Any], first: str) -> None:
    log = frame(times).dropna()
    opened = open_events(log)
    assert opened.time_unit == "date"
    assert opened.frame()["timestamp"][0] == pd.Timestamp(first)
    assert "are read as dates, YYYYMMDDhhmmss (UTC)" in opened.remarks[0]
    more = pd.concat([log.astype({"timestamp": "int64"}), frame([7])])
    with pytest.raises(BadRowsError, match="time '7' is not YYYYMMDD, YYYYMMDDhhmm or YYYY"):
        read_events(more)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_are_not_mixed_without_a_word(unit: str) -> None:
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    usual = [SECOND * scale[unit] + n for n in range(3)]
    others = [SECOND * number for name, number in scale.items() if name != unit] + [0, -1]
    events = read_events(frame([*usual * 2, *others]), on_bad_rows="drop")
    for other, row in zip(others, events.attrs["bad_rows"].first, strict=True):
        why = f"time '{other}' is (not from 1973 to 2199, read in {unit} as|too large)"
        assert re.match(why, row.reason)
    early = frame([*usual, 0])
    assert read_events(early, time_unit=unit)["timestamp"].tolist() == [*usual, 0]


def test_dates_that_no_log_has() -> None:
    dates = ["9999-12-31", "0001-01-01", "2200-01-01", "1899-12-31"]
    events = read_events(frame(["2026-03-01", "2026-03-02", *dates]), on_bad_rows="drop")
    assert len(events) == 2
    reasons = [row.reason for row in events.attrs["bad_rows"].first]
    assert reasons == [f"time '{date}' is not from 1900 to 2199" for date in dates]


def test_a_unit_that_makes_no_time_of_a_log() -> None:
    with pytest.raises(BadRowsError, match=rf"'{SECOND}000' is not from 1900 to 2199 \(unit: s\)"):
        read_events(frame([SECOND * 1000]), time_unit="s")
    with pytest.raises(ConfigError, match="numbers of about 5[0]{13}, which in no unit"):
        read_events(frame([5 * 10**13]))


@pytest.mark.parametrize(("unit", "kind"), [("auto", "int64"), ("order", "str"), ("ns", "str")])
def test_whole_numbers_are_exact(unit: str, kind: str) -> None:
    times = [2**60 + n for n in (2, 1, 3)]
    log = frame(times).assign(item_id=["B", "A", "C"]).astype({"timestamp": kind})
    events = read_events(log, time_unit=unit)
    assert events["timestamp"].tolist() == times
    config = PrepareConfig(min_item_count=1, valid_fraction=0, test_fraction=0)
    split = prepare(open_events(log, time_unit=unit), config)
    assert [split.items["item_id"][index - 1] for index in split.train[0]] == ["A", "B", "C"]


def test_running_numbers_may_be_large_or_have_fractions() -> None:
    large = [10**13 + 2, 10**13 + 1, 9 * 10**18]
    assert read_events(frame(large), time_unit="order")["timestamp"].tolist() == large
    fractions = [1.5, 2, 0.25]
    opened = open_events(frame(fractions))
    assert opened.time_unit == "order"
    assert opened.frame()["timestamp"].tolist() == fractions
    with pytest.raises(BadRowsError, match=r"'9{20}' is too large a number \(unit: order\)"):
        read_events(frame(["1", "2", "9" * 20]))
