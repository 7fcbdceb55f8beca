"""Proxies and known labels of the sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from proxysr.config import require
from proxysr.plots.theme import BLUE, COLOURS, GREY, finish, plain

MOST_PROXIES = 60
SYMBOLS = ("circle", "square", "diamond")
BESIDE = 0.25
"""Distance of the dots of one truth, in steps of the axis."""


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


def agreement_dots(table: pd.DataFrame) -> go.Figure:
    """Agreement (AMI) of proxies and other labels with known groups, and its range by chance.

    Parameters
    ----------
    table : DataFrame
        A row a seed, labels and truth: ``labels``, ``truth``, ``ami``, ``null_low``,
        ``null_high``, ``n_sessions``. Dots are means over the seeds, which are small dots.
    """
    require(len(table) > 0, "There is no agreement to show.")
    truths, kinds = (list(dict.fromkeys(table[name])) for name in ("truth", "labels"))
    fig = go.Figure()
    for i, kind in enumerate(kinds):
        rows = table[table["labels"] == kind]
        x = rows["truth"].map(truths.index) + (i - (len(kinds) - 1) / 2) * BESIDE
        means = rows.assign(x=x).groupby("x", sort=False).mean(numeric_only=True).reset_index()
        names = rows.drop_duplicates("truth")["truth"].map(plain)
        fig.add_bar(
            x=means["x"],
            base=means["null_low"],
            y=means["null_high"] - means["null_low"],
            width=0.8 * BESIDE,
            marker={"color": GREY, "opacity": 0.45, "line": {"width": 0}},
            name="chance, 95 %",
            legendgroup="chance",
            showlegend=i == 0,
            customdata=means["null_high"],
            hovertemplate="chance: %{base:.3f} to %{customdata:.3f}<extra></extra>",
        )
        fig.add_scatter(
            x=means["x"],
            y=means["ami"],
            mode="markers",
            marker={"size": 11, "color": COLOURS[i], "symbol": SYMBOLS[i]},
            name=plain(kind),
            customdata=pd.DataFrame({"truth": names.to_numpy(), "n": means["n_sessions"]}),
            hovertemplate=f"{plain(kind)} and %{{customdata[0]}}: AMI %{{y:.3f}} "
            "(%{customdata[1]:,.0f} sessions)<extra></extra>",
        )
        fig.add_scatter(
            x=x,
            y=rows["ami"],
            mode="markers",
            marker={"size": 4, "color": COLOURS[i], "opacity": 0.6},
            showlegend=False,
            hoverinfo="skip",
        )
    ticks = {"tickvals": list(range(len(truths))), "ticktext": [plain(t) for t in truths]}
    fig.update_xaxes(range=[-0.6, len(truths) - 0.4], showgrid=False, **ticks)
    fig.update_yaxes(title_text="AMI: 0 by chance, 1 at best", rangemode="tozero")
    fig = finish(fig, "What do the proxies agree with?", width=760)
    return fig.update_layout(legend={"y": -0.15, "yanchor": "top"}, barmode="overlay", margin_b=90)
