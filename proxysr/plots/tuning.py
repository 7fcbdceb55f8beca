"""Trials of a search: settings and results."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.theme import BLUE, GREY, ORANGE, finish, plain

ACROSS = 3
STYLES = {"complete": (BLUE, "circle"), "pruned": (GREY, "circle-open"), "best": (ORANGE, "star")}


def tried_settings(
    trials: pd.DataFrame, settings: Sequence[str] | None = None, *, metric: str = "R@20"
) -> go.Figure:
    """A panel for each setting: its values, in order, and the metric of the trials.

    Parameters
    ----------
    trials : DataFrame
        One row a trial: ``trial``, ``state``, ``metric``, and a column for each setting. Trials
        that are neither complete nor pruned, or have no value, are left out.
    settings : sequence of str, optional
        Columns to show; all after ``stopped`` that took more than one value, if left out.
    metric : str
        Column for the vertical axis.
    """
    rows = trials[trials["state"].isin(["complete", "pruned"]) & trials[metric].notna()]
    require(len(rows) > 0, "No trial was completed or pruned yet, so there is nothing to show.")
    if settings is None:
        columns = list(trials.columns)[list(trials.columns).index("stopped") + 1 :]
        settings = [name for name in columns if rows[name].nunique(dropna=False) > 1] or columns
    complete = rows[rows["state"] == "complete"]
    parts = {"complete": complete, "pruned": rows[rows["state"] == "pruned"]}
    if len(complete):
        parts["best"] = complete.loc[[complete[metric].idxmax()]]
    down = -(-len(settings) // ACROSS)
    fig = make_subplots(
        down, min(ACROSS, len(settings)), shared_yaxes=True, horizontal_spacing=0.03,
        vertical_spacing=0.22 / down, subplot_titles=[plain(name) for name in settings],
    )  # fmt: skip
    for place, name in enumerate(settings):
        cell = {"row": place // ACROSS + 1, "col": place % ACROSS + 1}
        values = sorted(rows[name].dropna().unique().tolist())
        for part, group in parts.items():
            colour, symbol = STYLES[part]
            fig.add_scatter(
                x=[plain(f"{v:g}" if isinstance(v, float) else v) for v in group[name]],
                y=group[metric], customdata=group["trial"], mode="markers", name=part,
                legendgroup=part, showlegend=place == 0,
                marker={"color": colour, "symbol": symbol, "size": 14 if part == "best" else 8},
                hovertemplate=f"trial %{{customdata}}: {plain(name)} = %{{x}}, {metric} %{{y:.4f}}"
                "<extra></extra>",
                **cell,
            )  # fmt: skip
        shown = [plain(f"{v:g}" if isinstance(v, float) else v) for v in values]
        fig.update_xaxes(type="category", categoryorder="array", categoryarray=shown, **cell)
    fig.update_yaxes(title_text=metric, col=1)
    fig.update_annotations(font_size=14)
    return finish(fig, "Which settings did well?", width=1100, height=110 + 250 * down)
