r"""Text of data, made safe for terminals, pictures and spreadsheets.

Ids and titles come from unchecked logs. A terminal obeys control characters in them, a browser that
draws a picture fails on some, and a spreadsheet evaluates cells that begin like a formula.

>>> print(visible("Tea\x1b[2J"))
Tea\x1b[2J
>>> without_formula("=1+1")
"'=1+1"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

CONTROL = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters, line ends, marks of text direction, and surrogates."""
EVERY = re.compile(f"[{CONTROL}]")
BUT_LINES = re.compile(f"(?![\n\t])[{CONTROL}]")
FORMULA = re.compile(r"'*(?:\s*[=+\-@]|[\t\r])")
"""Beginning of a cell that a spreadsheet may compute, with or without apostrophes before it."""
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def visible(text: str, *, lines: bool = False) -> str:
    """``text`` with control characters as Python escapes.

    Parameters
    ----------
    text : str
    lines : bool
        Leave line ends and tabs as they are.
    """
    return (BUT_LINES if lines else EVERY).sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(match[0])
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def all_visible(value: Any) -> Any:
    """:func:`visible` for all text in mappings, sequences and arrays."""
    if isinstance(value, str):
        return visible(value, lines=True)
    if isinstance(value, Mapping):
        return {key: all_visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [all_visible(item) for item in value]
    if getattr(getattr(value, "dtype", None), "kind", "") in ("O", "U", "T"):
        return all_visible(value.tolist())
    return value


def without_formula(cell: Any) -> Any:
    """A cell that a spreadsheet reads as text: with an apostrophe if it begins like a formula."""
    if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def with_formula(cell: Any) -> Any:
    """The cell of which :func:`without_formula` made this one.

    >>> with_formula("'=1+1"), with_formula("lamp"), with_formula(without_formula("'=1"))
    ('=1+1', 'lamp', "'=1")
    """
    is_marked = isinstance(cell, str) and cell.startswith("'") and FORMULA.match(cell)
    return cell[1:] if is_marked else cell


def write_table(frame: pd.DataFrame, path: Path, *, formulas: bool = False, **options: Any) -> None:
    """Write a frame as CSV for people, without its index; control characters as escapes.

    Parameters
    ----------
    frame : DataFrame
    path : Path
    formulas : bool
        Leave cells that begin with = + - @ or a tab as they are, for files that programs read.
    **options
        Passed to ``DataFrame.to_csv``.
    """
    import numpy as np

    if not formulas:
        frame = frame.rename(columns=without_formula)
        for place, kind in enumerate(frame.dtypes):
            if _is_text(kind):
                cells = [without_formula(_readable(cell)) for cell in frame.iloc[:, place]]
                frame.isetitem(place, np.array(cells, dtype=object))
    frame.to_csv(path, index=False, **options)


def _readable(cell: Any) -> Any:
    return visible(cell, lines=True) if isinstance(cell, str) else cell


def _is_text(kind: Any) -> bool:
    import pandas as pd

    return (
        isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_string_dtype(kind) or kind == "O"
    )


def json_visible(text: str) -> str:
    """The same JSON with control characters as escapes."""
    return BUT_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
