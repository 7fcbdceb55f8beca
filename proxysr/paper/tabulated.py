"""The tables of evaluated runs, beside the paper's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from proxysr.analysis.significance import CompareConfig, compare
from proxysr.config import Settings
from proxysr.data.sessions import Task
from proxysr.models import LearnedModel, SessionModel, learns, model_class
from proxysr.paper.claims import claims
from proxysr.paper.evidence import Evidence
from proxysr.paper.histories import histories_table
from proxysr.paper.hrnn_groups import NO_USER
from proxysr.paper.known_users import effects_of
from proxysr.paper.popularity import by_popularity
from proxysr.paper.printed import published_results, published_shares, published_variants
from proxysr.paper.results import DASH, Cells, Log, Table, difference_text, value_text
from proxysr.paper.rows import (
    OF_MEASUREMENT,
    UNCHOSEN,
    DataRuns,
    Row,
    best_on_validation,
    group_rows,
    main_rows,
    runs_by_data,
    runs_by_share,
    seed_of,
)
from proxysr.paper.verdict import LEVEL, Differences, standing

TASKS: dict[str, Task] = {"Table 2, next unseen item": "unseen", "Table 3, with repeats": "repeat"}


def tabulated(
    evidence: Sequence[Evidence],
    *,
    reference: str = "proxysr",
    config: CompareConfig | None = None,
) -> list[Log]:
    """All tables of evaluated runs, by log.

    Parameters
    ----------
    evidence : sequence of Evidence
        Of different runs.
    reference : str
        The model of Tables 2 and 3 that the others are compared with; of several settings of it,
        those that are best on validation, and if it is not there, the row that is.
    config : CompareConfig, optional

    Raises
    ------
    ConfigError
        If kept ranks do not go as far as the metrics look.
    """
    config = CompareConfig() if config is None else config
    for one in evidence:
        one.check_depth(config.metrics)
    logs = []
    for data in runs_by_data(evidence):
        made = _Maker(data, config)
        tables = [*made.main_tables(reference), *made.table4(), *made.table6()]
        tables += histories_table(data, config)
        tables.sort(key=lambda table: (table.title.startswith("Figure"), table.title))
        logs.append(Log(data.name, data.about, tables))
    return logs


@dataclass(frozen=True)
class _Maker:
    """Makes the tables of one log."""

    data: DataRuns
    config: CompareConfig

    def main_tables(self, reference: str) -> list[Table]:
        """Tables 2, 3 and 5 and Figure 3."""
        tables = []
        for title, task in TASKS.items():
            rows = main_rows(self.data, task)
            for members in _by_targets(rows.models, task):
                tables.append(self.of_models(title, members, task, reference))
            if task == "unseen" and rows.ablations:
                printed = self.printed(5)
                table, differences = self.table(
                    "Table 5, ablations", rows.ablations, task, printed, "ProxySR"
                )
                if differences:
                    self.add_claims(table, rows.ablations, task, printed, "ProxySR")
                tables.append(table)
            if task == "unseen" and rows.sizes:
                figure, first = "Figure 3, number of proxies", rows.sizes[0].label
                tables.append(self.table(figure, rows.sizes, task, {}, first)[0])
        return tables

    def of_models(self, title: str, rows: Sequence[Row], task: Task, reference: str) -> Table:
        """Models beside each other, for one task."""
        own = [row for row in rows if row.model == reference]
        chosen = best_on_validation(own, task).label if own else None
        printed = self.printed(task)
        table, differences = self.table(title, rows, task, printed, chosen)
        table.settings = _settings(rows)
        table.notes += _only_some(rows)
        if len(own) > 1:
            table.notes.append(f"Of the settings of {reference}, validation chose {chosen}.")
        if len({row.model for row in rows}) > 1:
            table.standing = standing(self.data.name, task, rows, chosen, differences)
        if differences:  # else they did not rank the same targets, which the table says
            table.values = _values(rows, task, printed, differences)
            self.add_claims(table, rows, task, printed, "ProxySR")
            contenders = [row.contender(task) for row in rows]
            targets = rows[0].runs[0].ranked[task].targets
            frame = by_popularity(contenders, targets.popularity, targets.n_items, "R@20")
            records = frame.to_dict("records")
            table.popularity = [{str(head): cell for head, cell in one.items()} for one in records]
        return table

    def table4(self) -> list[Table]:
        """Users who are known."""
        shares = runs_by_share(self.data)
        if not shares:
            return []
        table = Table("Table 4, known users", "", sum(map(len, shares.values())))
        table.note_others(len(self.data.known))
        try:
            frame = effects_of(shares, config=self.config)
        except ValueError as error:
            table.notes.append(f"Not shown: {' '.join(str(error).split())}")
            return [table]
        printed: dict[tuple[Any, Any], float] = {
            (row["share"], row["metric"]): row["difference"]
            for row in published_shares().to_dict("records")
        }
        key: Any
        for key, rows in frame.groupby(["share", "sessions"], sort=False):
            share, kind = key
            first = rows.iloc[0]
            cells = {"known": f"{share} %, {kind}", "users": str(first["n_users"])}
            cells |= {"targets": str(first["n_targets"]), "seeds": str(first["seeds"])}
            for row in rows.to_dict("records"):
                metric = row["metric"]
                cells[metric] = value_text(row["value"], row["sd"])
                cells[f"Δ {metric}"] = difference_text(row, self.config.resamples)
                printed_value = printed.get((share, metric)) if share and kind == "all" else None
                paper = DASH if printed_value is None else f"{printed_value:+.4f}"
                cells[f"Δ {metric}, paper (LastFM)"] = paper
            table.rows.append(cells)
        return [table]

    def table6(self) -> list[Table]:
        """HRNN by groups of sessions."""
        rows, printed = group_rows(self.data), self.printed(6)
        if not rows:
            return []
        title = "Table 6, HRNN by groups of sessions"
        table, differences = self.table(title, rows, "unseen", printed, NO_USER)
        of_users = [run for run in self.data.plain if run.model_name == "hrnn"]
        table.note_others(len(self.data.grouped) + len(of_users))
        if differences:
            self.add_claims(table, rows, "unseen", printed, NO_USER)
        return [table]

    def printed(self, table: str | int) -> dict[tuple[str, str], float]:
        """The paper's values for these data, of a task or a table: row and metric to value."""
        if isinstance(table, str):
            rows = published_results().rename(columns={"printed": "variant"})
            rows = rows[rows["task"] == table]
        else:
            rows = published_variants(table)
        rows = rows[rows["dataset"] == self.data.dataset]
        return {(row["variant"], row["metric"]): row["value"] for _, row in rows.iterrows()}

    def add_claims(
        self, table: Table, rows: Sequence[Row], task: Task,
        printed: Mapping[tuple[str, str], float], base: str,
    ) -> None:  # fmt: skip
        """The paper's differences to one row beside ours."""
        if base in {row.printed for row in rows} and (base, self.config.metrics[0]) in printed:
            table.base = base
            table.claims = claims(rows, task, printed, base, self.config)

    def table(
        self, title: str, rows: Sequence[Row], task: Task,
        printed: Mapping[tuple[str, str], float], reference: str | None,
    ) -> tuple[Table, Differences]:  # fmt: skip
        """A table, with what is missing of its seeds, and the differences in it."""
        contenders = [row.contender(task) for row in rows]
        labels = [row.label for row in rows]
        min_prefix = rows[0].runs[0].ranked[task].min_prefix
        first = contenders[0].ranks[0]
        if reference not in labels:
            reference = best_on_validation(rows, task).label
        about = (
            f"{len(first):,} targets of {first['session_id'].nunique():,} test sessions, after at "
            f"least {min_prefix} click(s); differences to {reference}."
        )
        notes = []
        differences: dict[tuple[str, str], dict[Any, Any]] = {}
        if len(rows) > 1:
            try:
                frame = compare(contenders, self.config, reference=reference)
                differences = {(row["run"], row["metric"]): row for row in frame.to_dict("records")}
                notes += self.too_few_resamples((len(rows) - 1) * len(self.config.metrics))
            except ValueError as error:
                notes.append(f"No differences: {' '.join(str(error).split())}")
        names = dict.fromkeys(name for name, _ in printed)
        missing = [name for name in names if name not in {row.printed for row in rows}]
        if missing:
            notes.append(f"No runs of: {', '.join(missing)}.")
        learned = [row for row in rows if learns(row.runs[0].model_name)]
        seeds = sorted({seed_of(run) for row in learned for run in row.runs})
        by_lacking: dict[str, list[str]] = defaultdict(list)
        for row in learned:
            lacking = [str(seed) for seed in seeds if seed not in map(seed_of, row.runs)]
            by_lacking[", ".join(lacking)].append(row.label)
        notes += [f"No runs of seed {n}: {', '.join(by_lacking[n])}." for n in by_lacking if n]
        cells = [self.cells(row, task, printed, differences) for row in rows]
        cells += [self.printed_cells(name, printed) for name in missing]
        n_runs = sum(len(row.runs) for row in rows)
        return Table(title, about, n_runs, cells, notes), differences

    def too_few_resamples(self, n_tests: int) -> list[str]:
        """A warning where not even the smallest p-value is below the level after correction."""
        enough = math.ceil(n_tests / LEVEL)
        if self.config.resamples >= enough:
            return []
        return [
            f"{self.config.resamples:,} resamples cannot tell any of {n_tests} differences from "
            f"chance: take at least {enough:,}."
        ]

    def cells(
        self, row: Row, task: Task, printed: Mapping[tuple[str, str], float],
        differences: Differences,
    ) -> Cells:  # fmt: skip
        """What is shown of a row that has runs."""
        cells = {"": row.label, "seeds": str(len(row.runs))}
        for metric in self.config.metrics:
            values = row.values(task, metric)
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
            cells[metric] = value_text(float(np.mean(values)), sd)
            if printed:
                of_paper = printed.get((row.printed, metric))
                cells[f"{metric}, paper"] = DASH if of_paper is None else f"{of_paper:.4f}"
            if differences:
                cells[f"Δ {metric}"] = difference_text(
                    differences[row.label, metric], self.config.resamples
                )
        return cells

    def printed_cells(self, name: str, printed: Mapping[tuple[str, str], float]) -> Cells:
        """What is shown of a row of the paper that has no runs."""
        metrics = [metric for metric in self.config.metrics if (name, metric) in printed]
        values = {f"{metric}, paper": f"{printed[name, metric]:.4f}" for metric in metrics}
        return {"": name, "seeds": "0"} | values


