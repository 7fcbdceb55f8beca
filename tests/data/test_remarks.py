"""What is lost of a log, or doubtful in it, is told; nothing is said of one that is in order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from proxysr.__main__ import main
from proxysr.data import prepare
from proxysr.data.preparation import PrepareConfig


def noted(log: pd.DataFrame) -> list[str]:
    """What is said of a log whose sessions all go into training."""
    config = PrepareConfig(valid_fraction=0, test_fraction=0, min_item_count=1)
    return list(prepare(log, config).provenance.get("remarks", []))


def test_what_is_lost_or_doubtful_in_a_log_is_told() -> None:
    """Times that are no dates, events in no session, a log that is there twice, several titles."""
    good = pd.DataFrame(
        {
            "session_id": ["a", "a", "b", "b"], "item_id": ["x", "y", "x", "y"],
            "timestamp": pd.date_range("2024-01-01", periods=4, freq="h"), "title": list("XYXY"),
        }
    )  # fmt: skip
    assert noted(good) == []
    (note,) = noted(good.assign(timestamp=[0, 1, 2, 3]))
    assert note.startswith("DataFrame: its times are read as running numbers, which say what came")
    assert "2 of 6 events have no session id: left out." in noted(
        pd.concat([good, good.head(2).assign(session_id=None)]).assign(user_id="u")
    )
    (note,) = noted(pd.concat([good, good]))
    assert note.startswith("4 of 8 events have the session, item and time of another one.")
    assert noted(good.assign(title=list("XYZZ"))) == [
        "2 items have several titles; the commonest is taken."
    ]
    same = good.assign(timestamp=good["timestamp"][0])
    assert noted(same) == ["All events have the same time: the split by time is arbitrary."]


def test_an_earlier_split_that_is_replaced_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, data = tmp_path / "log.csv", tmp_path / "data"
    clicks = [(session, click) for session in range(20) for click in range(3)]
    rows = [f"s{s},i{(s + c) % 4},2024-01-0{1 + s % 9}T0{c}:00" for s, c in clicks]
    log.write_text("session_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    words = ["prepare", str(log), str(data), "--min-item-count", "1"]
    for more, replaced in (([], False), ([], False), (["--test-fraction", "0.3"], True)):
        assert main([*words, *more]) == 0
        said = capsys.readouterr().err
        assert (f"Note: the earlier split in {data} is replaced" in said) == replaced
