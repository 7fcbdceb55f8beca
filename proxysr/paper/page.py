"""A page of results from all runs in some folders, compared with the paper's.

Values are from the runs' metrics files, and differences from their ranks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proxysr.analysis.significance import CompareConfig, compare
from proxysr.config import Settings
from proxysr.data.sessions import Task
from proxysr.models import learns
from proxysr.paper.claims import NO_RUN, claims, tally
from proxysr.paper.hrnn_groups import NO_USER
from proxysr.paper.known_users import effects
from proxysr.paper.popularity import by_popularity
from proxysr.paper.printed import published_results, published_shares, published_variants
from proxysr.paper.rows import (
    OF_MEASUREMENT,
    DataRuns,
    Row,
    best_on_validation,
    find_runs,
    group_rows,
    main_rows,
    runs_by_data,
    runs_by_share,
    seed_of,
)
from proxysr.paper.verdict import Differences, Standing, leaders, standing, verdict

TASKS: dict[str, Task] = {"Table 2, next unseen item": "unseen", "Table 3, with repeats": "repeat"}
DASH = "–"
ABOUT_CLAIMS = (
    "What the paper's tables say, row by row: a row is ahead of ProxySR, or in Table 6 of HRNN "
    "without users, or behind it. Here that holds or is reversed where our difference is more than "
    "chance, and cannot be told where it is not. Nothing is said of a row that has not learnt: its "
    "R@20 on validation is less than twice that of popularity."
)


@dataclass
class Found:
    """What the tables of a page say, for its first lines."""

    standings: list[Standing] = field(default_factory=list)
    claims: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict)
    """Data and title to the table of :func:`proxysr.paper.claims.claims`."""


def results_page(
    folders: Sequence[str | Path],
    *,
    reference: str = "proxysr",
    command: str = "",
    config: CompareConfig | None = None,
) -> str:
    """The page, as Markdown.

    Parameters
    ----------
    folders : sequence of path
        Where runs lie; all below are found.
    reference : str
        The model of Tables 2 and 3 that the others are compared with; of several settings of it,
        those that are best on validation, and if it is not there, the row that is.
    command : str
        What makes the page, to be shown on it.
    config : CompareConfig, optional

    Raises
    ------
    ValueError
        If a folder is not there, or holds no evaluated run.
    """
    config = CompareConfig() if config is None else config
    runs, holes = find_runs(folders)
    if not runs:
        raise ValueError(
            f"No evaluated run lies in {', '.join(map(str, folders))}. "
            + (
                f"Found, but left out: {holes[0]}"
                if holes
                else "Make some with `proxysr paper run`."
            )
        )
    found = Found()
    body: list[str] = []
    for data in runs_by_data(runs):
        body += ["", f"## {data.name}", "", data.about]
        body += _main_tables(data, reference, config, found)
        body += _table4(data, config)
        body += _table6(data, config, found)
        body += _settings(data)
    lines = ["# Results", ""]
    if found.standings:
        lines += [verdict(found.standings, reference), ""]
        lines += [*_markdown(leaders(found.standings, reference)), ""]
    if found.claims:
        lines += [ABOUT_CLAIMS, "", *_markdown(tally(found.claims)), ""]
    lines += [
        f"Made by `{command or 'proxysr paper tables'}` from the files of {len(runs)} runs; "
        "do not edit.", "",
        "Values are means ± standard deviations over seeds, on the test sessions, at the epoch "
        "that is best on validation. Differences are paired by session, with "
        f"{100 * config.confidence:g} % intervals and Holm's p-values for all rows and metrics of "
        "a table. “Paper” is what was printed, means of five runs on the authors' preparation.",
        *body,
    ]  # fmt: skip
    if holes:
        lines += ["", "## Runs that are left out", ""] + [f"- {hole}" for hole in holes]
    return "\n".join(lines) + "\n"


def _main_tables(data: DataRuns, reference: str, config: CompareConfig, found: Found) -> list[str]:
    """Tables 2, 3 and 5 and Figure 3; what they say is added to ``found``."""
    lines: list[str] = []
    for title, task in TASKS.items():
        rows = main_rows(data, task)
        printed = _printed(task, data.dataset)
        for members in _by_targets(rows.models, task):
            own = [row for row in members if row.model == reference]
            chosen = best_on_validation(own, task).label if own else None
            differences, lines_of_table = _table(title, members, task, printed, chosen, config)
            lines += lines_of_table
            if len(own) > 1:
                lines += ["", f"Of the settings of {reference}, validation chose {chosen}."]
            if len({row.model for row in members}) > 1:
                found.standings.append(standing(data.name, task, members, chosen, differences))
            if differences:  # else they did not rank the same targets, which the table says
                lines += _claims(data, title, members, task, printed, "ProxySR", config, found)
                lines += ["", "#### R@20 by how often the target was clicked in training", ""]
                lines += _markdown(by_popularity(members, task, "R@20"))
            if any(row.label.endswith("†") for row in members):
                lines += ["", "† The epoch was chosen by the other task."]
        if rows.ablations and task == "unseen":
            printed = _printed(5, data.dataset)
            title = "Table 5, ablations"
            differences, lines_of_table = _table(
                title, rows.ablations, task, printed, "ProxySR", config
            )
            lines += lines_of_table
            if differences:
                lines += _claims(
                    data, title, rows.ablations, task, printed, "ProxySR", config, found
                )
        if rows.sizes and task == "unseen":
            first = rows.sizes[0].label
            _, lines_of_table = _table(
                "Figure 3, number of proxies", rows.sizes, task, {}, first, config
            )
            lines += lines_of_table
    return lines


def _by_targets(rows: Sequence[Row], task: Task) -> list[list[Row]]:
    """Rows grouped by their targets; each group gets its own table."""
    by_prefix: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_prefix[row.runs[0].evaluation("test", task)["min_prefix"]].append(row)
    return [by_prefix[min_prefix] for min_prefix in sorted(by_prefix)]


def _table4(data: DataRuns, config: CompareConfig) -> list[str]:
    shares = runs_by_share(data)
    if not shares:
        return []
    lines = ["", "### Table 4, known users", ""]
    try:
        table = effects(shares, config=config)
    except ValueError as error:
        return [*lines, f"Not shown: {' '.join(str(error).split())}"]
    printed: dict[tuple[Any, Any], float] = {
        (row["share"], row["metric"]): row["difference"]
        for row in published_shares().to_dict("records")
    }
    frame = []
    key: Any
    for key, rows in table.groupby(["share", "sessions"], sort=False):
        share, kind = key
        first = rows.iloc[0]
        cells: dict[str, Any] = {"known": f"{share} %, {kind}"}
        cells |= {"users": first["n_users"], "targets": first["n_targets"], "seeds": first["seeds"]}
        for row in rows.to_dict("records"):
            metric = row["metric"]
            cells[metric] = _value(row["value"], row["sd"])
            cells[f"Δ {metric}"] = _difference(row)
            printed_value = printed.get((share, metric)) if share and kind == "all" else None
            paper = DASH if printed_value is None else f"{printed_value:+.4f}"
            cells[f"Δ {metric}, paper (LastFM)"] = paper
        frame.append(cells)
    return [*lines, *_markdown(pd.DataFrame(frame))]


def _claims(
    data: DataRuns, title: str, rows: Sequence[Row], task: Task,
    printed: Mapping[tuple[str, str], float], base: str, config: CompareConfig, found: Found,
) -> list[str]:  # fmt: skip
    """The paper's differences to one row beside ours, which are added to ``found``."""
    if base not in {row.printed for row in rows} or (base, config.metrics[0]) not in printed:
        return []
    table = claims(rows, task, printed, base, config)
    found.claims[data.name, title] = table
    by_row: dict[str, dict[str, str]] = defaultdict(dict)
    for one in table[table["verdict"] != NO_RUN].to_dict("records"):
        cells, metric = by_row[one["row"]], one["metric"]
        cells[""] = one["row"]
        cells[f"Δ {metric}, paper"] = f"{one['printed']:+.4f}"
        cells[f"Δ {metric}, here"] = f"{one['here']:+.4f}"
        cells[f"{metric}: this"] = one["verdict"]
    if not by_row:
        return []
    return ["", f"#### Differences to {base}, printed and here", "",
            *_markdown(pd.DataFrame(list(by_row.values())))]  # fmt: skip


