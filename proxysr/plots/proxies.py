"""Proxies beside what is known of the sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from proxysr.config import require
from proxysr.plots.theme import BLUE, finish, plain

MOST_PROXIES = 60


def proxies_by_label(
    proxies: Sequence[Any], labels: Sequence[Any], *, label_name: str = "label"
) -> go.Figure:
    """For each proxy, the shares of its sessions that have each label (a heatmap).

    Parameters
    ----------
    proxies, labels : sequence (n,)
        Chosen proxy and known label of each session.
    label_name : str
        What the labels are, for the title and the axis.

    Notes
    -----
    Proxies are sorted by the label they serve most, then by size, so that proxies for one
    label each show as a staircase. With more than 60 proxies, those of the fewest sessions
    are left out, and the axis says so.
    """
    require(
        len(proxies) == len(labels) > 0,
        f"Proxies and labels are one a session; received {len(proxies)} and {len(labels)}.",
    )
    table = pd.crosstab(pd.Series(list(proxies), name="p"), pd.Series(list(labels), name="l"))
    sizes = table.sum(axis=1).sort_values(ascending=False, kind="stable")
    left_out = max(0, len(sizes) - MOST_PROXIES)
    table = table.loc[sizes.index[:MOST_PROXIES]]
    share = table.div(table.sum(axis=1), axis=0)
    main = share.to_numpy().argmax(axis=1)
    order = sorted(range(len(table)), key=lambda row: (main[row], -sizes.iloc[row]))
    share, table = share.iloc[order], table.iloc[order]
    axis = f"proxy (number of sessions){f'; {left_out} small ones left out' if left_out else ''}"
    fig = go.Figure(
        go.Heatmap(
            z=share.to_numpy().T.round(3),
            x=[
                f"{plain(proxy)} ({n})"
                for proxy, n in zip(table.index, table.sum(axis=1), strict=True)
            ],
            y=[plain(label) for label in share.columns],
            customdata=table.to_numpy().T,
            colorscale=[[0, "#F4F7FA"], [1, BLUE]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "share of the<br>proxy's sessions"}, "tickformat": ".0%"},
            hovertemplate="proxy %{x}<br>%{y}: %{z:.0%}, %{customdata} sessions<extra></extra>",
        )
    )
    fig.update_xaxes(title_text=axis, type="category", tickangle=-60, showgrid=False)
    fig.update_yaxes(
        title_text=plain(label_name), type="category", autorange="reversed", showgrid=False
    )
    return finish(
        fig,
        f"Do sessions of the same {plain(label_name)} choose the same proxies?",
        width=980,
        height=220 + 26 * share.shape[1],
    )
