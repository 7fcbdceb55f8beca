"""Maps of sessions: alone, half-way beside best, and small ones side by side.

Axes have no numbers, since directions and units of a map mean nothing; both have the same scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from proxysr.config import require
from proxysr.plots.theme import BLACK, COLOURS, GREY, finish, plain

SYMBOLS = ("circle", "diamond", "triangle-up", "square")
MOST_LABELS = 12
OTHERS = "others"
MOST_NUMBERS = 15
"""Proxies whose number is written on a map: those of the most sessions."""
SVG = 3_000
"""Points up to which each is a shape of its own, which browsers draw best."""

SIDE, SIDE_OF_TWO, SMALL = 640, 520, 330
"""Sides in pixels of one panel, of one of two, and of one of many."""
RIGHT, TOP = 160, 100
"""Pixels for the legend and for the titles."""

Positions = npt.NDArray[np.floating[Any]]


def session_map(
    positions: Positions,
    labels: Sequence[Any] | None = None,
    *,
    label_name: str = "label",
    proxy_positions: Positions | None = None,
    proxy_sizes: Sequence[int] | None = None,
    title: str = "Which sessions are alike to the model?",
    subtitle: str = "",
) -> go.Figure:
    """One map of sessions, coloured by labels, with the proxies.

    Parameters
    ----------
    positions : (n, 2)
    labels : sequence (n,), optional
        At most 12 get a colour and a shape; the rest are grey "others". Missing ones are, too.
    label_name : str
        Name of the labels, for the legend.
    proxy_positions : (K, 2), optional
    proxy_sizes : sequence (K,), optional
        Sessions of each proxy; proxies without sessions are left out, the largest are numbered.
    title, subtitle : str
    """
    fig = go.Figure()
    _add_sessions(fig, positions, _kinds([labels]), labels)
    _add_proxies(fig, proxy_positions, proxy_sizes)
    fig = finish(fig, _titled(title, subtitle), width=SIDE + RIGHT + 40, height=SIDE + TOP + 20)
    return _as_map(fig, label_name if labels is not None else "", [positions])


def half_full_maps(
    half: Positions,
    full: Positions,
    labels: Sequence[Any] | None = None,
    *,
    label_name: str = "label",
    half_proxies: Positions | None = None,
    full_proxies: Positions | None = None,
    half_sizes: Sequence[int] | None = None,
    full_sizes: Sequence[int] | None = None,
    names: tuple[str, str] = ("half-way", "best"),
    title: str = "How did the map grow?",
    subtitle: str = "",
) -> go.Figure:
    """The same sessions half-way and at the best epoch; parameters as in :func:`session_map`.

    Both panels have the same scale: the second map was laid out from where the first ended.
    """
    require(
        len(half) == len(full),
        f"Both maps have the same sessions; received {len(half)} and {len(full)}.",
    )
    fig = make_subplots(1, 2, subplot_titles=[plain(name) for name in names], **_TIGHT)
    kinds = _kinds([labels])
    panels = [(half, half_proxies, half_sizes), (full, full_proxies, full_sizes)]
    for column, (positions, proxies, sizes) in enumerate(panels, 1):
        _add_sessions(fig, positions, kinds, labels, row=1, col=column, legend=column == 1)
        _add_proxies(fig, proxies, sizes, row=1, col=column, legend=column == 1)
    width, height = 2 * SIDE_OF_TWO + RIGHT + 50, SIDE_OF_TWO + TOP + 20
    fig = finish(fig, _titled(title, subtitle), width=width, height=height)
    both = np.concatenate([half, full])
    return _as_map(fig, label_name if labels is not None else "", [both, both])


def small_maps(
    panels: Mapping[tuple[str, str], Positions],
    labels: Mapping[tuple[str, str], Sequence[Any]],
    *,
    notes: Mapping[tuple[str, str], str] | None = None,
    label_name: str = "user",
    title: str = "Do sessions of one user lie together?",
    subtitle: str = "",
) -> go.Figure:
    """Small maps in a grid, such as models by training (Figure 4 of the ProxySR paper).

    Parameters
    ----------
    panels : mapping
        (row, column) names to positions (n, 2).
    labels : mapping
        The same to labels (n,), at most 12 in all; each has one colour and shape everywhere.
    notes : mapping, optional
        The same to a line above the panel.
    """
    rows = list(dict.fromkeys(row for row, _ in panels))
    columns = list(dict.fromkeys(column for _, column in panels))
    require(len(panels) > 0, "There is no map to show.")
    texts = [
        f"{plain(row)}, {plain(column)}<br><span style='font-size:12px;color:{GREY}'>"
        f"{plain((notes or {}).get((row, column), ''))}</span>"
        for row in rows
        for column in columns
    ]
    fig = make_subplots(
        len(rows), len(columns), subplot_titles=texts, horizontal_spacing=0.03,
        vertical_spacing=0.16 / len(rows),
    )  # fmt: skip
    kinds = _kinds(list(labels.values()))
    for (row, column), positions in panels.items():
        cell = {"row": rows.index(row) + 1, "col": columns.index(column) + 1}
        first = cell == {"row": 1, "col": 1}
        panel_labels = labels[row, column]
        _add_sessions(fig, positions, kinds, panel_labels, legend=first, size=8, **cell)
    width, height = SMALL * len(columns) + RIGHT + 40, (SMALL + 50) * len(rows) + TOP
    fig = finish(fig, _titled(title, subtitle), width=width, height=height)
    fig = _as_map(fig, label_name, list(panels.values()))
    return fig.update_layout(margin_t=TOP + 30)


_TIGHT = {"horizontal_spacing": 0.02}
_Kinds = dict[Any, tuple[str, str]]


def _kinds(labels: Sequence[Sequence[Any] | None]) -> _Kinds:
    """Colour and shape of the most frequent labels, in their own order."""
    all_labels = pd.concat([pd.Series(list(x), dtype=object) for x in labels if x is not None]
                      or [pd.Series(dtype=object)])  # fmt: skip
    shown = sorted(all_labels.value_counts().index[:MOST_LABELS], key=lambda label: str(label))
    n = len(COLOURS) - 1  # black is for the proxies
    return {
        label: (COLOURS[i % n], SYMBOLS[(i // n + i) % len(SYMBOLS)])
        for i, label in enumerate(shown)
    }


def _add_sessions(
    fig: go.Figure,
    positions: Positions,
    kinds: _Kinds,
    labels: Sequence[Any] | None,
    *,
    legend: bool = True,
    size: int | None = None,
    **cell: int,
) -> None:
    n = len(positions)
    require(
        labels is None or len(labels) == n,
        f"Labels are one a session; received {0 if labels is None else len(labels)} for {n}.",
    )
    size = size or int(np.clip(40 / max(n, 1) ** 0.28, 3, 8))
    trace = go.Scatter if n <= SVG else go.Scattergl
    names = pd.Series([None] * n if labels is None else list(labels), dtype=object)
    of_kind = names.isin(list(kinds)).to_numpy()
    groups: list[tuple[Any, npt.NDArray[np.bool_], str, str]] = [
        (OTHERS if kinds else "session", ~of_kind, GREY if kinds else COLOURS[0], "circle")
    ]
    groups += [(name, (names == name).to_numpy(), *kind) for name, kind in kinds.items()]
    for name, rows, colour, symbol in groups:
        if not rows.any() and (not legend or name in (OTHERS, "session")):
            continue
        fig.add_trace(
            trace(
                x=np.asarray(positions[rows, 0], np.float32).round(2),
                y=np.asarray(positions[rows, 1], np.float32).round(2),
                mode="markers",
                name=plain(name),
                legendgroup=str(name),
                showlegend=legend,
                marker={
                    "size": size,
                    "color": colour,
                    "symbol": symbol,
                    "opacity": 0.35 if name == OTHERS else 0.75,
                },
                hovertemplate=f"{plain(name)}<extra></extra>",
            ),
            **cell,
        )


def _add_proxies(
    fig: go.Figure,
    positions: Positions | None,
    sizes: Sequence[int] | None,
    *,
    legend: bool = True,
    **cell: int,
) -> None:
    if positions is None:
        return
    counts = np.ones(len(positions)) if sizes is None else np.asarray(sizes)
    used = np.flatnonzero((counts > 0) & np.isfinite(positions).all(axis=1))
    numbered = set(used[np.argsort(-counts[used], kind="stable")][:MOST_NUMBERS].tolist())
    fig.add_trace(
        go.Scatter(
            x=np.asarray(positions[used, 0], np.float32).round(2),
            y=np.asarray(positions[used, 1], np.float32).round(2),
            mode="markers+text",
            text=[f"<b>{proxy}</b>" if proxy in numbered else "" for proxy in used.tolist()],
            textposition="top right",
            textfont={"size": 12, "color": BLACK, "shadow": "0 0 3px white, 0 0 3px white"},
            name="proxy",
            legendgroup="proxy",
            showlegend=legend,
            marker={
                "size": 10, "color": BLACK, "symbol": "x",
                "line": {"color": "white", "width": 1.5},
            },
            customdata=np.stack([used, counts[used]], axis=1),
            hovertemplate="proxy %{customdata[0]}: %{customdata[1]:,} sessions<extra></extra>",
        ),
        **cell,
    )  # fmt: skip


def _titled(title: str, subtitle: str) -> str:
    if not subtitle:
        return title
    return f"{title}<br><span style='font-size:12px;color:{GREY}'>{subtitle}</span>"


def _as_map(fig: go.Figure, label_name: str, panels: Sequence[Positions]) -> go.Figure:
    """Square panels without numbers, both axes of the same scale; the legend at the right."""
    bare = {"showticklabels": False, "ticks": "", "showgrid": False}
    bare |= {"showline": True, "mirror": True}
    axes = zip(fig.select_xaxes(), fig.select_yaxes(), panels, strict=False)
    for x, y, positions in axes:
        low, high = np.nanmin(positions, axis=0), np.nanmax(positions, axis=0)
        middle, reach = (low + high) / 2, 0.54 * max(float((high - low).max()), 1e-6)
        x.update(bare, range=[float(middle[0] - reach), float(middle[0] + reach)])
        y.update(bare, range=[float(middle[1] - reach), float(middle[1] + reach)])
        y.update(scaleanchor=y.anchor or "x", constrain="domain")
    return fig.update_layout(
        margin={"l": 20, "r": RIGHT, "t": TOP, "b": 20},
        legend={
            "orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top",
            "title": {"text": plain(label_name)}, "itemsizing": "constant",
        },
    )  # fmt: skip