def _table6(data: DataRuns, config: CompareConfig, found: Found) -> list[str]:
    rows = group_rows(data)
    if not rows:
        return []
    title, printed = "Table 6, HRNN by groups of sessions", _printed(6, data.dataset)
    differences, lines = _table(title, rows, "unseen", printed, NO_USER, config)
    if differences:
        lines += _claims(data, title, rows, "unseen", printed, NO_USER, config, found)
    return lines


def _settings(data: DataRuns) -> list[str]:
    """What each row was trained with, where it differs from the defaults, and how long."""
    rows = [row for task in TASKS.values() for row in main_rows(data, task).models]
    lines = []
    for row in rows:
        first = row.runs[0]
        parts = [_differing(first.model_config)]
        if learns(first.model_name):
            epochs = (f"{run.best_epoch + 1} of {len(run.history())}" for run in row.runs)
            parts += [_differing(first.train_config), f"best epoch {', '.join(epochs)}"]
        label = row.label.removesuffix(" †")
        lines.append(f"- {label}: {'; '.join(filter(None, parts)) or 'the defaults'}")
    return ["", "#### Settings", "", *dict.fromkeys(lines)] if lines else []


def _differing(settings: Settings) -> str:
    """The settings that differ from the defaults, but for those of the measurement."""
    default = type(settings)().to_dict()
    return ", ".join(
        f"{name} {value}"
        for name, value in settings.to_dict().items()
        if value != default[name] and name not in OF_MEASUREMENT
    )