def _values(
    rows: Sequence[Row], task: Task, printed: Mapping[tuple[str, str], float],
    differences: Differences,
) -> pd.DataFrame:  # fmt: skip
    """See :attr:`Table.values`."""
    about = {row.label: row for row in rows}
    return pd.DataFrame(
        {
            "run": label.removesuffix(UNCHOSEN), "task": task, "metric": metric,
            "kind": "learned" if learns(about[label].model) else "counting",
            **{name: difference[name] for name in ("value", "low", "high")},
            "published": printed.get((about[label].printed, metric), np.nan),
        }
        for (label, metric), difference in differences.items()
    )  # fmt: skip


def _by_targets(rows: Sequence[Row], task: Task) -> list[list[Row]]:
    """Rows grouped by their targets; each group gets its own table."""
    by_targets: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in rows:
        ranked = row.runs[0].ranked[task]
        by_targets[ranked.min_prefix, ranked.targets.fingerprint].append(row)
    return [by_targets[key] for key in sorted(by_targets)]


def _calibrates(model: type[SessionModel]) -> bool:
    return issubclass(model, LearnedModel) and model.calibrate is not LearnedModel.calibrate


def _only_some(rows: Sequence[Row]) -> list[str]:
    """What some of the models that learn have, and others have not."""
    learned = [row for row in rows if learns(row.model)]
    having = {
        "Averages of the weights over epochs": [
            row.label for row in learned if row.runs[0].train_config.averaging
        ],
        "Numbers that are fitted to the validation sessions after each epoch, for both tasks": [
            row.label for row in learned if _calibrates(model_class(row.model))
        ],
    }
    return [
        f"{what}: {', '.join(labels)}, and none of the other models that learn."
        for what, labels in having.items()
        if 0 < len(labels) < len(learned)
    ]


def _settings(rows: Sequence[Row]) -> list[str]:
    """What each row was trained with, where it differs from the defaults, and how long."""
    lines = []
    for row in rows:
        first = row.runs[0]
        parts = [_differing(first.model_config)]
        if learns(first.model_name):
            epochs = (f"{run.best_epoch + 1} of {run.n_epochs}" for run in row.runs)
            parts += [_differing(first.train_config), f"best epoch {', '.join(epochs)}"]
        label = row.label.removesuffix(UNCHOSEN)
        lines.append(f"{label}: {'; '.join(filter(None, parts)) or 'the defaults'}")
    return lines


def _differing(settings: Settings) -> str:
    """The settings that differ from the defaults, but for those of the measurement."""
    default = type(settings)().to_dict()
    return ", ".join(
        f"{name} {value}"
        for name, value in settings.to_dict().items()
        if value != default[name] and name not in OF_MEASUREMENT
    )
