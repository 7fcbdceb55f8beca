"""The explorer of a run in JupyterLab and other notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from proxysr.analysis.run_view import RunView
from proxysr.config import require, unknown
from proxysr.explorer import assets
from proxysr.explorer.requests import answer
from proxysr.explorer.scene import Scene
from proxysr.explorer.selection import Selection
from proxysr.explorer.state import NO_SELECTION, START, listed, merged
from proxysr.run import RunDir


class ProxyExplorer(anywidget.AnyWidget):
    """The explorer of a run as a widget: the last expression of a cell shows it.

    :attr:`state` is a plain dict that can be read and set at any time.

    Parameters
    ----------
    run : RunView, RunDir, str or Path
        A run with proxies (its folder), or an existing view of one.
    part : {"train", "valid", "test"}
        The part of the data to show; ignored if a view is given.
    compare : RunDir, str or Path, optional
        A second run of the same data, to compare with this one.
    selection : str or Path, optional
        A saved selection to start with.
    theme : {"auto", "light", "dark"}
    **view
        Passed on to :meth:`RunView.of`, such as ``max_drawn``, ``data_dir`` and ``settings``.

    Raises
    ------
    ConfigError
        If the run's model chooses no proxies, the part has no session, or the selection has
        other sessions.
    ValueError
        If the second run has other data or was evaluated differently.

    Attributes
    ----------
    scene : Scene
        The payload and the view of the run.
    notes : list of str
        Sentences on what does not fit in the selection to start with.
    """

    _esm = assets.module()
    _css = assets.stylesheet()
    header = traitlets.Dict().tag(sync=True)
    blob = traitlets.Bytes().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        run: RunView | RunDir | str | Path,
        *,
        part: str = "test",
        compare: RunDir | str | Path | None = None,
        selection: str | Path | None = None,
        theme: str = "auto",
        **view: Any,
    ) -> None:
        run_view = run if isinstance(run, RunView) else RunView.of(run, part=part, **view)
        self.scene = Scene(run_view, compare=compare)
        self.notes: list[str] = []
        header, blob = self.scene.packed()
        state = {**START, "theme": theme}
        if selection:
            rows, self.notes = Selection.load(selection).on_page(self.scene)
            state |= {"rows": rows, "why": f"of {Path(selection).name}"}
        super().__init__(header=header, blob=blob, state=state)
        self.on_msg(self._asked)

    # -- state -----------------------------------------------------------------------------

    @traitlets.validate("state")
    def _merged_state(self, proposal: dict[str, Any]) -> dict[str, Any]:
        """Merge a new state into the current one."""
        state: dict[str, Any] = merged(self.state or {}, proposal["value"], self.scene.tree)
        return state

    @property
    def selection(self) -> pd.DataFrame:
        """The listed sessions, one row each, with the caller's ids."""
        table = self.scene.view.table.iloc[self.scene.rows[listed(self.scene.tree, self.state)]]
        names = [self.scene.view.interest(int(proxy)).name for proxy in table["proxy"]]
        table = table.reset_index(drop=True)
        table.insert(list(table).index("proxy") + 1, "interest", names)
        return table

    def clicks_of_selection(self) -> pd.DataFrame:
        """The clicks of the listed sessions, one row each, as in a saved selection."""
        return Selection.of(self.scene, listed(self.scene.tree, self.state)).clicks

    def save_selection(self, path: str | Path) -> Path:
        """Write the listed sessions to a file, see :meth:`Selection.save`."""
        return Selection.of(self.scene, listed(self.scene.tree, self.state)).save(path)

    def choose_interest(self, proxy: int) -> None:
        """List the sessions of an interest, by its number."""
        self.state = {**NO_SELECTION, "interest": proxy}

    def choose_sessions(self, session_ids: Iterable[object], why: str = "chosen in Python") -> None:
        """List sessions by the caller's ids; ConfigError if one is not shown."""
        rows = sorted({self._row(name) for name in session_ids})
        self.state = {**NO_SELECTION, "rows": rows, "why": why}

    def choose_session(self, session_id: object) -> None:
        """Open one session by the caller's id; ConfigError if it is not shown."""
        self.state = {"session": self._row(session_id), "edit": None}

    def clear(self) -> None:
        """Show all sessions again: no selection, no filter, no open session."""
        self.state = {**NO_SELECTION, "filters": [], "session": None, "edit": None}

    def _row(self, session_id: object) -> int:
        name, rows = str(session_id), self.scene.page_rows
        require(name in rows, unknown(name, list(rows)[:1000], "session that is shown"))
        return rows[name]

    # -- the page --------------------------------------------------------------------------

    def _asked(self, _: object, request: Any, __: object) -> None:
        reply = answer(self.scene, request)
        self.send(reply)
        if reply["kind"] == "rename" and "answer" in reply:
            self.header = self.scene.packed()[0]

    def __repr__(self) -> str:  # the same in every execution, so that notebooks can be compared
        view = self.scene.view
        return f"ProxyExplorer(part={view.part!r}, {len(view.table)} sessions)"

    def _repr_keys(self) -> list[str]:
        return []
