"""Tables of results, as they are shown and as they are kept: one JSON file for each log.

Runs are large and stay where they were made. Their tables are small: kept beside a page, they let
it grow from runs on several machines, and say what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from proxysr.config import require
from proxysr.files import read_json, write_json
from proxysr.paper.verdict import Standing

DASH = "–"
"""What is shown of a gap."""

Cells = dict[str, str]
"""A row of a table: heading to what is shown."""


class Claim(BaseModel):
    """A row of :func:`proxysr.paper.claims.claims`; gaps are None."""

    model_config = ConfigDict(extra="forbid")

    row: str
    metric: str
    printed: float
    here: float | None
    p: float | None
    verdict: str


class Table(BaseModel):
    """A table of the paper, ours: what is shown, and what it says of the paper's.

    Attributes
    ----------
    title, about : str
    min_prefix : int
        Fewest clicks before a target.
    rows : list of dict
        The first cell of each is its label.
    notes : list of str
    claims : list of Claim
        The paper's differences to one row, ``base``, beside ours.
    popularity : list of dict
        Recall by how often the target was clicked.
    standing : Standing or None
        Of Tables 2 and 3, if they have several models.
    settings : list of str
        What each row was trained with.
    n_runs : int
    made : str
        The day, as 2026-01-31.
    """

    model_config = ConfigDict(extra="forbid")

    title: str
    about: str
    min_prefix: int
    rows: list[Cells]
    notes: list[str] = []
    base: str = ""
    claims: list[Claim] = []
    popularity: list[Cells] = []
    standing: Standing | None = None
    settings: list[str] = []
    n_runs: int
    made: str

    @field_validator("rows")
    @classmethod
    def _has_labels_and_numbers(cls, rows: list[Cells]) -> list[Cells]:
        for row in rows:
            if not row or not row.get("seeds", "1").isdecimal():
                raise ValueError("a row has no label, or no number of seeds")
        return rows

    @property
    def key(self) -> tuple[bool, str, int]:
        """Tables with equal keys are the same one; figures come after tables."""
        return self.title.startswith("Figure"), self.title, self.min_prefix

    @property
    def labels(self) -> list[str]:
        """The first cell of each row."""
        return [next(iter(row.values())) for row in self.rows]

    @property
    def seeds(self) -> dict[str, int]:
        """The label of each row that has runs, without the mark of its task, to their number."""
        numbers = [int(row.get("seeds", 1)) for row in self.rows]
        by_label = zip(self.labels, numbers, strict=True)
        return {label.removesuffix(" †"): n for label, n in by_label if n}

    def lacking(self, other: Table) -> list[str]:
        """Rows of the other that it does not have, or of fewer seeds."""
        return [label for label, n in other.seeds.items() if self.seeds.get(label, 0) < n]


class Log(BaseModel):
    """All tables of one log.

    Attributes
    ----------
    name, about : str
    sessions : str
        Fingerprint of its sessions.
    reference : str
        The model that others are compared with in Tables 2 and 3.
    metrics : list of str
        What is shown.
    tables : list of Table
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal["proxysr results 1"] = "proxysr results 1"
    name: str
    about: str
    sessions: str
    reference: str
    metrics: list[str]
    tables: list[Table]

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name.replace('/', '-')}.json"


def read_logs(folder: str | Path) -> list[Log]:
    """The logs that are kept in a folder, by name; none if it is not there.

    Raises
    ------
    ValueError
        If it is a file, or a JSON file in it is damaged, or something else.
    """
    logs = []
    if Path(folder).is_file():
        raise ValueError(f"{folder} is a file; kept results need a folder.")
    for path in Path(folder).glob("*.json"):
        try:
            logs.append(Log.model_validate(read_json(path)))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise ValueError(
                f"{path} is damaged, or holds no results: {place}: {first['msg']}. Move it out of "
                "the folder of kept results, or name another one."
            ) from None
    return sorted(logs, key=lambda log: log.name)


def check_alike(kept: Sequence[Log], reference: str, metrics: Sequence[str] | None) -> None:
    """Check that kept logs are compared in the same way, so that one page can show them.

    Raises
    ------
    ConfigError
        If they have another reference or other metrics.
    """
    for log in kept:
        require(
            log.reference == reference,
            f"The kept tables of {log.name} compare with {log.reference}, those of this command "
            f"with {reference}. Say --reference {log.reference}, or keep these in another folder.",
        )
        if metrics is None:
            continue
        require(
            log.metrics == list(metrics),
            f"The kept tables of {log.name} have {', '.join(log.metrics)}, those of this command "
            f"{', '.join(metrics)}. Say --metrics {','.join(log.metrics)}, or keep these in "
            "another folder.",
        )


def write_logs(folder: str | Path, logs: Iterable[Log]) -> None:
    """Keep logs, each in a file of its own."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for log in logs:
        write_json(Path(folder) / log.file, log.model_dump(mode="json"))


def merged(kept: Sequence[Log], new: Sequence[Log]) -> tuple[list[Log], list[str]]:
    """Kept logs with the tables of new ones, and a sentence for each table that is not taken.

    A new table takes the place of the kept one if it lacks nothing of it (:meth:`Table.lacking`),
    so that a few runs never replace many.

    Raises
    ------
    ValueError
        If logs of one name have different sessions.
    """
    logs: dict[str, Log] = {}
    refused: list[str] = []
    for log in [*kept, *new]:
        before = logs.setdefault(log.file, log)
        if before.sessions != log.sessions:
            raise ValueError(
                f"Two logs with different sessions are called {log.name}, so their tables cannot "
                "be kept side by side. Rename the folder of the prepared data of one of them and "
                "make its runs there, or name another folder of kept results."
            )
        if before is log:
            continue
        tables = {table.key: table for table in before.tables}
        for table in log.tables:
            if lacking := table.lacking(tables.get(table.key, table)):
                refused.append(
                    f"{table.title} of {log.name} stays as it was kept: these runs have no row, or "
                    f"fewer seeds, of {', '.join(lacking)}."
                )
            else:
                tables[table.key] = table
        in_order = [tables[key] for key in sorted(tables)]
        logs[log.file] = log.model_copy(update={"tables": in_order})
    return sorted(logs.values(), key=lambda log: log.name), refused
