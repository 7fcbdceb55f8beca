"""Flow of sessions from the proxies half-way to those of the best epoch."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from proxysr.config import require
from proxysr.plots.theme import BLUE, GREY, ORANGE, finish

MOST_PROXIES = 15
LEAST = 0.015
"""Least share of sessions of a proxy with its own band."""
OTHERS = -1
KEPT, WENT = "rgba(0,114,178,0.45)", "rgba(230,159,0,0.45)"


def flow_picture(
    flows: pd.DataFrame, *, title: str = "Which proxies came, went and merged?", subtitle: str = ""
) -> go.Figure:
    """Bands from the proxies half-way (left) to the later ones (right), as wide as their sessions.

    Parameters
    ----------
    flows : DataFrame
        ``half``, ``full``, ``n_sessions``, as of :func:`proxysr.analysis.flow.flow_table`. On
        each side up to 15 proxies are shown, each of at least 1.5 % of the sessions; the others
        are merged.
    """
    require(len(flows) > 0, "No session chose a proxy: there is nothing to show.")
    table = flows[["half", "full", "n_sessions"]].copy()
    left_out = {}
    for side in ("half", "full"):
        sizes = table.groupby(side)["n_sessions"].sum().sort_values(ascending=False, kind="stable")
        shown = sizes.index[:MOST_PROXIES][sizes[:MOST_PROXIES] >= LEAST * sizes.sum()]
        left_out[side] = len(sizes) - len(shown)
        table[side] = table[side].where(table[side].isin(shown), OTHERS)
    table = table.groupby(["half", "full"])[["n_sessions"]].sum().reset_index()
    order = {side: _by_size(table, side) for side in ("half", "full")}
    # the right side in the order in which the left side's largest bands arrive
    places = {name: place for place, name in enumerate(order["half"])}
    weight = table["half"].map(places) * table["n_sessions"]
    mean = weight.groupby(table["full"]).sum() / table.groupby("full")["n_sessions"].sum()
    order["full"] = sorted(order["full"], key=lambda name: (name == OTHERS, mean[name]))
    names = {side: [_name(p, left_out[side]) for p in order[side]] for side in order}
    offset = len(order["half"])
    source = [order["half"].index(p) for p in table["half"]]
    target = [offset + order["full"].index(p) for p in table["full"]]
    stays = (table["half"] == table["full"]) & (table["half"] != OTHERS)
    sides = [*order["half"], *order["full"]]
    fig = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": [*names["half"], *names["full"]],
                "color": [GREY if proxy == OTHERS else BLUE for proxy in sides],
                "x": [0.001] * offset + [0.999] * len(order["full"]),
                "y": _heights(table, "half", order) + _heights(table, "full", order),
                "pad": 8,
                "thickness": 14,
                "line": {"width": 0},
                "hovertemplate": "proxy %{label}: %{value:,} sessions<extra></extra>",
            },
            link={
                "source": source,
                "target": target,
                "value": table["n_sessions"],
                "color": [KEPT if unchanged else WENT for unchanged in stays],
                "hovertemplate": "%{source.label} → %{target.label}: %{value:,} sessions"
                "<extra></extra>",
            },
        )
    )
    words = (
        f"half-way, left, to best, right; <span style='color:{BLUE}'>blue</span>: the same proxy, "
        f"<span style='color:{ORANGE}'>orange</span>: another"
    )
    lines = "<br>".join(filter(None, [subtitle, words]))
    small = f"<span style='font-size:12px;color:{GREY}'>{lines}</span>"
    fig = finish(fig, f"{title}<br>{small}", width=700, height=540)
    return fig.update_layout(margin={"l": 70, "r": 70, "t": 105, "b": 30})


def _by_size(table: pd.DataFrame, side: str) -> list[int]:
    sizes = table.groupby(side)["n_sessions"].sum().sort_values(ascending=False, kind="stable")
    names = [int(name) for name in sizes.index]
    return [n for n in names if n != OTHERS] + [n for n in names if n == OTHERS]


def _heights(table: pd.DataFrame, side: str, order: dict[str, list[int]]) -> list[float]:
    """Middle of each node from the top, as a share of the height."""
    share = table.groupby(side)["n_sessions"].sum() / table["n_sessions"].sum()
    sizes = [float(share[name]) for name in order[side]]
    return [min(max(sum(sizes[:i]) + size / 2, 0.001), 0.999) for i, size in enumerate(sizes)]


def _name(proxy: int, left_out: int) -> str:
    return f"{left_out} other{'s' * (left_out > 1)}" if proxy == OTHERS else str(proxy)
