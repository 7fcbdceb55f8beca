"""Options made from settings, misspelt ones, interrupts, and tables as they are shown."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from proxysr.__main__ import main, parsed
from proxysr.cli.answer import Answer, table
from proxysr.cli.options import add_settings, given
from proxysr.config import Settings


class Everything(Settings):
    """Every kind of field that becomes an option."""

    count: int | None = None
    """Per cent: 100%."""
    kind: Literal["a", "b"] = "a"
    """A choice."""
    loud: bool = False
    """A switch."""
    sizes: tuple[int, ...] = (1, 2)
    """A ``list``."""


def test_options_come_from_fields(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="x")
    add_settings(parser, Everything)
    assert given(parser.parse_args([]), Everything) == {}
    args = parser.parse_args(["--count", "3", "--kind", "b", "--loud", "--sizes", "4,5"])
    config = Everything.from_dict(given(args, Everything))
    assert config == Everything(count=3, kind="b", loud=True, sizes=(4, 5))
    assert given(parser.parse_args(["--no-loud"]), Everything) == {"loud": False}
    page = " ".join(parser.format_help().split())
    assert "--count N Per cent: 100%. [none]" in page
    assert "--kind {a,b} A choice. [a]" in page
    assert "A list. [1,2]" in page


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("train", "settings of the model; listed below"),
        ("prepare", "settings of the synthetic data; listed below"),
        ("tune", "the same in all trials; `proxysr train --help` lists them"),
        ("paper", "that all runs have; `proxysr train --help` lists them"),
        ("notebooks", "settings of notebooks; each lists them in its first code cell"),
    ],
)
def test_it_is_said_where_settings_are(
    capsys: pytest.CaptureFixture[str], command: str, where: str
) -> None:
    assert main([command, "--help"]) == 0
    assert where in " ".join(capsys.readouterr().out.split())


def test_tables_are_aligned() -> None:
    frame = pd.DataFrame(
        {"step": ["read", "kept"], "n": pd.array([12345, None], "Int64"), "share": [0.5, 0.25]}
    )
    assert table(frame).splitlines() == [
        "step       n   share",
        "read  12,345  0.5000",
        "kept       –  0.2500",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "a", "b", "--epoch", "3"], "proxysr train: error: '--epoch' is not a known"),
        (["train", "a", "b", "--epoch=3"], "'--epoch' is not a known option. Did you mean '--epo"),
        (["prepare", "a", "b", "--itme", "sku"], "Did you mean '--item'? (proxysr prepare --help"),
        (["evaluate", "--splt", "valid", "run"], "Did you mean '--split'? (proxysr evaluate --he"),
        (["evaluate", "--splt"], "'--splt' is not a known option. Did you mean '--split'?"),
        (["bench", "--whatever"], "'--whatever' is not a known option. (proxysr bench --help"),
        (["evaluate", "run", "more"], "proxysr evaluate: error: unrecognized arguments: more ("),
        (["recommend", "run", "x", "-q"], "proxysr recommend: error: unrecognized arguments: -q"),
        (
            ["recommend", "run", "-q", "x", "--json"],
            "recommend: error: unrecognized arguments: -q (",
        ),
        (["evaluate", "run", "--task", "unsen"], "argument --task: 'unsen' is not a known choice"),
        (["evaluate", "run", "--task", "unsen"], "Did you mean 'unseen'? Known: repeat, unseen."),
        (["compare", "a", "b", "--split", "tset"], "'tset' is not a known choice. Did you mean 't"),
        (["prepare", "a", "b", "--on-bad-rows", "drp"], "'drp' is not a known choice. Did you me"),
        (["train", "a", "b", "--task", "unsen"], "received 'unsen'. Did you mean 'unseen'?"),
    ],
)
def test_what_is_misspelt_is_told_with_what_is_near(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert message in captured.err


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("recommend run -k 2 i01", "items", ["i01"]),
        ("recommend run --json i01 i02", "items", ["i01", "i02"]),
        ("recommend run i01 -k 2 i02", "items", ["i01", "i02"]),
        ("recommend run --history i02 -- i01", "items", ["i01"]),
        ("recommend run i01 -k 2 -- -5 -x", "items", ["i01", "-5", "-x"]),
        ("compare a --task repeat b --json c", "run_dirs", ["a", "b", "c"]),
        ("notebooks 01_train --jobs 2 02_compare", "names", ["01_train", "02_compare"]),
        ("paper run --out runs table2", "what", ["table2"]),
    ],
)
def test_options_may_stand_among_words_of_any_number(
    line: str, name: str, words: list[str]
) -> None:
    assert getattr(parsed(line.split())[1], name) == words


def interrupted(*args: Any, **options: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("proxysr.cli.train.train_run", "Nothing was written yet; the same command starts again."),
        ("importlib.import_module", "No half-written file is left."),
    ],
)
def test_an_interrupt_before_anything_is_there(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    hint: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(where, interrupted)
        code = main(["train", str(tmp_path / "data"), str(tmp_path / "run")])
    captured = capsys.readouterr()
    assert (code, captured.out) == (130, "")
    assert captured.err == f"\nproxysr train: interrupted. {hint}\n"


def test_an_answer_that_cannot_be_shown_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer({"value": float("nan")}, "")
    monkeypatch.setattr("proxysr.cli.bench.run", lambda args: answer)
    assert main(["bench", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("proxysr bench: error: Out of range float")
