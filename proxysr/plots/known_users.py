"""What changes with the share of users that are known."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.theme import BLACK, BLUE, COLOURS, GREY, finish, plain

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
SIDE = 0.09
"""By how much neighbours at the same share stand apart, in steps of the axis."""


def share_effects(
    table: pd.DataFrame, metric: str, *, published: pd.DataFrame | None = None
) -> go.Figure:
    """A metric over the share of known users, and beside it the difference to 0 %.

    Parameters
    ----------
    table : DataFrame
        ``share`` (percent), ``sessions`` ("all" and other kinds), ``n_targets``, ``metric``,
        ``value``, ``low``, ``high``, ``difference``, ``difference_low``, ``difference_high``,
        ``least``, ``most`` (of the seeds).
    metric : str
        Which rows to show.
    published : DataFrame, optional
        ``share``, ``metric`` and ``difference``, as hollow markers.
    """
    rows = table[table["metric"] == metric]
    require(len(rows) > 0, f"The table has no rows of metric {metric!r}.")
    places = _places(rows)
    fig = make_subplots(1, 2, horizontal_spacing=0.13, subplot_titles=[
        f"{metric} over all sessions", "less that of 0 % on the same sessions"
    ])  # fmt: skip
    whole = rows[rows["sessions"] == "all"]
    fig.add_scatter(
        x=whole["share"].map(places),
        y=whole["value"],
        error_y=_bars(whole, "value", "low", "high"),
        mode="lines+markers",
        marker={"size": 9, "symbol": SYMBOLS[0]},
        line_color=BLUE,
        showlegend=False,
        customdata=whole[["share", "n_targets"]],
        hovertemplate=f"%{{customdata[0]}} % known: {metric} %{{y:.4f}} "
        "(%{customdata[1]:,} targets)<extra></extra>",
        row=1,
        col=1,
    )
    kinds = list(dict.fromkeys(rows["sessions"]))
    differing = rows[rows["share"] > 0]
    beside = None if published is None else published[published["metric"] == metric]
    shown = [kind for kind in kinds if (differing["sessions"] == kind).any()]
    n = len(shown) + (beside is not None)
    for i, kind in enumerate(shown):
        some = differing[differing["sessions"] == kind]
        x = some["share"].map(places) + (i - (n - 1) / 2) * SIDE
        look = {"color": COLOURS[i], "symbol": SYMBOLS[i]}
        fig.add_scatter(
            x=x,
            y=some["difference"],
            error_y=_bars(some, "difference", "difference_low", "difference_high"),
            mode="lines+markers",
            marker={"size": 9} | look,
            line={"width": 1.3, "color": COLOURS[i]},
            name=plain(_name(kind)),
            legendgroup=kind,
            customdata=some[["share", "n_targets", "difference_low", "difference_high"]],
            hovertemplate=f"%{{customdata[0]}} % known, {plain(_name(kind))}: %{{y:+.4f}}, "
            "%{customdata[2]:+.4f} to %{customdata[3]:+.4f} (%{customdata[1]:,} targets)"
            "<extra></extra>",
            row=1,
            col=2,
        )
        if (some["least"] < some["most"]).any():
            for end in ("least", "most"):
                fig.add_scatter(
                    x=x,
                    y=some[end],
                    mode="markers",
                    marker={"size": 6, "symbol": "line-ew-open", "color": COLOURS[i],
                            "line": {"width": 2}},
                    legendgroup=kind,
                    showlegend=False,
                    hovertemplate=f"{end} of the seeds: %{{y:+.4f}}<extra></extra>",
                    row=1,
                    col=2,
                )  # fmt: skip
    if beside is not None:
        some = beside[beside["share"].isin(differing["share"])]
        fig.add_scatter(
            x=some["share"].map(places) + (n - 1) / 2 * SIDE,
            y=some["difference"],
            mode="markers",
            marker={"size": 10, "symbol": "diamond-open", "color": BLACK},
            name="published (LastFM, all)",
            customdata=some["share"],
            hovertemplate="published, %{customdata} % known: %{y:+.4f}<extra></extra>",
            row=1,
            col=2,
        )
    # an empty panel would get no line
    fig.add_hline(y=0, line={"color": GREY, "width": 1.5}, layer="below", row=1, col=2)
    _share_axes(fig, places)
    fig.update_annotations(font_size=14)
    fig = finish(fig, f"Does {metric} grow with the share of known users?", width=980, height=470)
    return fig.update_layout(legend={"y": -0.22, "yanchor": "top"}, margin_b=100)


def share_lines(
    table: pd.DataFrame, value: str, name: str, title: str, *, panels: str | None = None
) -> go.Figure:
    """A line a choice over the share of known users: means over the seeds, which are small dots.

    Parameters
    ----------
    table : DataFrame
        ``share`` (percent), ``choice``, ``value``, and ``panels`` if named; a row a seed.
    value : str
        Column to show.
    name : str
        What it is, for the axis.
    title : str
        A question.
    panels : str, optional
        Column whose values have a panel each.
    """
    require(len(table) > 0, f"There is no {name} to show.")
    places = _places(table)
    choices = list(dict.fromkeys(table["choice"]))
    kinds = list(dict.fromkeys(table[panels])) if panels else [None]
    titles = [f"sessions of {kind}" for kind in kinds] if panels else None
    fig = make_subplots(1, len(kinds), shared_yaxes=True, horizontal_spacing=0.05,
                        subplot_titles=titles)  # fmt: skip
    for col, kind in enumerate(kinds, start=1):
        inside = table[table[panels] == kind] if panels else table
        for i, choice in enumerate(choices):
            some = inside[inside["choice"] == choice]
            means = some.groupby("share", as_index=False)[value].mean()
            shift = (i - (len(choices) - 1) / 2) * SIDE
            common: dict[str, Any] = {"legendgroup": choice, "row": 1, "col": col}
            fig.add_scatter(
                x=means["share"].map(places) + shift,
                y=means[value],
                mode="lines+markers",
                marker={"size": 9, "symbol": SYMBOLS[i]},
                line_color=COLOURS[i],
                name=plain(choice),
                showlegend=col == 1,
                customdata=means["share"],
                hovertemplate=f"%{{customdata}} % known, {plain(choice)}: %{{y:.4f}}"
                "<extra></extra>",
                **common,
            )
            fig.add_scatter(
                x=some["share"].map(places) + shift,
                y=some[value],
                mode="markers",
                marker={"size": 4, "color": COLOURS[i], "opacity": 0.6},
                showlegend=False,
                hoverinfo="skip",
                **common,
            )
    _share_axes(fig, places)
    fig.update_yaxes(title_text=name, col=1)
    fig.update_annotations(font_size=14)
    fig = finish(fig, title, width=900 if len(kinds) > 1 else 700)
    return fig.update_layout(legend={"y": -0.25, "yanchor": "top"}, margin_b=100)


def _name(kind: str) -> str:
    return "all sessions" if kind == "all" else f"sessions of {kind}"


def _places(table: pd.DataFrame) -> dict[int, int]:
    """Where shares stand: side by side, in their order."""
    return {share: i for i, share in enumerate(sorted(set(table["share"])))}


def _share_axes(fig: go.Figure, places: dict[int, int]) -> None:
    fig.update_xaxes(
        title_text="share of frequent users that are known",
        tickvals=list(places.values()),
        ticktext=[f"{share} %" for share in places],
        range=[-0.4, len(places) - 0.6],
    )


def _bars(rows: pd.DataFrame, value: str, low: str, high: str) -> dict[str, Any]:
    up, down = rows[high] - rows[value], rows[value] - rows[low]
    return {"array": up, "arrayminus": down, "symmetric": False, "thickness": 1.3, "width": 4}
