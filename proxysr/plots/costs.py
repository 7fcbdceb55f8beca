"""Costs of training and ranking: predicted and measured, and by parts of a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.comparison import SYMBOLS
from proxysr.plots.theme import COLOURS, GREY, finish, plain

SIZES = {"n_items": "N", "embedding_dim": "d", "n_proxies": "K", "batch_size": "B"}


def predicted_measured(table: pd.DataFrame) -> go.Figure:
    """A mark for each part and size, on logarithmic axes, with the line on which both are equal.

    Parameters
    ----------
    table : DataFrame
        ``n_items``, ``embedding_dim``, ``n_proxies``, ``batch_size``, ``part`` (at most seven),
        ``predicted_ms``, ``measured_ms`` (both positive).
    """
    parts = _parts(table)
    times = table[["predicted_ms", "measured_ms"]].to_numpy()
    low, high = times.min() / 1.6, times.max() * 1.6
    fig = go.Figure(
        go.Scatter(
            x=[low, high], y=[low, high], mode="lines", name="equal", hoverinfo="skip",
            line={"color": GREY, "width": 1.5, "dash": "dash"},
        )
    )  # fmt: skip
    for part, colour, symbol in zip(parts, COLOURS, SYMBOLS, strict=False):
        rows = table[table["part"] == part]
        fig.add_scatter(
            x=rows["predicted_ms"],
            y=rows["measured_ms"],
            mode="markers",
            name=plain(part),
            marker={"size": 10, "color": colour, "symbol": symbol, "opacity": 0.85},
            customdata=[_sizes(row) for row in rows.to_dict("records")],
            hovertemplate=f"{plain(part)}: predicted %{{x:.3~r}} ms, measured %{{y:.3~r}} ms<br>"
            "%{customdata}<extra></extra>",
        )
    fig.update_xaxes(title_text="predicted, ms", type="log", dtick=1)
    fig.update_yaxes(title_text="measured, ms", type="log", dtick=1)
    fig = finish(fig, "Do sizes and rates tell how long it takes?", width=900, height=560)
    return fig.update_layout(
        legend={"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}
    )


def step_bars(table: pd.DataFrame) -> go.Figure:
    """Predicted, measured and floor, stacked by the parts of a step, one panel for each size.

    Parameters
    ----------
    table : DataFrame
        The columns of :func:`predicted_measured` and ``floor_ms``. Rows without a floor are parts
        of the step; the row "training step" has its floor.
    """
    steps = table[table["part"] == "training step"]
    require(len(steps) > 0, "There is no training step to show.")
    parts_only = table[table["floor_ms"].isna()]
    parts = _parts(parts_only)
    keys = list(SIZES)
    varying = [key for key in keys if table[key].nunique() > 1] or ["n_items"]
    panels = steps.to_dict("records")
    fig = make_subplots(
        1,
        len(panels),
        horizontal_spacing=0.25 / len(panels),
        subplot_titles=[_sizes(row, varying) for row in panels],
    )
    for col, size in enumerate(panels, start=1):
        panel = parts_only[(parts_only[keys] == pd.Series(size)[keys]).all(axis=1)]
        for part, colour in zip(parts, COLOURS, strict=False):
            row = panel[panel["part"] == part]
            fig.add_bar(
                x=["predicted", "measured"],
                y=[row["predicted_ms"].sum(), row["measured_ms"].sum()],
                name=plain(part),
                legendgroup=plain(part),
                showlegend=col == 1,
                marker_color=colour,
                hovertemplate=f"%{{x}}: {plain(part)} %{{y:.3~r}} ms<extra></extra>",
                row=1,
                col=col,
            )
        fig.add_bar(
            x=["floor"], y=[size["floor_ms"]], name="products alone", legendgroup="floor",
            showlegend=col == 1, marker_color=GREY,
            hovertemplate="products alone, measured: %{y:.3~r} ms<extra></extra>",
            row=1, col=col,
        )  # fmt: skip
    fig.update_yaxes(rangemode="tozero")
    fig.update_yaxes(title_text="ms for a step", row=1, col=1)
    fig.update_annotations(font_size=14)
    fig = finish(fig, "Where does the time of a training step go?", width=980, height=460)
    return fig.update_layout(barmode="stack", legend={"y": -0.16, "yanchor": "top"})


def growth_lines(table: pd.DataFrame, exponents: Mapping[str, float | None]) -> go.Figure:
    """Time over the number of items, a line a part, on logarithmic axes.

    Parameters
    ----------
    table : DataFrame
        ``part`` (at most seven), ``n_items`` and ``ms``, both positive.
    exponents : mapping
        Part to the power of the items that its time grows with, if known.
    """
    fig = go.Figure()
    for part, colour, symbol in zip(_parts(table), COLOURS, SYMBOLS, strict=False):
        rows, power = table[table["part"] == part].sort_values("n_items"), exponents.get(part)
        fig.add_scatter(
            x=rows["n_items"],
            y=rows["ms"],
            mode="lines+markers",
            name=plain(part) + ("" if power is None else f", N^{power:.2f}"),
            line_color=colour,
            marker={"size": 8, "symbol": symbol},
            hovertemplate=f"{plain(part)} with %{{x:,}} items: %{{y:.3~r}} ms<extra></extra>",
        )
    sizes = sorted(set(table["n_items"]))
    fig.update_xaxes(
        title_text="items N", type="log", tickvals=sizes, ticktext=[f"{n:,}" for n in sizes]
    )
    fig.update_yaxes(title_text="ms", type="log", dtick=1)
    fig = finish(fig, "How does time grow with the catalogue?", width=900, height=560)
    return fig.update_layout(
        legend={"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}
    )


def _parts(table: pd.DataFrame) -> list[str]:
    parts = list(dict.fromkeys(table["part"]))
    require(
        0 < len(parts) <= len(COLOURS),
        f"1 to {len(COLOURS)} parts can be distinguished; received {len(parts)}.",
    )
    return parts


def _sizes(row: Mapping[Any, Any], keys: list[str] | None = None) -> str:
    return ", ".join(f"{SIZES[key]} = {row[key]:,}" for key in keys or SIZES)
