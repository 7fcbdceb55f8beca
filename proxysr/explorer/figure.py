"""The map: sessions as a WebGL cloud, proxies as circles on top, and how far these moved.

The ground is transparent and there are no axes, so that the page's theme shows through.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from proxysr.explorer.scene import Scene
from proxysr.plots.theme import BLUE, GREY, plain

DRIFT, SESSIONS, PROXIES = range(3)
"""Places of the traces."""
HEIGHT = 620
HOVER_UP_TO = 20_000
"""Sessions; with more, the browser would look for the one under the mouse for too long."""
NAMED = 40
"""The largest proxies have their number written beside them."""
Positions = npt.NDArray[np.float32]


def map_figure(scene: Scene, codes: npt.NDArray[np.uint8], scale: list[tuple[float, str]]) -> Any:
    """The whole figure, at the end of training; to be wrapped in a widget as it is.

    Parameters
    ----------
    scene : Scene
    codes : uint8 (n_drawn,)
    scale : list
        See :class:`~proxysr.explorer.colouring.Colouring`.
    """
    view = scene.view
    xy, at = _float32(view.positions), _float32(view.proxy_positions)
    n = len(xy)
    few = n <= HOVER_UP_TO
    opacity = float(np.clip(1.1 - 0.15 * np.log10(max(n, 10)), 0.35, 0.9))
    steady = {"marker": {"opacity": opacity}}  # what is chosen is told by colours alone
    fig = go.Figure()
    fig.add_scatter(
        **_ways(scene), mode="lines", hoverinfo="skip", visible=False,
        line={"color": GREY, "width": 1.2}, opacity=0.8,
    )  # fmt: skip
    fig.add_scattergl(
        x=xy[:, 0], y=xy[:, 1], mode="markers",
        marker={
            "color": codes, "colorscale": scale, "cmin": 0, "cmax": 255, "opacity": opacity,
            "size": float(np.clip(9 - 1.4 * np.log10(max(n, 10) / 10), 3.5, 8)),
            "line": {"width": 0},
        },
        selected=steady, unselected=steady,
        hovertext=_texts(scene) if few else None,
        hoverinfo="text" if few else "skip",
    )  # fmt: skip
    fig.add_scatter(
        x=at[:, 0], y=at[:, 1], mode="markers+text",
        text=names(scene), textposition="top center", textfont={"size": 12, "color": GREY},
        marker={
            "size": sizes(scene), "color": "rgba(138,138,138,0.10)", "opacity": 1,
            "line": {"color": GREY, "width": 1.2},
        },
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        hovertext=[_proxy_text(scene, proxy) for proxy in range(scene.n_proxies)],
        hoverinfo="text",
    )  # fmt: skip
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    fig.update_layout(
        template=None, height=HEIGHT, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", autosize=True,
        dragmode="lasso", hovermode="closest", uirevision="map",
        xaxis=hidden | {"range": _range(scene, 0)},
        yaxis=hidden | {"range": _range(scene, 1), "scaleanchor": "x"},
        hoverlabel={"align": "left", "font": {"size": 12}},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE,
                 "remove": ["select2d", "autoScale2d", "toImage"]},
        newselection={"line": {"color": GREY, "width": 1, "dash": "dot"}},
    )  # fmt: skip
    return fig


def moved(half: Any, full: Any, progress: int) -> Positions:
    """Positions (n, 2) between half (50 %) and full (100 %) training, on straight ways."""
    share = (progress - 50) / 50
    end = _float32(full)
    if half is None or share >= 1:
        return end
    start = _float32(half)
    return _float32(start + np.float32(share) * (end - start))


def sizes(scene: Scene) -> npt.NDArray[np.float32]:
    """Diameters (K,) in pixels: the area goes with the number of sessions."""
    n = scene.proxies["n_sessions"].to_numpy()
    return _float32(6 + 34 * np.sqrt(n / max(n.max(), 1)))


def names(scene: Scene, also: int = -1) -> list[str]:
    """Numbers beside the largest proxies, and beside one more."""
    n = scene.proxies["n_sessions"].to_numpy()
    named = {int(p) for p in scene.by_size[:NAMED] if n[p] > 0} | {also}
    return [str(proxy) if proxy in named else "" for proxy in range(scene.n_proxies)]


def _ways(scene: Scene) -> dict[str, Positions]:
    """Lines from where the proxies were half-way to where they came, each ended by a gap."""
    half, full = scene.view.half_proxy_positions, scene.view.proxy_positions
    if half is None:
        return {"x": np.zeros(0, np.float32), "y": np.zeros(0, np.float32)}
    used = scene.proxies["n_sessions"].to_numpy() > 0
    start, end = _float32(half)[used], _float32(full)[used]
    way = np.stack([start, end, np.full_like(start, np.nan)], axis=1).reshape(-1, 2)
    return {"x": way[:, 0].copy(), "y": way[:, 1].copy()}


def _texts(scene: Scene) -> list[str]:
    table = scene.table.iloc[scene.view.drawn]
    return [
        f"session {plain(name)}<br>{n:,} clicks · proxy {proxy} ({probability:.0%})"
        for name, n, proxy, probability in zip(
            table["session_id"], table["n_clicks"], table["proxy"], table["probability"],
            strict=True,
        )
    ]  # fmt: skip


def _proxy_text(scene: Scene, proxy: int) -> str:
    row = scene.proxies.iloc[proxy]
    name = plain(scene.view.proxy_label(proxy))
    return f"<b>proxy {name}</b><br>{int(row['n_sessions']):,} sessions ({row['share']:.1%})"


def _range(scene: Scene, axis: int) -> list[float]:
    view = scene.view
    parts = [view.positions, view.proxy_positions, view.half_positions, view.half_proxy_positions]
    every = np.concatenate([np.asarray(part)[:, axis] for part in parts if part is not None])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    room = 0.06 * max(high - low, 1e-6)
    return [low - room, high + room]


def _float32(positions: Any) -> Positions:
    array: Positions = np.ascontiguousarray(positions, dtype=np.float32)
    return array
