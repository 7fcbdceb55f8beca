"""The explorer: which sessions choose which proxies, why, and what if they were different."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets

from proxysr.analysis.run_view import RunView
from proxysr.explorer.card import CardPanel
from proxysr.explorer.export_panel import ExportPanel
from proxysr.explorer.map_panel import MapPanel
from proxysr.explorer.scene import Scene
from proxysr.explorer.selection import Selection
from proxysr.explorer.session_panel import SessionPanel
from proxysr.explorer.sessions_panel import SessionsPanel
from proxysr.explorer.state import State, Store
from proxysr.explorer.toolbar import Toolbar
from proxysr.explorer.whatif_panel import WhatIfPanel
from proxysr.runs import RunDir

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


class ProxyExplorer(widgets.VBox):  # type: ignore[misc]
    """The explorer of a run, as a widget: the last expression of a cell shows it.

    Parameters
    ----------
    run : RunView, RunDir, str or Path
        A run with proxies, by its folder; or a view of it that was made before.
    part : {"train", "valid", "test"}
        The part of the data whose sessions are shown; that of the view, if one is given.
    selection : str or Path, optional
        A saved selection to begin with.
    theme : {"auto", "light", "dark"}
    **view
        Passed on to :meth:`RunView.of`, such as ``max_drawn``, ``data_dir`` and ``settings``.

    Raises
    ------
    ConfigError
        If the run's model chooses no proxies, the part has no session, or the selection is of
        other sessions.

    Attributes
    ----------
    store : Store
        Its state, and the actions that change it.
    """

    def __init__(
        self,
        run: RunView | RunDir | str | Path,
        *,
        part: str = "test",
        selection: str | Path | None = None,
        theme: str = "auto",
        **view: Any,
    ) -> None:
        seen = run if isinstance(run, RunView) else RunView.of(run, part=part, **view)
        self.scene = Scene(seen)
        self.store = Store(self.scene)
        self.store.change(theme=theme)
        self.toolbar = Toolbar(self.store)
        self.map = MapPanel(self.store)
        self.card = CardPanel(self.store)
        self.sessions = SessionsPanel(self.store)
        self.export = ExportPanel(self.store)
        self.session = SessionPanel(self.store)
        self.what_if = WhatIfPanel(self.store)
        self.sessions.children = (*self.sessions.children, self.export)
        rows = [
            widgets.HBox([self.map, self.card]),
            widgets.HBox([self.sessions, self.session]),
        ]
        for row in rows:
            row.add_class("px-row")
        style = widgets.HTML(f"<style>{STYLE}</style>", layout={"display": "none"})
        super().__init__([style, self.toolbar, *rows, self.what_if])
        self.add_class("proxysr")
        self.store.follow(self._theme, "theme")
        if selection:
            self.export.show(selection)

    @property
    def selection(self) -> Selection:
        """The listed sessions, as data."""
        return Selection.of(self.scene, self.store.state.listed)

    def _theme(self, state: State) -> None:
        for name in ("light", "dark"):
            self.remove_class(f"px-{name}")
        if state.theme != "auto":
            self.add_class(f"px-{state.theme}")

    def __repr__(self) -> str:  # the same in every run, so that notebooks can be compared
        return f"ProxyExplorer(part={self.scene.view.part!r}, {len(self.scene.table)} sessions)"

    def _repr_keys(self) -> list[str]:
        return []