def _printed(table: str | int, dataset: str) -> dict[tuple[str, str], float]:
    """The paper's values for a data set: row and metric to value."""
    if isinstance(table, str):
        rows = published_results().rename(columns={"printed": "variant"})
        rows = rows[rows["task"] == table]
    else:
        rows = published_variants(table)
    rows = rows[rows["dataset"] == dataset]
    return {(row["variant"], row["metric"]): row["value"] for _, row in rows.iterrows()}


def _table(
    title: str, rows: Sequence[Row], task: Task, printed: Mapping[tuple[str, str], float],
    reference: str | None, config: CompareConfig,
) -> tuple[Differences, list[str]]:  # fmt: skip
    """The differences in a table, and the table in Markdown, with what is missing of its seeds."""
    contenders = [row.contender(task) for row in rows]
    labels = [row.label for row in rows]
    entry = rows[0].runs[0].evaluation("test", task)
    first = contenders[0].ranks[0]
    if reference not in labels:
        reference = best_on_validation(rows, task).label
    lines = [
        "", f"### {title}", "",
        f"{len(first):,} targets of {first['session_id'].nunique():,} test sessions, after at "
        f"least {entry['min_prefix']} click(s); differences to {reference}.", "",
    ]  # fmt: skip
    differences: dict[tuple[str, str], dict[Any, Any]] = {}
    if len(rows) > 1:
        try:
            table = compare(contenders, config, reference=reference)
            differences = {(row["run"], row["metric"]): row for row in table.to_dict("records")}
        except ValueError as error:
            lines += [f"No differences: {' '.join(str(error).split())}", ""]
    frame = []
    for row in rows:
        cells: dict[str, Any] = {"": row.label, "seeds": len(row.runs)}
        for metric in config.metrics:
            values = row.values(task, metric)
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
            cells[metric] = _value(float(np.mean(values)), sd)
            if printed:
                printed_value = printed.get((row.printed, metric))
                cells[f"{metric}, paper"] = (
                    DASH if printed_value is None else f"{printed_value:.4f}"
                )
            if differences:
                cells[f"Δ {metric}"] = _difference(differences[row.label, metric])
        frame.append(cells)
    missing = [name for name in dict.fromkeys(name for name, _ in printed)
               if name not in {row.printed for row in rows}]  # fmt: skip
    for name in missing:
        frame.append({"": name, "seeds": 0} | {
            f"{metric}, paper": f"{printed[name, metric]:.4f}"
            for metric in config.metrics if (name, metric) in printed
        })  # fmt: skip
    lines += _markdown(pd.DataFrame(frame))
    if missing:
        lines += ["", f"No runs of: {', '.join(missing)}."]
    learned = [row for row in rows if learns(row.runs[0].model_name)]
    seeds = sorted({seed_of(run) for row in learned for run in row.runs})
    for row in learned:
        if lacking := [str(seed) for seed in seeds if seed not in map(seed_of, row.runs)]:
            lines += ["", f"{row.label} has no run of seed {', '.join(lacking)}."]
    return differences, lines


def _value(mean: float, sd: float) -> str:
    return f"{mean:.4f}" if np.isnan(sd) else f"{mean:.4f} ± {sd:.4f}"


def _difference(row: Mapping[Any, Any]) -> str:
    if np.isnan(row["difference"]):
        return DASH
    low, high = row["difference_low"], row["difference_high"]
    return f"{row['difference']:+.4f} [{low:+.4f}, {high:+.4f}], p = {row['p_holm']:.3g}"


def _markdown(frame: pd.DataFrame) -> list[str]:
    """A frame as a table in Markdown; gaps are dashes."""
    texts = frame.astype(object).where(frame.notna(), DASH).map(str)
    rows = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *texts.to_numpy().tolist()]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
