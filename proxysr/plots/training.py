"""Learning curves: loss, validation metrics, annealing, and use of the proxies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.comparison import SYMBOLS
from proxysr.plots.theme import COLOURS, GREY, finish, plain


@dataclass(frozen=True)
class _Panel:
    title: str
    columns: tuple[str, ...]
    axis: dict[str, Any]


PANELS = (
    _Panel("Validation", ("R@20", "MRR@20"), {"rangemode": "tozero"}),
    _Panel("Loss", ("loss", "hinge", "dist", "orthog", "norm"), {}),
    _Panel("Share of violated margins", ("violated",), {"range": [0, 1.04]}),
    _Panel("Temperature τ", ("temperature",), {"type": "log", "dtick": 1}),
    _Panel("Proxies in use", ("proxies_in_use", "effective_proxies"), {"rangemode": "tozero"}),
    _Panel("Weight of the chosen proxy (mean max π)", ("mean_max_pi",), {"range": [0, 1.04]}),
)
ACROSS = 3
LABEL_GAP = 0.035
"""Least distance of two labels of lines, as a share of the largest value."""


def learning_curves(
    history: pd.DataFrame, *, best_epoch: int, half_epoch: int | None = None
) -> go.Figure:
    """One panel for each logged quantity, with the half-way and the best epoch marked.

    Parameters
    ----------
    history : DataFrame
        One row an epoch: ``epoch`` and some of the columns in ``PANELS``. Parts of the loss
        that are zero throughout are left out.
    best_epoch, half_epoch : int
        Epochs to mark.
    """
    require(
        "epoch" in history and len(history) > 0,
        f"Learning curves need rows with an epoch; received {len(history)} rows with columns "
        f"{', '.join(map(str, history))}.",
    )
    panels = [(panel, _present(panel.columns, history)) for panel in PANELS]
    panels = [(panel, columns) for panel, columns in panels if columns]
    require(bool(panels), "The history has none of the columns that learning curves show.")
    down = -(-len(panels) // ACROSS)
    fig = make_subplots(
        down,
        min(ACROSS, len(panels)),
        subplot_titles=[_titled(panel.title, columns) for panel, columns in panels],
        horizontal_spacing=0.08,
        vertical_spacing=0.2,
    )
    marks = {best_epoch: "best"} | (
        {} if half_epoch in (None, best_epoch) else {half_epoch: "half"}
    )
    for place, (panel, columns) in enumerate(panels):
        row, col = place // ACROSS + 1, place % ACROSS + 1
        for colour, name in zip(COLOURS, columns, strict=False):
            fig.add_scatter(
                x=history["epoch"],
                y=history[name],
                name=name,
                mode="lines+markers",
                marker_size=5,
                line_color=colour,
                showlegend=False,
                hovertemplate=f"epoch %{{x}}: {name} %{{y:.4g}}<extra></extra>",
                row=row,
                col=col,
            )
        for epoch, text in marks.items():
            fig.add_vline(
                x=epoch,
                line={"color": GREY, "dash": "dot", "width": 1.5},
                annotation={"text": text, "font": {"color": GREY, "size": 11}},
                annotation_position="top right",
                row=row,
                col=col,
            )
        fig.update_yaxes(**panel.axis, row=row, col=col)
        fig.update_xaxes(title_text="epoch" if place + ACROSS >= len(panels) else None,
                         row=row, col=col)  # fmt: skip
    fig.update_annotations(selector={"yref": "paper"}, font_size=14)
    return finish(fig, "How did training go?", width=1100, height=90 + 270 * down)


def _titled(title: str, columns: Sequence[str]) -> str:
    """A panel's title; several lines are named in it in their colours, instead of a legend."""
    if len(columns) == 1:
        return title
    names = zip(COLOURS, columns, strict=False)
    spans = [f'<span style="color:{colour}">{name}</span>' for colour, name in names]
    return f"{title}: {' · '.join(spans)}"


def _present(columns: Sequence[str], history: pd.DataFrame) -> list[str]:
    return [
        name
        for name in columns
        if name in history and history[name].notna().any() and (history[name] != 0).any()
    ]


def quality_over_minutes(
    epochs: pd.DataFrame, lines: Mapping[str, float], metric: str
) -> go.Figure:
    """A line a model over the minutes that it was trained, and what it should pass.

    Parameters
    ----------
    epochs : DataFrame
        ``model`` (at most seven), ``minutes`` and the metric: one row an epoch.
    lines : mapping
        Name to a value that a model should pass: horizontal lines.
    metric : str
        Column of the values, and the axis.
    """
    models = list(dict.fromkeys(epochs["model"])) if len(epochs) else []
    require(
        0 < len(models) <= len(COLOURS),
        f"Lines of 1 to {len(COLOURS)} models can be told apart; received {len(models)}.",
    )
    fig = go.Figure()
    for model, colour, symbol in zip(models, COLOURS, SYMBOLS, strict=False):
        rows, name = epochs[epochs["model"] == model], plain(model)
        fig.add_scatter(
            x=rows["minutes"],
            y=rows[metric],
            mode="lines+markers",
            name=name,
            line_color=colour,
            marker={"size": 7, "symbol": symbol},
            hovertemplate=f"{name} after %{{x:.3~r}} min: {metric} %{{y:.4f}}<extra></extra>",
        )
    gap = LABEL_GAP * max([*lines.values(), *epochs[metric]], default=0)
    label = -gap
    for name, value in sorted(lines.items(), key=lambda line: line[1]):
        fig.add_hline(y=value, line={"color": GREY, "dash": "dash", "width": 1.5})
        label = max(value, label + gap)  # beside the axes, where labels of near lines find room
        fig.add_annotation(
            text=f"{plain(name)} {value:.3f}", font={"color": GREY, "size": 11}, showarrow=False,
            x=1, xref="paper", xanchor="left", y=label, align="left",
        )  # fmt: skip
    ticks = [unit * step for unit in (0.01, 0.1, 1, 10, 100) for step in (1, 2, 5)]
    fig.update_xaxes(title_text="minutes of training", type="log", tickvals=ticks)
    fig.update_yaxes(title_text=f"{metric} on validation", rangemode="tozero")
    fig = finish(fig, "How soon is a model good?", width=900, height=520)
    fig.update_layout(legend={"y": -0.17, "yanchor": "top"}, margin_b=100)
    return fig.update_layout(margin_r=190) if lines else fig
