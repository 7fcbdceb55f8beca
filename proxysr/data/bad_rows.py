"""Malformed rows of a log: counted by reason, with the first ones listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

OnBadRows = Literal["error", "drop"]
NAMED = 5
"""How many malformed rows are listed."""
WRONG_NUMBER = "wrong number of fields"


class BadRow(NamedTuple):
    """One malformed row: where it is (``line 12``, ``row 3``) and what is wrong with it."""

    place: str
    reason: str

    @property
    def number(self) -> int:
        """The number in its place."""
        return int(self.place.partition(" ")[2])


@dataclass(frozen=True)
class BadRows:
    """The malformed rows of one source.

    Attributes
    ----------
    source : str
        File name, or other name of the source.
    n_rows : int
        Rows read, good and bad.
    reasons : dict
        Number of bad rows by reason.
    first : tuple of BadRow
        The first bad rows, at most ``NAMED``.
    hint : str
        A likely cause, if there is one.
    """

    source: str
    n_rows: int
    reasons: dict[str, int] = field(default_factory=dict)
    first: tuple[BadRow, ...] = ()
    hint: str = ""

    @property
    def n_bad(self) -> int:
        """Number of malformed rows."""
        return sum(self.reasons.values())

    def __str__(self) -> str:
        if not self.n_bad:
            return f"{self.source}: all {self.n_rows:,} rows are well-formed."
        reasons = ", ".join(f"{n:,} × {reason}" for reason, n in self.reasons.items())
        rows = [f"  {self.source}, {row.place}: {row.reason}" for row in self.first]
        if self.n_bad > len(rows):
            rows.append(f"  … and {self.n_bad - len(rows):,} more")
        # the command line shows all of it as one line, so rows end with marks
        text = f"{self.source}: {self.n_bad:,} of {self.n_rows:,} rows are malformed ({reasons}):\n"
        text += ";\n".join(rows) + "."
        return f"{text}\n{self.hint}" if self.hint else text

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for the provenance of a split."""
        return {
            "rows": self.n_rows,
            "malformed": self.n_bad,
            "reasons": dict(self.reasons),
            "first": [f"{row.place}: {row.reason}" for row in self.first],
        }


class BadRowsError(ValueError):
    """Malformed rows where they were not to be dropped; ``report`` says which."""

    def __init__(self, report: BadRows) -> None:
        advice = "Repair them, or drop them with on_bad_rows='drop' (--on-bad-rows drop)."
        if report.n_bad == report.n_rows:
            advice = "No row is left, so the log is of another form than was taken for granted."
        super().__init__(f"{report}\n{advice}")
        self.report = report


def refuse(report: BadRows, on_bad_rows: str) -> None:
    """Raise :class:`BadRowsError` if there are bad rows and they were not to be dropped."""
    if report.n_bad and on_bad_rows == "error":
        raise BadRowsError(report)


def short(text: str, longest: int = 80) -> str:
    """The beginning of a record, quoted, for a message."""
    line = text[:200].splitlines()[0].encode("utf-8", "backslashreplace").decode()
    return repr(line if len(line) <= longest else line[: longest - 1] + "…")
