"""Selections leave and come back: save the listed sessions, or load saved ones."""

from __future__ import annotations

import base64
from pathlib import Path

import ipywidgets as widgets

from proxysr.explorer.live import Live
from proxysr.explorer.markup import esc, quiet
from proxysr.explorer.selection import Selection
from proxysr.explorer.state import State, Store

LARGEST_LINK = 8 * 2**20
"""Bytes; a larger file is written, but not sent to the browser."""


class ExportPanel(widgets.VBox):  # type: ignore[misc]
    """A file name, Save and Load; what came of it is said below.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = widgets.Text(
            value="selection.csv", description="File",
            tooltip="Ends in .csv, .json or .parquet; lies where the notebook runs",
        )  # fmt: skip
        self.save = widgets.Button(
            description="Save", tooltip="Write the listed sessions, with raw ids and titles"
        )
        self.load = widgets.Button(
            description="Load", tooltip="Choose the sessions of a saved selection"
        )
        self.said = Live()
        bar = widgets.HBox([self.path, self.save, self.load])
        bar.add_class("px-controls")
        super().__init__([bar, self.said])
        self.add_class("px-export")
        self.save.on_click(lambda _: self._save())
        self.load.on_click(lambda _: self._load())
        store.follow(self._forget, "listed")

    def show(self, path: str | Path) -> None:
        """Choose the sessions of a saved selection.

        Raises
        ------
        ConfigError, ValueError, OSError
            As :meth:`Selection.load` and :meth:`Selection.in_scene`.
        """
        selection = Selection.load(path)
        rows, notes = selection.in_scene(self.store.scene)
        self.store.choose_rows(rows, f"are of {Path(path).name}")
        self.path.value = str(path)
        self._say(" ".join([f"Loaded {len(rows):,} sessions.", *notes]))

    def _save(self) -> None:
        try:
            selection = Selection.of(self.store.scene, self.store.state.listed)
            path = selection.save(self.path.value.strip())
        except (ValueError, OSError) as error:
            self._say(f"Not saved. {error}")
            return
        n, size = len(selection.session_ids), path.stat().st_size
        self._say(f"Saved {n:,} sessions, {len(selection.clicks):,} clicks to {path}.")
        if size <= LARGEST_LINK:
            data = base64.b64encode(path.read_bytes()).decode()
            self.said.html += (
                f'<a class="px-quiet" download="{esc(path.name)}" '
                f'href="data:application/octet-stream;base64,{data}">Download it</a>'
            )

    def _load(self) -> None:
        try:
            self.show(self.path.value.strip())
        except (ValueError, OSError) as error:
            self._say(f"Not loaded. {error}")

    def _say(self, text: str) -> None:
        self.said.html = quiet(text)

    def _forget(self, _: State) -> None:
        self.said.html = ""
