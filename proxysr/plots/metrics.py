"""Metrics of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.theme import TASK_COLOURS, TASK_NAMES, finish


def metric_bars(
    metrics: Mapping[str, Mapping[str, float]], *, n_targets: Mapping[str, int] | None = None
) -> go.Figure:
    """Recall and reciprocal rank of the tasks, side by side.

    Parameters
    ----------
    metrics : mapping
        Task ("unseen", "repeat") to ``{"R@5": …, "MRR@5": …, …}``, shares in [0, 1].
    n_targets : mapping, optional
        Task to the number of its targets, for the legend: the tasks score different targets.
    """
    require(bool(metrics), "There are no metrics to show.")
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    groups = [
        ("share of targets in the top k", [name for name in names if name.startswith("R@")]),
        ("mean reciprocal rank", [name for name in names if name.startswith("MRR@")]),
    ]
    groups = [(title, members) for title, members in groups if members]
    require(
        bool(groups), f"There is no R@k or MRR@k among the metrics: {', '.join(map(str, names))}."
    )
    fig = make_subplots(1, len(groups), horizontal_spacing=0.12)
    for column, (title, members) in enumerate(groups, start=1):
        for task, values in metrics.items():
            shown = [values.get(name) for name in members]
            count = f" ({n_targets[task]:,} targets)" if n_targets and task in n_targets else ""
            fig.add_bar(
                x=members,
                y=shown,
                name=TASK_NAMES.get(task, task) + count,
                legendgroup=task,
                showlegend=column == 1,
                text=["" if value is None else f"{value:.3f}" for value in shown],
                textposition="outside",
                cliponaxis=False,
                marker_color=TASK_COLOURS.get(task),
                hovertemplate=f"%{{x}} = %{{y:.4f}}<extra>{TASK_NAMES.get(task, task)}</extra>",
                row=1,
                col=column,
            )
        fig.update_yaxes(title_text=title, rangemode="tozero", row=1, col=column)
    return finish(fig, "How often is the next item among the first k?", width=900)
