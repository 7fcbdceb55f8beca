"""The result of a command: one object for ``--json``, or text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from proxysr.text import json_visible, visible

WIDEST = 80
"""Most characters of a cell of a table."""


@dataclass(frozen=True)
class Answer:
    """The result of a command; written to stdout once, at the end.

    Attributes
    ----------
    data : dict
        JSON-ready; printed with ``--json``.
    text : str
        Printed otherwise.
    """

    data: dict[str, Any]
    text: str

    def shown(self, as_json: bool) -> str:
        """The text for stdout; control characters in titles and ids become escapes."""
        if as_json:
            text = json.dumps(self.data, indent=2, ensure_ascii=False, allow_nan=False)
            return json_visible(text) + "\n"
        return visible(self.text.rstrip("\n"), lines=True) + "\n"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame for ``--json``; missing values are null."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def table(frame: pd.DataFrame) -> str:
    """A frame as aligned text: counts with separators, shares with four decimals, gaps as a dash.

    Long texts are cut.
    """

    def cell(value: Any) -> str:
        if pd.isna(value):
            return "–"
        if isinstance(value, float):
            return f"{value:.4f}"
        text = f"{value:,}" if isinstance(value, int) else visible(str(value))
        return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"

    columns = []
    for name in map(str, frame.columns):
        texts = [name, *map(cell, frame[name].tolist())]
        width = max(map(len, texts))
        to_the_right = pd.api.types.is_numeric_dtype(frame[name])
        columns.append([t.rjust(width) if to_the_right else t.ljust(width) for t in texts])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))
