"""Tables that are kept: what replaces them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.paper.page import results_page
from proxysr.paper.results import Claim, Log, Table, check_alike, merged, read_logs, write_logs
from proxysr.paper.verdict import Standing

STANDING = {
    "data": "shop", "task": "unseen", "reference": "nobody", "recalls": {"ours": 0.5},
    "counting": [], "clear": None, "seeds": 1,
}  # fmt: skip


def table(
    title: str = "Table 2, next unseen item", *, made: str = "2026-01-01", **seeds: int
) -> Table:
    """A table with rows of these labels, each of so many seeds."""
    rows = [{"": label, "seeds": str(n), "R@20": "0.5000"} for label, n in seeds.items()]
    about = "9 targets of 3 test sessions, after at least 1 click(s); differences to ours."
    return Table(title=title, about=about, min_prefix=1, rows=rows, n_runs=2, made=made)


def log(*tables: Table, name: str = "shop", sessions: str = "f1") -> Log:
    return Log(
        name=name, about="60 items.", sessions=sessions, reference="ours", metrics=["R@20"],
        tables=list(tables),
    )  # fmt: skip


def made(logs: list[Log]) -> list[list[str]]:
    return [[one.made for one in log.tables] for log in logs]


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    whole = table(ours=2, theirs=1)
    whole.claims = [
        Claim(row="theirs", metric="R@20", printed=-0.1, here=-0.2, p=0.01, verdict="holds"),
        Claim(row="absent", metric="R@20", printed=-0.1, here=None, p=None, verdict="no run"),
    ]
    whole.base = "ours"
    whole.standing = Standing(
        "shop", "unseen", "ours", {"ours": 0.5, "theirs": 0.3}, ["theirs"], True, 2
    )
    kept = [log(whole), log(table(ours=1), name="a/data")]
    write_logs(tmp_path / "kept", kept)
    assert [path.name for path in sorted((tmp_path / "kept").iterdir())] == [
        "a-data.json", "shop.json",
    ]  # fmt: skip
    again = read_logs(tmp_path / "kept")
    assert again == kept[::-1]
    assert results_page(again) == results_page(kept[::-1])
    assert read_logs(tmp_path / "absent") == []
    with pytest.raises(ValueError, match=r"shop\.json is a file; kept results need a folder"):
        read_logs(tmp_path / "kept" / "shop.json")


def test_a_page_says_of_each_table_how_many_runs_and_when() -> None:
    page = results_page([log(table(ours=1, theirs=0))])
    assert "differences to ours. From 2 runs, 2026-01-01.\n" in page


def test_kept_tables_with_another_reference_or_metrics_are_no_part_of_a_page() -> None:
    kept = [log(table(ours=1))]
    check_alike(kept, "ours", None)
    check_alike(kept, "ours", ["R@20"])
    check_alike([], "theirs", ["R@5"])
    with pytest.raises(ConfigError, match="shop compare with ours, those of this command with th"):
        check_alike(kept, "theirs", None)
    with pytest.raises(ConfigError, match=r"shop have R@20, those of this command R@5\. Say --met"):
        check_alike(kept, "ours", ["R@5"])


def test_a_table_that_covers_the_kept_one_takes_its_place() -> None:
    kept = [log(table(ours=1, theirs=1)), log(table(ours=1), name="other", sessions="f2")]
    new = [log(table(made="2026-02-02", **{"ours †": 3}, theirs=1, more=1))]
    logs, refused = merged(kept, new)
    assert refused == []
    assert [one.name for one in logs] == ["other", "shop"]
    assert made(logs) == [["2026-01-01"], ["2026-02-02"]]


@pytest.mark.parametrize("seeds", [{"ours": 1, "theirs": 1}, {"ours": 2}, {"ours": 2, "theirs": 0}])
def test_fewer_rows_or_seeds_never_replace_more(seeds: dict[str, int]) -> None:
    kept = [log(table(ours=2, theirs=1))]
    logs, refused = merged(kept, [log(table(made="2026-02-02", **seeds))])
    assert made(logs) == [["2026-01-01"]]
    (sentence,) = refused
    assert sentence.startswith("Table 2, next unseen item of shop stays as it was kept: ")
    lacking = "ours" if seeds["ours"] < 2 else "theirs"
    assert sentence.endswith(f"or fewer seeds, of {lacking}.")


def test_tables_with_other_titles_stand_side_by_side_figures_last() -> None:
    kept = [log(table("Figure 3, number of proxies", k=1), table("Table 5, ablations", base=1))]
    logs, _ = merged(kept, [log(table("Table 2, next unseen item", ours=1))])
    assert [one.title[:8] for one in logs[0].tables] == ["Table 2,", "Table 5,", "Figure 3"]


def test_logs_of_one_name_with_other_sessions_are_refused() -> None:
    with pytest.raises(ValueError, match="Two logs with different sessions are called shop"):
        merged([log(table(ours=1))], [log(table(ours=1), sessions="f9")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "is damaged: it is not valid JSON"),
        ([], "is damaged, or holds no results: it: "),
        ({"format": "proxysr results 9"}, "holds no results: format: "),
        ({"more": 1}, "holds no results: more: Extra inputs"),
        ({"tables": [{"standing": STANDING}]}, "the reference has no recall"),
        ({"tables": [{"title": 3}]}, r"holds no results: tables\.0\.title: "),
        ({"tables": [{"rows": [{"": "ours", "seeds": "two"}]}]}, "or no number of seeds"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    write_logs(tmp_path, [log(table(ours=1))])
    path = tmp_path / "shop.json"
    if isinstance(change, dict):
        whole = json.loads(path.read_text())
        if "tables" in change:
            change = {"tables": [whole["tables"][0] | change["tables"][0]]}
        change = whole | change
    path.write_text("{" if change is None else json.dumps(change))
    with pytest.raises(ValueError, match=message):
        read_logs(tmp_path)


def test_the_page_of_the_project_is_that_of_its_kept_tables() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "results.md").read_text()
    command = page.partition("Made by `")[2].partition("`")[0]
    made = results_page(read_logs(docs / "results"), command=command)
    assert page.partition("\n## Runs that are left out")[0].rstrip("\n") == made.rstrip("\n")
