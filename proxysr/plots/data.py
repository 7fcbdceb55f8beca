"""Pictures of a data set: session lengths, item popularity, time, and steps of preparation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.theme import BLUE, GREY, PART_COLOURS, VERMILION, finish, plain

Numbers = npt.NDArray[Any]
MOST_POINTS = 400
DAY = 86_400
COUNTS = ("interactions", "sessions", "items", "users")


def session_lengths(lengths: Mapping[str, Numbers]) -> go.Figure:
    """Share of sessions of each length, one line a part.

    Parameters
    ----------
    lengths : mapping
        Part ("train", "valid", "test") to the numbers of clicks of its sessions.
    """
    fig = go.Figure()
    longest = 0
    for part, values in lengths.items():
        clicks, sessions = np.unique(np.asarray(values), return_counts=True)
        if not len(clicks):
            continue
        longest = max(longest, int(clicks.max()))
        fig.add_scatter(
            x=clicks,
            y=sessions / sessions.sum(),
            customdata=sessions,
            mode="lines+markers",
            marker_size=5,
            cliponaxis=False,
            name=f"{part} (mean {np.mean(values):.1f})",
            line_color=PART_COLOURS.get(part),
            hovertemplate="%{x} clicks: %{y:.1%} (%{customdata:,} sessions)<extra></extra>",
        )
    require(bool(fig.data), "There are no sessions to show the lengths of.")
    fig.update_xaxes(title_text="clicks of a session")
    if longest > 100:  # a long tail would squeeze the rest
        fig.update_xaxes(type="log", dtick="D2")
    fig.update_yaxes(title_text="share of sessions", tickformat=".0%", rangemode="tozero")
    return finish(fig, "How long are the sessions?")


def item_popularity(counts: Numbers) -> go.Figure:
    """Clicks of items by rank, on logarithmic axes, with the share of the most popular tenth.

    Parameters
    ----------
    counts : (n_items,)
        Clicks of each item, in any order; items without clicks are left out.
    """
    clicks = np.sort(np.asarray(counts))[::-1]
    clicks = clicks[clicks > 0]
    require(len(clicks) > 0, "There are no clicks to show the popularity of.")
    # a million items look the same with some hundred points, evenly spaced on this axis
    rank = np.unique(np.geomspace(1, len(clicks), MOST_POINTS).round().astype(int))
    top = clicks[: max(1, len(clicks) // 10)].sum() / clicks.sum()
    fig = go.Figure(
        go.Scatter(
            x=rank,
            y=clicks[rank - 1],
            mode="lines",
            cliponaxis=False,
            line={"color": BLUE, "width": 3},
            hovertemplate="rank %{x:,}: %{y:,} clicks<extra></extra>",
        )
    )
    fig.add_vline(x=max(1, len(clicks) // 10), line={"color": GREY, "dash": "dot"})
    fig.add_annotation(
        text=f"the most popular tenth of {len(clicks):,} items<br>takes {top:.0%} of the clicks",
        x=np.log10(max(1, len(clicks) // 10)),
        y=1,
        yref="paper",
        xanchor="right",
        yanchor="top",
        align="right",
        xshift=-8,
        showarrow=False,
    )
    fig.update_xaxes(title_text="rank of the item by clicks", type="log", dtick=1)
    fig.update_yaxes(title_text="clicks in training", type="log", dtick=1)
    return finish(fig, "How uneven is popularity?")


def sessions_over_time(started_at: Mapping[str, Numbers]) -> go.Figure:
    """Sessions that began in each period (a day, week or month), stacked by part.

    Parameters
    ----------
    started_at : mapping
        Part to the seconds since 1970 of its sessions' first clicks. Running numbers that are
        no dates (below 1e8, before 1973) are shown as numbers; NaN is left out.
    """
    times = {part: np.asarray(t)[np.isfinite(t)] for part, t in started_at.items()}
    all_times = np.concatenate([np.empty(0), *times.values()])
    require(len(all_times) > 0, "No session has a time to show.")
    dates = all_times.min() >= 1e8
    low, high = float(all_times.min()), float(all_times.max())
    if dates:
        days = (high - low) / DAY
        width, unit = next(
            (w, u) for w, u, longest in ((1, "day", 120), (7, "week", 800), (30, "30 days", np.inf))
            if days <= longest
        )  # fmt: skip
        edges = np.arange(np.floor(low / DAY), np.floor(high / DAY) + width + 1, width) * DAY
    else:
        edges, unit = np.linspace(low, np.nextafter(high, np.inf), 61), "step"
    fig = go.Figure()
    for part, values in times.items():
        sessions, _ = np.histogram(values, edges)
        x = edges[:-1]
        fig.add_bar(
            x=pd.to_datetime(x, unit="s") if dates else x,
            y=sessions,
            name=part,
            marker_color=PART_COLOURS.get(part),
            hovertemplate=f"%{{x}}: %{{y:,}} sessions of {part}<extra></extra>",
        )
    fig.update_layout(barmode="stack")
    fig.update_xaxes(title_text="date of the first click" if dates else "first click, in order")
    fig.update_yaxes(title_text=f"sessions a {unit}")
    fig = finish(fig, "When did the sessions happen, and what is predicted from what?")
    return fig.update_layout(bargap=0.05, legend_traceorder="normal")


def provenance_steps(table: pd.DataFrame) -> go.Figure:
    """Counts after every step of the preparation: one panel a count.

    Parameters
    ----------
    table : DataFrame
        ``step`` and some of ``interactions``, ``sessions``, ``items``, ``users``; missing values
        are counts not known at a step. A step that begins with "published" is set apart.
    """
    names = [name for name in COUNTS if name in table and table[name].notna().any()]
    require(bool(names) and "step" in table, "The table of steps has no step or no counts.")
    steps = [plain(step) for step in table["step"]]
    fig = make_subplots(1, len(names), shared_yaxes=True, horizontal_spacing=0.03)
    for column, name in enumerate(names, start=1):
        values = [None if pd.isna(v) else int(v) for v in table[name]]
        fig.add_bar(
            y=list(range(len(steps))),
            x=values,
            orientation="h",
            text=["" if v is None else f"{v:,}" for v in values],
            textposition="auto",
            insidetextanchor="start",
            cliponaxis=False,
            marker_color=[_step_colour(step) for step in steps],
            customdata=steps,
            hovertemplate=f"%{{customdata}}: %{{x:,}} {name}<extra></extra>",
            showlegend=False,
            row=1,
            col=column,
        )
        fig.update_xaxes(title_text=name, nticks=3, rangemode="tozero", row=1, col=column)
    fig.update_yaxes(showgrid=False, autorange="reversed", ticks="", ticklabelstandoff=6)
    fig.update_yaxes(tickvals=list(range(len(steps))), ticktext=steps, row=1, col=1)
    fig = finish(fig, "What did preparation leave?", width=980, height=150 + 34 * len(steps))
    return fig.update_layout(bargap=0.2)


def _step_colour(step: str) -> str:
    if step.startswith("published"):
        return VERMILION
    part = step.partition(",")[0]  # "train", or "train, with items …"
    return PART_COLOURS.get(part, GREY)
