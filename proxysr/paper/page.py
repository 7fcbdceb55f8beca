"""A page of results, from the tables of logs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from proxysr.paper.claims import NO_RUN, tally
from proxysr.paper.results import DASH, Cells, Log, Table
from proxysr.paper.verdict import leaders, verdict

PAGE_MARK = "Made by `proxysr paper tables"
"""Text by which a page is known as one."""
ABOUT_CLAIMS = (
    "What the paper's tables say, row by row: a row is ahead of ProxySR, or in Table 6 of HRNN "
    "without users, or behind it. Here that holds or is reversed where our difference is more than "
    "chance: of the test sessions (p < 0.05), and, where a model has several seeds, of training "
    "(more than twice the standard error that their deviation gives; a single run is taken to vary "
    "as much as the model it is compared with). Else it cannot be told. Nothing is said of a row "
    "that has not learnt: its R@20 on validation is less than twice that of popularity. Models "
    "whose weights are averaged over epochs, as none is in the paper, are no rows of it."
)


def results_page(
    logs: Sequence[Log],
    *,
    reference: str = "proxysr",
    command: str = "proxysr paper tables",
    confidence: float = 0.95,
    holes: Sequence[str] = (),
    pictures: Mapping[str, str] | None = None,
) -> str:
    """The page, as Markdown.

    Parameters
    ----------
    logs : sequence of Log
    reference : str
        The model that others are compared with in Tables 2 and 3.
    command : str
        What makes the page, to be shown on it.
    confidence : float
        Of the intervals.
    holes : sequence of str
        What is left out, and why.
    pictures : mapping, optional
        Name of a log to the place of its picture, as seen from the page.
    """
    standings = [table.standing for log in logs for table in log.tables if table.standing]
    claims = [
        (log.name, table.title, table.claims)
        for log in logs
        for table in log.tables
        if table.claims is not None
    ]
    lines = ["# Results", ""]
    if standings:
        lines += [verdict(standings, reference), ""]
        lines += [*_markdown(leaders(standings, reference).to_dict("records")), ""]
    if claims:
        lines += [ABOUT_CLAIMS, "", *_markdown(tally(claims).to_dict("records")), ""]
    lines += [
        f"Made by `{command}`; do not edit.", "",
        "Values are means ± standard deviations over seeds, on the test sessions, at the epoch "
        "that is best on validation. Differences are paired by session, with "
        f"{100 * confidence:g} % intervals and Holm's p-values for all rows and metrics of "
        "a table. “Paper” is what was printed, means of five runs on the authors' preparation.",
    ]  # fmt: skip
    for log in logs:
        lines += ["", f"## {log.name}", "", log.about]
        if pictures and log.name in pictures:
            alt = f"R@20 of each model on {log.name}, with 95 % intervals"
            lines += ["", f"![{alt}]({pictures[log.name]})"]
        for table in log.tables:
            lines += _section(table)
        settings = dict.fromkeys(line for table in log.tables for line in table.settings)
        if settings:
            lines += ["", "#### Settings", "", *(f"- {line}" for line in settings)]
    if holes:
        lines += ["", "## Runs that are left out", ""] + [f"- {hole}" for hole in holes]
    return "\n".join(lines) + "\n"


def _section(table: Table) -> list[str]:
    """A table, and what belongs to it."""
    made = f"From {table.n_runs} run{'s' if table.n_runs > 1 else ''}."
    lines = ["", f"### {table.title}", "", f"{table.about} {made}".strip()]
    if table.rows:
        lines += ["", *_markdown(table.rows)]
    for note in table.notes:
        lines += ["", note]
    by_row: dict[str, Cells] = defaultdict(dict)
    for one in [] if table.claims is None else table.claims.to_dict("records"):
        if one["verdict"] != NO_RUN:
            cells, metric = by_row[one["row"]], one["metric"]
            cells[""] = one["row"]
            cells[f"Δ {metric}, paper"] = f"{one['printed']:+.4f}"
            cells[f"Δ {metric}, here"] = f"{one['here']:+.4f}"
            cells[f"{metric}: this"] = one["verdict"]
    if by_row:
        heading = f"#### Differences to {table.base}, printed and here"
        lines += ["", heading, "", *_markdown(list(by_row.values()))]
    if table.popularity:
        lines += ["", "#### R@20 by how often the target was clicked in training", ""]
        lines += _markdown(table.popularity)
    if any("†" in label for label in table.labels):
        lines += ["", "† The epoch was chosen by the other task."]
    return lines


def _markdown(rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Rows as a table in Markdown; gaps are dashes."""
    heads = list(dict.fromkeys(head for row in rows for head in row))
    texts = [[str(row.get(head, DASH)) for head in heads] for row in rows]
    cells = [list(map(str, heads)), ["---"] * len(heads), *texts]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
