"""Ids and titles as text, by one rule for logs, frames, files of items and recommendations.

Whole numbers have no ``.0``, bytes are UTF-8, periods are the times at which they begin, white
space and invisible characters at the edges are cut. Letters are left alone: ``é`` as one character
and as two are two ids.
:func:`proxysr.data.cleaning.as_text` is the same rule in a database.

>>> id_text(101.0), id_text(b"a "), id_text(2.50), id_text("007"), id_text(True)
('101', 'a', '2.5', '007', 'true')
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

RANGES = (
    (0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200F),
    (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
"""White space, control and format characters: nobody sees them at the edge of an id."""
EDGES = "".join(chr(code) for first, last in RANGES for code in range(first, last + 1))
EDGES_PATTERN = "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in RANGES)
"""The same for a character class of RE2 or Java."""
WIDEST = 8
"""Texts are an array of fixed width if that takes at most this many times their own size."""


def trimmed(text: str) -> str:
    """Without white space and invisible characters at the edges."""
    return text.strip(EDGES)


def words_of(missing: str | Sequence[str]) -> tuple[str, ...]:
    """Words that mean "no value", one or several, trimmed as ids are."""
    return tuple(map(trimmed, (missing,) if isinstance(missing, str) else missing))


def id_text(value: Any) -> str | None:
    """An id, or a title, as text; None where there is none (None, NaN, empty text)."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        text = bytes(value).decode("utf-8", "backslashreplace")
    elif isinstance(value, bool | np.bool_):
        text = "true" if value else "false"
    elif isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return None
        whole = float(value).is_integer() and abs(float(value)) < 2**63
        text = str(int(value)) if whole else str(value)
    elif isinstance(value, decimal.Decimal):
        if not value.is_finite():
            return None
        text = f"{value.normalize():f}"
    else:
        text = str(value.start_time if isinstance(value, pd.Period) else value)
    return trimmed(text) or None


def texts_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of ids as text."""
    # elements of nullable numbers with gaps would be floats, were they made an array
    texts = [id_text(value) for value in without_categories(column)]
    return pd.Series(texts, column.index, dtype="str")


def without_categories(column: pd.Series[Any]) -> pd.Series[Any]:
    """A categorical column as its values, others as they are."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    values = column.cat.categories.to_series().convert_dtypes().array  # integers may have gaps
    return pd.Series(values.take(column.cat.codes.to_numpy(), allow_fill=True), column.index)


def packed(texts: Sequence[str]) -> npt.NDArray[Any]:
    """Texts as an array of fixed width, which can be memory-mapped, or of objects.

    Fixed width takes 4 bytes for each character of the longest: one long id would make all long.
    """
    fixed = 4 * max(map(len, texts), default=0) * len(texts)
    if fixed <= WIDEST * (16 * len(texts) + sum(map(len, texts))):
        return np.asarray(texts, dtype=np.str_)
    return np.array(texts, dtype=object)
