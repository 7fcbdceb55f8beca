"""Table 4 once more: users who are known by their earlier sessions, and not by name.

The paper's model learns a bias for each known user. A model that reads earlier sessions as a prior
of the proxies, such as ``latent_proxy``, needs nothing of the kind, and knows all who come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from proxysr.analysis.alike import by_settings
from proxysr.analysis.known_history import METRIC, NOBODY, by_clicks, gains, history_sentences
from proxysr.analysis.significance import CompareConfig
from proxysr.evaluation import WhoseHistory
from proxysr.paper.evidence import Evidence
from proxysr.paper.results import Cells, Table, difference_text, value_text
from proxysr.paper.rows import DataRuns, Row, best_on_validation, seed_of

WHOSE: tuple[WhoseHistory, ...] = get_args(WhoseHistory)


def histories_table(data: DataRuns, config: CompareConfig) -> list[Table]:
    """What earlier sessions give, for each model that has read them; none if there is no run."""
    runs = [run for run in data.plain if set(run.histories) == set(WHOSE)]
    models = dict.fromkeys(run.model_name for run in runs)
    return [_of_model(name, [r for r in runs if r.model_name == name], config) for name in models]


def _of_model(name: str, runs: Sequence[Evidence], config: CompareConfig) -> Table:
    """The runs of the settings that are best on validation."""
    settings = [Row(name, group) for group in by_settings(runs)]
    best = sorted(best_on_validation(settings, "unseen").runs, key=seed_of)
    table = Table(f"Table 4, the prior of {name} by earlier sessions", "", len(best))
    table.note_others(len(runs))
    frames = {whose: [run.histories[whose].frame() for run in best] for whose in WHOSE}
    ranks = by_clicks(frames, [seed_of(run) for run in best])
    try:
        found, against = gains(ranks, config)
    except ValueError as error:
        table.notes.append(f"Not shown: {' '.join(str(error).split())}")
        return table
    n_sessions = int(found["n_sessions"].max())
    table.about = (
        f"{n_sessions:,} test sessions of users who were seen before, next unseen item; "
        f"differences to {NOBODY}."
    )
    for (clicks, read), rows in found.groupby(["clicks", "run"], sort=False):
        first = rows.iloc[0]
        cells: Cells = {"": f"{clicks}, {read}", "seeds": str(first["seeds"])}
        cells["targets"] = str(first["n_targets"])
        for row in rows.to_dict("records"):
            cells[row["metric"]] = value_text(row["value"], row["sd"])
            cells[f"Δ {row['metric']}"] = difference_text(row, config.resamples)
        table.rows.append(cells)
    if METRIC in config.metrics:
        table.notes += history_sentences(found, against)
    return table
