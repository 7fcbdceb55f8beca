"""What the explorer shows, as one value; and the one place where it changes.

State flows one way: controls and pressed parts call the methods of :class:`Store`, which replace
the state; panels follow the fields that they show and draw. No panel writes to another one, and
an action, whatever it changes, is told to each panel once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr.config import require
from proxysr.explorer.scene import Scene

Rows = npt.NDArray[np.int64]
Range = tuple[float, float]
NONE = -1
"""No proxy, no session, no click."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Sessions that were chosen.

    Attributes
    ----------
    rows : int (n,)
        Their rows in the scene's table, ascending.
    why : str
        Ends the sentence "41 sessions …".
    """

    rows: Rows
    why: str


@dataclass(frozen=True)
class Edit:
    """The session of the what-if panel.

    Attributes
    ----------
    clicks : tuple of int
        Item indices, oldest first.
    temperature : float or None
        In place of the model's.
    proxy : int
        The proxy that is forced, or -1.
    replacing : int
        Position of the click that the next item found takes the place of, or -1: it is added.
    """

    clicks: tuple[int, ...] = ()
    temperature: float | None = None
    proxy: int = NONE
    replacing: int = NONE


@dataclass(frozen=True, eq=False)
class State:
    """All that the panels show.

    Attributes
    ----------
    progress : int
        Per cent of training, from 50 to 100, at which sessions and proxies lie on the map.
    drift : bool
        Whether the map draws how far proxies moved.
    colour : str
        What sessions are coloured by; see :mod:`proxysr.explorer.colouring`.
    proxy : int
        The proxy of the card, or -1.
    chosen : Chosen or None
        The sessions of card and table; None are all.
    filters : dict
        Column of the table to lowest and highest value.
    shown : bool (n,)
        Which sessions pass the filters.
    listed : int (m,)
        Rows that are chosen and shown.
    session : int
        Row of the session that is looked at, or -1.
    edit : Edit
    theme : str
        "auto" (that of the page), "light" or "dark".
    """

    shown: npt.NDArray[np.bool_]
    listed: Rows
    progress: int = 100
    drift: bool = False
    colour: str = "proxy"
    proxy: int = NONE
    chosen: Chosen | None = None
    filters: tuple[tuple[str, Range], ...] = ()
    session: int = NONE
    edit: Edit = Edit()
    theme: str = "auto"


Follower = Callable[[State], None]


class Store:
    """Holds the state, changes it, and tells the panels.

    Parameters
    ----------
    scene : Scene
        What is looked at.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        n = len(scene.table)
        self.state = State(shown=np.ones(n, dtype=bool), listed=np.arange(n))
        self._followers: list[tuple[tuple[str, ...], Follower]] = []

    def follow(self, draw: Follower, *fields: str) -> None:
        """Call ``draw`` now, and once after every action that changes one of ``fields``."""
        self._followers.append((fields, draw))
        draw(self.state)

    def change(self, **fields: Any) -> None:
        """Replace fields of the state and tell who follows them."""
        old = self.state
        new = replace(old, **fields)
        if new.chosen is not old.chosen or new.shown is not old.shown:
            rows = np.arange(len(new.shown)) if new.chosen is None else new.chosen.rows
            new = replace(new, listed=rows[new.shown[rows]])
        self.state = new
        for names, draw in self._followers:
            if any(_differ(getattr(old, name), getattr(new, name)) for name in names):
                draw(new)

    # -- actions ---------------------------------------------------------------------------

    def choose_proxy(self, proxy: int) -> None:
        """Look at a proxy and the sessions that chose it; -1 at all."""
        if not 0 <= proxy < self.scene.n_proxies:
            self.choose_all()
            return
        rows = np.flatnonzero(self.scene.table["proxy"].to_numpy() == proxy)
        self.change(proxy=proxy, chosen=Chosen(rows, f"chose proxy {proxy}"))

    def choose_rows(self, rows: npt.ArrayLike, why: str) -> None:
        """Look at some sessions, by their rows."""
        rows = np.unique(np.asarray(rows, dtype=np.int64))
        self.change(proxy=NONE, chosen=Chosen(rows, why))

    def choose_all(self) -> None:
        """Look at all sessions."""
        self.change(proxy=NONE, chosen=None)

    def choose_session(self, row: int) -> None:
        """Look at one session; the what-if panel starts with its clicks."""
        row = row if 0 <= row < len(self.scene.table) else NONE
        clicks = () if row == NONE else tuple(map(int, self.scene.clicks(row)))
        self.change(session=row, edit=Edit(clicks))

    def filter(self, column: str, low: float, high: float) -> None:
        """Show only sessions whose ``column`` is between ``low`` and ``high``, ends included.

        A range that holds all known values is no filter: sessions of unknown value are shown, too.
        """
        known = self.scene.values(column)
        filters = dict(self.state.filters)
        filters.pop(column, None)
        if low > np.nanmin(known) or high < np.nanmax(known):
            filters[column] = (low, high)
        if filters == dict(self.state.filters):
            return
        shown = np.ones(len(self.state.shown), dtype=bool)
        for name, (least, most) in filters.items():
            values = self.scene.values(name)
            shown &= (values >= least) & (values <= most)
        self.change(filters=tuple(filters.items()), shown=shown)

    # -- what if ---------------------------------------------------------------------------

    def edit(self, **fields: Any) -> None:
        """Change the session of the what-if panel."""
        self.change(edit=replace(self.state.edit, **fields))

    def take(self, item: int) -> None:
        """Add an item as the latest click, or put it where a click is being replaced."""
        require(1 <= item <= len(self.scene.items), f"There is no item of index {item}.")
        clicks, at = list(self.state.edit.clicks), self.state.edit.replacing
        if 0 <= at < len(clicks):
            clicks[at] = item
        else:
            clicks.append(item)
        self.edit(clicks=tuple(clicks), replacing=NONE)

    def drop(self, position: int) -> None:
        """Leave out a click."""
        clicks = self.state.edit.clicks
        if 0 <= position < len(clicks):
            self.edit(clicks=clicks[:position] + clicks[position + 1 :], replacing=NONE)

    def move(self, position: int, step: int) -> None:
        """Swap a click with the one before (-1) or after it (1)."""
        clicks, other = list(self.state.edit.clicks), position + step
        if 0 <= position < len(clicks) and 0 <= other < len(clicks):
            clicks[position], clicks[other] = clicks[other], clicks[position]
            self.edit(clicks=tuple(clicks), replacing=NONE)

    def reset(self) -> None:
        """The session as it was."""
        self.choose_session(self.state.session)


def _differ(old: object, new: object) -> bool:
    if isinstance(old, np.ndarray | Chosen):
        return old is not new
    return old is not new and old != new
