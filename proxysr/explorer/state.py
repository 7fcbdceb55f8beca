"""The state of the explorer: one plain object that links, Python and the page share.

It determines the listed sessions: those of the interest, the user, the lasso and the chosen rows
(each if set) that pass all filters.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr.config import ConfigError, require, unknown

VERSION = 1
START: dict[str, Any] = {
    "version": VERSION, "progress": 100, "view": "map", "colour": "proxy", "tab": "sessions",
    "interest": None, "lasso": None, "lasso_at": 100, "rows": None, "why": "", "filters": [],
    "session": None, "edit": None, "pins": {"a": None, "b": None}, "merged": False, "search": "",
    "theme": "auto", "user": None,
}  # fmt: skip
NO_SELECTION = {
    "interest": None, "lasso": None, "rows": None, "why": "", "user": None, "search": "",
}  # fmt: skip
CHOICES = {
    "view": ("map", "flow", "matrix"), "tab": ("sessions", "customers"),
    "theme": ("auto", "light", "dark"),
}  # fmt: skip
OF_SESSIONS = (
    "proxy", "half_proxy", "runner_up", "user", "n_clicks", "started", "probability", "margin",
    "rank", "since", "met", "repeat",
)  # fmt: skip
COLOURS = ("proxy", "user", "n_clicks", "started", "probability", "margin", "rank")
"""Values of sessions that dots can be coloured by; columns are others."""
COLUMN = "column:"
INTERESTS = ("proxy", "half_proxy", "runner_up")
"""Values that are interests: in the merged view, merged ones are alike."""

LARGEST = sys.float_info.max

Mask = npt.NDArray[np.bool_]


def merged(state: Mapping[str, Any], changes: Mapping[str, Any], tree: dict[str, Any]) -> Any:
    """The state after some changes.

    Raises
    ------
    ConfigError
        If there is no such field, or a value does not fit the payload ``tree``.
    """
    for name in changes:
        require(name in START, unknown(str(name), START, "part of the explorer's state"))
    new = {**START, **state, **changes}
    require(
        new["version"] == VERSION,
        f"This state is of version {new['version']!r}; this explorer reads version {VERSION}.",
    )
    for name, among in CHOICES.items():
        require(new[name] in among, f"{name} is one of {', '.join(among)}; received {new[name]!r}.")
    for name in ("progress", "lasso_at"):
        require(
            _is_number(new[name]) and 50 <= new[name] <= 100,
            f"{name} is a number from 50 to 100; received {new[name]!r:.80}.",
        )
    require(
        isinstance(new["merged"], bool),
        f"merged is True or False; received {new['merged']!r:.80}.",
    )
    users = tree["users"]
    n = {
        "interest": len(tree["proxies"]),
        "session": len(tree["sessions"]["id"]),
        "user": 0 if users is None else len(users["id"]),
    }
    for name, size in n.items():
        require(
            new[name] is None or _is_whole(new[name], size),
            f"{name} is a number from 0 to {size - 1}, or None; received {new[name]!r}.",
        )
    rows = new["rows"]
    require(
        rows is None
        or (isinstance(rows, list) and all(_is_whole(row, n["session"]) for row in rows)),
        f"rows are numbers from 0 to {n['session'] - 1}, or None; received {rows!r:.80}.",
    )
    lasso = new["lasso"]
    require(
        lasso is None or (isinstance(lasso, list) and all(_is_point(point) for point in lasso)),
        f"lasso is a list of points [x, y], or None; received {lasso!r:.80}.",
    )
    for name in ("why", "search"):
        require(isinstance(new[name], str), f"{name} is text; received {new[name]!r:.80}.")
    colours = [name for name in COLOURS if tree["sessions"][name] is not None]
    colours += [COLUMN + column["name"] for column in tree["columns"]]
    require(new["colour"] in colours, unknown(str(new["colour"]), colours, "colour of sessions"))
    pins = new["pins"]
    require(
        isinstance(pins, Mapping)
        and set(pins) <= {"a", "b"}
        and all(_is_pin(pin, n) for pin in pins.values()),
        "pins has a and b, each None or an object such as {'kind': 'interest', 'proxy': 0}, "
        f"{{'kind': 'session', 'row': 0}} or {{'kind': 'group', 'rows': [0]}}; "
        f"received {pins!r:.80}.",
    )
    require(
        new["edit"] is None or _is_edit(new["edit"], n["interest"], tree["meta"]["n_items"]),
        f"edit is None, or has clicks from 1 to {tree['meta']['n_items']}, and may have a "
        f"temperature above 0 and a proxy; received {new['edit']!r:.80}.",
    )
    require(isinstance(new["filters"], list), f"filters is a list; received {new['filters']!r}.")
    listed(tree, new)  # checks the filters
    return new


def listed(tree: dict[str, Any], state: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """Rows of the sessions that a state lists, in the page's order.

    Parameters
    ----------
    tree : dict
        The payload.
    state : mapping
        A complete state.

    Raises
    ------
    ConfigError
        If a filter names an unknown value.
    """
    sessions = tree["sessions"]
    mask = np.ones(len(sessions["id"]), bool)
    lead = _leads(tree) if state["merged"] else np.arange(len(tree["proxies"]))
    if state["interest"] is not None:
        mask &= lead[sessions["proxy"]] == lead[state["interest"]]
    if state["user"] is not None and sessions["user"] is not None:
        mask &= sessions["user"] == state["user"]
    if state["rows"] is not None:
        chosen = np.zeros_like(mask)
        chosen[state["rows"]] = True
        mask &= chosen
    if state["lasso"] is not None:
        mask &= _inside(sessions, state["lasso"], state["lasso_at"])
    for filter_ in state["filters"]:
        mask &= _passes(tree, filter_, lead)
    return np.flatnonzero(mask)


def values_of(tree: dict[str, Any], by: object) -> npt.NDArray[Any]:
    """A value of each session (n,), by its name in filters and colours.

    Raises
    ------
    ConfigError
        If there is no such name.
    """
    sessions = tree["sessions"]
    fields = [name for name in OF_SESSIONS if sessions[name] is not None]
    columns = {COLUMN + column["name"]: column["values"] for column in tree["columns"]}
    if not isinstance(by, str):
        raise ConfigError(f"by is the name of a value; received {by!r:.80}.")
    if by in columns:
        return np.asarray(columns[by])
    if by == "compare" and tree["compare"] is not None:
        return np.asarray(np.sign(sessions["rank"] - tree["compare"]["rank"]))
    if by not in fields:
        raise ConfigError(unknown(by, [*fields, *columns], "value of sessions"))
    return np.asarray(sessions[by])


def _passes(tree: dict[str, Any], filter_: object, lead: npt.NDArray[np.int64]) -> Mask:
    if not isinstance(filter_, Mapping):
        raise ConfigError(
            f"A filter is an object with by, and low, high or values; received {filter_!r}."
        )
    unexpected = set(filter_) - {"by", "low", "high", "values"}
    require(
        not unexpected, f"A filter has by, low, high and values; received {sorted(unexpected)}."
    )
    values, accepted = values_of(tree, filter_.get("by")), filter_.get("values")
    if accepted is not None:
        require(
            isinstance(accepted, list) and all(_is_number(value) for value in accepted),
            f"values of a filter are numbers; received {accepted!r:.80}.",
        )
        if filter_["by"] in INTERESTS:
            inside = [k for k in accepted if _is_whole(k, len(lead))]
            return np.isin(lead[values], lead[inside]) & (values >= 0)
        return np.isin(values, accepted)
    ends = []
    for name, open_end in (("low", -math.inf), ("high", math.inf)):
        end = filter_.get(name)
        require(
            end is None or _is_number(end),
            f"{name} of a filter is a number or None; received {end!r:.80}.",
        )
        ends.append(open_end if end is None else end)
    values = values.astype(np.float64)  # as the page compares them
    return (values >= ends[0]) & (values <= ends[1])  # NaN passes neither


def _leads(tree: dict[str, Any]) -> npt.NDArray[np.int64]:
    """The interest (K,) that each one is merged into, or itself."""
    into = np.array([proxy["merged_into"] for proxy in tree["proxies"]])
    return np.where(into < 0, np.arange(len(into)), into)


def _inside(sessions: dict[str, Any], polygon: list[Any], progress: float) -> Mask:
    """Which dots (n,) lie inside a lasso in map units."""
    xy = sessions["xy"].astype(np.float64)
    if sessions["half_xy"] is not None:
        share = (progress - 50) / 50
        xy = sessions["half_xy"] + share * (xy - sessions["half_xy"])
    x, y = xy.T
    inside = np.zeros(len(xy), bool)
    if len(polygon) < 3:
        return inside
    ends = np.array(polygon, np.float64)
    for (x1, y1), (x0, y0) in zip(ends, np.roll(ends, 1, axis=0), strict=True):
        if y1 != y0:
            crosses = (y1 > y) != (y0 > y)
            inside ^= crosses & (x < (x0 - x1) * (y - y1) / (y0 - y1) + x1)
    return inside


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -LARGEST <= value <= LARGEST  # whole numbers may be larger than floats


def _is_whole(value: object, n: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n


def _is_pin(pin: object, n: Mapping[str, int]) -> bool:
    if not isinstance(pin, Mapping):
        return pin is None
    kind, rows = pin.get("kind"), pin.get("rows")
    return (
        (kind == "interest" and _is_whole(pin.get("proxy"), n["interest"]))
        or (kind == "session" and _is_whole(pin.get("row"), n["session"]))
        or (
            kind == "group"
            and isinstance(rows, list)
            and all(_is_whole(row, n["session"]) for row in rows)
        )
    )


def _is_edit(edit: object, n_interests: int, n_items: int) -> bool:
    if not isinstance(edit, Mapping):
        return False
    clicks, temperature, proxy = edit.get("clicks"), edit.get("temperature"), edit.get("proxy")
    return (
        isinstance(clicks, list)
        and len(clicks) > 0
        and all(_is_whole(item, n_items + 1) and item > 0 for item in clicks)
        and (temperature is None or (_is_number(temperature) and temperature > 0))
        and (proxy is None or _is_whole(proxy, n_interests))
    )


def _is_point(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))
