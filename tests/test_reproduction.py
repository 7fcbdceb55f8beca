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
from proxysr.notebooks.parameters import read_params, shipped
from proxysr.paper.printed import published_results
from tests.data import raw
from tests.pages import shell_lines, text_of

PAGE = text_of("docs/reproduction.md")
ALL = [line for line in shell_lines("docs/reproduction.md") if line.startswith("proxysr prepare ")]
PREPARE = [line for line in ALL if "--recent-fraction" not in line]
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
    assert named == places - {"data/lastfm-fifth"}  # that one is for the tables only


def rows_after(mark: str) -> dict[str, list[str]]:
    """The cells of the table that follows a mark, by its first cell."""
    table = PAGE.partition(f"<!-- fill: {mark}")[2].partition("\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_no_cell_is_empty_for_want_of_a_run() -> None:
    assert "| – |" not in PAGE


def test_what_is_called_published_of_proxysr_is() -> None:
    table = published_results().set_index(["task", "printed", "dataset", "metric"])["value"]
    r, m = (table["unseen", "ProxySR", "diginetica", metric] for metric in ("R@20", "MRR@20"))
    assert f"| ProxySR | {r:.4f} / {m:.4f} |" in PAGE


def test_table_1_is_as_published() -> None:
    rows = rows_after("Table 1")
    names = {"retailrocket": "RetailRocket", "diginetica": "Diginetica", "lastfm1k": "LastFM"}
    for source, name in names.items():
        published = SOURCES[source].published
        assert published is not None
        counts = [int(cell.replace(",", "")) for cell in rows[f"{name}, paper"][:3]]
        assert counts == list(published.values())
