"""Colours of sessions, as one byte each.

A session's colour is a code from 0 to 255 of a scale that the figure holds, so that a new
colouring, a selection and a filter each send one byte a session and never the geometry.
Code 0 is nothing (filtered away), 1 is faded (not chosen), the rest are colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.explorer.scene import Scene
from proxysr.plots.theme import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION

Codes = npt.NDArray[np.uint8]
HIDDEN, FADED, FIRST = 0, 1, 2
HUES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
"""The hues that stand out on light and on dark ground."""
REST = GREY
RAMP = (BLUE, GREEN, ORANGE)
"""From low to high; told apart by lightness, too."""
FEW = 12
"""Numbers of at most so many different values are taken for names."""
NEIGHBOURS = 8
NAMES = {
    "proxy": "proxy",
    "user": "user",
    "n_clicks": "length of the session",
    "started_at": "date",
    "probability": "probability of the choice",
}


@dataclass(frozen=True, eq=False)
class Colouring:
    """Colours of all sessions.

    Attributes
    ----------
    codes : uint8 (n,)
        Code of each session of the table, from 2 on.
    scale : list of (float, str)
        A plotly colour scale from code 0 to 255.
    legend : list of (str, str)
        Colour and name; for a ramp, its ends.
    is_ramp : bool
    note : str
        A sentence that the legend needs, or nothing.
    """

    codes: Codes
    scale: list[tuple[float, str]]
    legend: list[tuple[str, str]]
    is_ramp: bool = False
    note: str = ""


def choices(scene: Scene) -> dict[str, str]:
    """What sessions can be coloured by: name for people to column."""
    columns = ["proxy", "probability", "n_clicks"]
    columns += ["started_at"] * scene.has_times + ["user"] * scene.has_users + scene.metadata
    found: dict[str, str] = {}
    for name in columns:
        told = NAMES.get(name, name.replace("_", " "))
        found[f"{told} (given)" if told in found else told] = name
    return found


def colouring(scene: Scene, by: str) -> Colouring:
    """The colours of all sessions by a column of the table."""
    if by == "proxy":
        hue = hues_of_proxies(scene)
        codes = hue[scene.table["proxy"].to_numpy()]
        legend = [(colour, "") for colour in HUES]
        note = "Colours repeat; neighbours on the map differ."
        return Colouring(codes + np.uint8(FIRST), _steps(HUES), legend, note=note)
    values = scene.table[by]
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    is_time = pd.api.types.is_datetime64_any_dtype(values)
    is_name = by == "user" or not (is_number or is_time)
    if is_name or (values.nunique() <= FEW and by not in NAMES):
        return _by_name(values)
    return _by_number(scene.values(by), is_time)


def shown(colours: Colouring, visible: npt.NDArray[np.bool_], chosen: Any) -> Codes:
    """The codes (n,) with what is filtered away hidden, and what is not chosen faded.

    Parameters
    ----------
    colours : Colouring
    visible : bool (n,)
    chosen : int (m,) or None
        Rows; None are all.
    """
    codes = colours.codes.copy()
    if chosen is not None:
        faded = np.ones(len(codes), dtype=bool)
        faded[chosen] = False
        codes[faded] = FADED
    codes[~visible] = HIDDEN
    return codes


def hues_of_proxies(scene: Scene) -> Codes:
    """A hue 0..5 for each proxy (K,), so that neighbours on the map differ where they can."""
    positions = np.asarray(scene.view.proxy_positions, np.float64)
    hue = np.full(len(positions), -1)
    for proxy in scene.by_size:
        distance = np.square(positions - positions[proxy]).sum(axis=1)
        near = np.argsort(distance, kind="stable")[1 : NEIGHBOURS + 1]
        # a hue that is near is bad, the nearer the worse; ties go in turn
        cost = np.zeros(len(HUES))
        for place, other in enumerate(near):
            if hue[other] >= 0:
                cost[hue[other]] += NEIGHBOURS - place
        used = np.bincount(hue[hue >= 0], minlength=len(HUES))
        hue[proxy] = np.lexsort((used, cost))[0]
    return hue.astype(np.uint8)


def _by_name(values: pd.Series) -> Colouring:
    names = values.astype(object).where(values.notna() & (values.astype(str) != ""), None)
    counts = names.value_counts()
    largest = list(counts.index[: len(HUES)])
    places = {name: place for place, name in enumerate(largest)}
    other = len(largest)
    codes = names.map(places).fillna(other).to_numpy(np.float64).astype(np.uint8)
    legend = [(HUES[place], f"{name} ({counts[name]:,})") for name, place in places.items()]
    n_other, n_unknown = int((codes == other).sum()), int(names.isna().sum())
    if n_other:
        rest = f"{len(counts) - other:,} others" if len(counts) > other else "unknown"
        if n_unknown and len(counts) > other:
            rest += " and unknown"
        legend.append((REST, f"{rest} ({n_other:,})"))
    return Colouring(codes + np.uint8(FIRST), _steps([*HUES[:other], REST]), legend)


def _by_number(values: npt.NDArray[np.float64], is_time: bool) -> Colouring:
    known = np.isfinite(values)
    # a few extreme values would leave one colour to all others
    low, high = np.quantile(values[known], [0.01, 0.99]) if known.any() else (0.0, 0.0)
    span = high - low if high > low else 1.0
    place = np.where(known, (values - low) / span, 0).clip(0, 1)
    codes = (FIRST + 1 + np.rint(place * (255 - FIRST - 1))).astype(np.uint8)
    codes[~known] = FIRST
    legend = [(RAMP[0], _told(low, is_time)), (RAMP[-1], _told(high, is_time))]
    stops = np.linspace((FIRST + 1) / 255, 1, len(RAMP)).tolist()
    unknown = [((FIRST - 0.5) / 255, REST), ((FIRST + 0.5) / 255, REST)]
    known_from = [((FIRST + 0.5) / 255, RAMP[0])]
    scale = _ends() + unknown + known_from + list(zip(stops, RAMP, strict=True))
    note = "" if known.all() else f"Grey: unknown ({int((~known).sum()):,})."
    return Colouring(codes, scale, legend, is_ramp=True, note=note)


def _told(value: float, is_time: bool) -> str:
    if is_time:
        return str(pd.Timestamp(value, unit="s").date())
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.2f}"


def _ends() -> list[tuple[float, str]]:
    """Codes 0 and 1: nothing, and faded."""
    nothing, faded = "rgba(138,138,138,0)", "rgba(138,138,138,0.16)"
    return [(0.0, nothing), (0.5 / 255, nothing), (0.5 / 255, faded), (1.5 / 255, faded)]


def _steps(colours: Any) -> list[tuple[float, str]]:
    """A scale of one colour a code, from code 2 on."""
    scale = _ends()
    for code, colour in enumerate(colours, start=FIRST):
        scale += [((code - 0.5) / 255, colour), ((code + 0.5) / 255, colour)]
    return [*scale, (1.0, scale[-1][1])]
