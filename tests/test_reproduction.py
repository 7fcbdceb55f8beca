"""docs/reproduction.md: its commands run or are understood, and what it calls published is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from proxysr.__main__ import main
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources import SOURCES
from proxysr.data.sources.lastfm1k import PLAYS
from proxysr.data.sources.online_retail import WORKBOOK
from proxysr.experiments.presets import ABLATIONS
from proxysr.notebooks.parameters import read_params, shipped
from proxysr.paper.printed import published_results, published_variants
from tests.data import raw
from tests.pages import shell_lines, text_of

PAGE = text_of("docs/reproduction.md")
ALL = [line for line in shell_lines("docs/reproduction.md") if line.startswith("proxysr prepare ")]
PREPARE = [line for line in ALL if "-third" not in line]
SETS = ("retailrocket", "diginetica", "lastfm")
RAW: dict[str, Callable[[Path], object]] = {
    "retailrocket": raw.retailrocket,
    "diginetica": raw.diginetica,
    "lastfm1k": lambda folder: (folder / PLAYS).write_text(raw.plays()),
    "online-retail": lambda folder: raw.invoices().to_excel(folder / WORKBOOK, index=False),
    "proxysr-csv": raw.three_parts,
}


def test_every_public_data_set_is_prepared() -> None:
    formats = [re.search(r"--format (\S+)", line) for line in PREPARE]
    assert [found and found[1] for found in formats] == list(RAW)
    assert {*RAW} == {*SOURCES} - {"events", "spark", "synthetic"}


@pytest.mark.parametrize("line", PREPARE)
def test_raw_downloads_are_prepared(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[1:]
    name = words[words.index("--format") + 1]
    source = Path(words[1])
    source.mkdir(parents=True)
    RAW[name](source)
    assert main(words) == 0, capsys.readouterr().err
    split = SessionSplit.load(words[2])
    assert len(split.train) > 0
    preset = SOURCES[name].config
    assert split.provenance["options"] == preset.to_dict(), "the page writes the preset out"
    files = re.search(rf"^\| `{source}` \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert files is not None
    if name != "proxysr-csv":
        assert {path.name for path in source.iterdir()} <= {*re.findall(r"`([^`]+)`", files[1])}


def test_prepared_data_are_those_of_the_parameter_files() -> None:
    places = {shlex.split(line)[3] for line in ALL}
    named = {
        own["data_dir"].replace("$PROXYSR_DATA", "data")
        for file in shipped()
        for own in read_params(file).values()
        if "data_dir" in own
    }
    assert named == places


def rows_after(mark: str) -> dict[str, list[str]]:
    """The cells of the table that follows a mark, by its first cell."""
    table = PAGE.partition(f"<!-- fill: {mark}")[2].partition("\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


@pytest.mark.parametrize(("mark", "task"), [("Table 2", "unseen"), ("Table 3", "repeat")])
def test_tables_2_and_3_are_as_published(mark: str, task: str) -> None:
    table, rows = published_results(), rows_after(mark)
    table = table[table["task"] == task].set_index(["printed", "dataset", "metric"])["value"]
    assert [*rows][:-2] == [*dict.fromkeys(table.index.get_level_values(0))]
    for model, cells in list(rows.items())[:-2]:
        published = [[table[model, name, m] for m in ("R@20", "MRR@20")] for name in SETS]
        assert [list(map(float, cell.split(" / "))) for cell in cells[::2]] == published


@pytest.mark.parametrize(
    ("number", "sets"), [(4, ["lastfm"]), (5, list(SETS)), (6, ["retailrocket"])]
)
def test_further_tables_are_as_published(number: int, sets: list[str]) -> None:
    rows = rows_after(f"Table {number}")
    table = published_variants(number).set_index(["variant", "dataset", "metric"])["value"]
    assert [*rows] == [*dict.fromkeys(table.index.get_level_values(0))]
    if number == 5:
        assert [*rows] == ["ProxySR", *ABLATIONS]
    for variant, cells in rows.items():
        published = [[table[variant, name, m] for m in ("R@20", "MRR@20")] for name in sets]
        assert [list(map(float, cell.split(" / "))) for cell in cells[::2]] == published


def test_table_1_is_as_published() -> None:
    rows = rows_after("Table 1")
    names = {"retailrocket": "RetailRocket", "diginetica": "Diginetica", "lastfm1k": "LastFM"}
    for source, name in names.items():
        published = SOURCES[source].published
        assert published is not None
        counts = [int(cell.replace(",", "")) for cell in rows[f"{name}, paper"][:3]]
        assert counts == list(published.values())
