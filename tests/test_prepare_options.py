"""Options of ``proxysr prepare`` for logs as people have them, and what is said on the way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from proxysr.__main__ import main
from proxysr.cli.answer import WIDEST, table
from proxysr.data.sessions import SessionSplit

ALL = ["--min-item-count", "1", "--valid-fraction", "0", "--test-fraction", "0"]


def items(folder: Path) -> list[str]:
    return sorted(SessionSplit.load(folder).items["item_id"])


def test_words_for_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text("session_id,item_id,timestamp\nv,A,1\nv,B,2\n\\N,A,3\n\\N,C,4\nv,NULL,5\n")
    words = ["prepare", str(log), str(tmp_path / "data"), *ALL, "--time-unit", "order"]
    assert main(words) == 0
    assert "Note: The session_id \\N (2 rows) is taken as an id" in capsys.readouterr().err
    assert main([*words, "--missing", "\\N", "NULL", "--on-bad-rows", "drop"]) == 0
    said = capsys.readouterr().err
    assert "3 of 5 rows are malformed and were dropped" in said
    assert "is taken as an id" not in said
    assert items(tmp_path / "data") == ["A", "B"]


def test_files_of_other_programs(tmp_path: Path) -> None:
    log, data = tmp_path / "ratings.dat", tmp_path / "data"
    log.write_bytes("1::é::5::978300760\n1::b::3::978302109\n".encode("latin-1"))
    names = ["--no-header", "--user", "1", "--item", "2", "--time", "4"]
    words = ["prepare", str(log), str(data), *ALL, *names, "--encoding", "latin-1"]
    assert main(words) == 0
    assert items(data) == ["b", "é"]
    log.write_text("1\t'a\t978300760\n1\tb\t978302109\n")
    names = ["--no-header", "--user", "1", "--item", "2", "--time", "3"]
    assert main([*words[:3], *ALL, *names, "--delimiter", "\\t", "--quote", ""]) == 0
    assert items(data) == ["'a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gap-minutes", "30"], "gap_minutes is for sessions='gap' and changes nothing where"),
        (["--gap-minutes", "5", "--format", "lastfm1k"], "are 'day'. Add --sessions gap"),
        (["--day-starts-at", "0", "--sessions", "gap"], "Add --sessions day (sessions='day'), or"),
        (
            ["--format", "proxysr-csv", "--min-item-count", "5", "--test-fraction", "0.3"],
            "min_item_count, test_fraction: no effect, as parts that are given are neither filt",
        ),
    ],
)
def test_options_without_effect_are_refused_before_a_log_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Also where the value is the default: who names it expects sessions without such gaps."""
    assert main(["prepare", str(tmp_path / "log.csv"), str(tmp_path / "data"), *words]) == 2
    assert message in capsys.readouterr().err


def test_help_teaches_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--missing WORD", "--no-header", "--encoding NAME", "--quote TEXT"):
        assert option in said
    assert r"--missing '\N' NULL" in said


def test_a_long_title_widens_no_table() -> None:
    shown = table(pd.DataFrame({"title": ["x" * 5_000, "short"]}))
    assert max(map(len, shown.splitlines())) == WIDEST
    assert "x…" in shown
