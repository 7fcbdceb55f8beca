"""A widget that shows HTML and reports what was pressed in it.

Everything that lists something (cards, tables, clicks) is such a widget: Python renders the
HTML, with all text of the data escaped, and the browser sends back the ``data-do`` and
``data-value`` of what was pressed. Buttons are real ones, so the keyboard reaches them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

Actions = dict[str, Callable[[str], None]]


class Live(anywidget.AnyWidget):
    """HTML with parts that can be pressed.

    Parameters
    ----------
    actions : dict
        What each ``data-do`` does; called with its ``data-value``.
    """

    _esm = (Path(__file__).parent / "live.js").read_text(encoding="utf-8")
    html = traitlets.Unicode("").tag(sync=True)

    def __init__(self, actions: Actions | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.actions = actions or {}
        self.on_msg(self._receive)

    def press(self, do: str, value: object = "") -> None:
        """Do what pressing the part with this ``data-do`` and ``data-value`` does."""
        if do in self.actions:
            self.actions[do](str(value))

    def _receive(self, _: Any, message: Any, __: Any) -> None:
        if isinstance(message, dict):
            self.press(str(message.get("do")), message.get("value", ""))
