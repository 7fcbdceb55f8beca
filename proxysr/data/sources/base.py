"""Base of sources of sessions: public data sets or layouts of files, with a preset."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd

from proxysr import paths
from proxysr.config import require, unknown
from proxysr.data.bad_rows import OnBadRows
from proxysr.data.events import EventTable
from proxysr.data.preparation import PrepareConfig, prepare, prepare_parts
from proxysr.data.sessions import SessionSplit

DOWNLOAD = "download"
"""The SOURCE that stands for "get the file from where it is published"."""


class Log(NamedTuple):
    """The result of reading a source.

    Attributes
    ----------
    events : EventTable or DataFrame, or list of three
        Events to be filtered and split, or those of train, valid and test.
    items, session_info : DataFrame, optional
        See :func:`proxysr.data.prepare`.
    origin : dict, optional
        More about the source, for the provenance.
    remarks : tuple of str
        Sentences on what was noticed.
    """

    events: EventTable | pd.DataFrame | list[EventTable]
    items: pd.DataFrame | None = None
    session_info: pd.DataFrame | None = None
    origin: dict[str, Any] | None = None
    remarks: tuple[str, ...] = ()


class Source(ABC):
    """A source: reads its raw files and prepares them by its preset.

    Attributes
    ----------
    name : str
        What ``proxysr prepare --format`` calls it.
    description : str
        What it is, and how the preset prepares it.
    licence : str
    download_help : str
        Where to get it, and which files to hand in.
    config : PrepareConfig
        The preset.
    published : dict or None
        Interactions, items and sessions in the paper's Table 1.
    options : tuple of str
        Names of the options of its own that :meth:`prepare` takes.
    in_parts : bool
        Whether it comes filtered and split already.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    licence: ClassVar[str]
    download_help: ClassVar[str]
    config: ClassVar[PrepareConfig] = PrepareConfig()
    published: ClassVar[dict[str, int] | None] = None
    options: ClassVar[tuple[str, ...]] = ()
    in_parts: ClassVar[bool] = False

    @abstractmethod
    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read the raw files at ``path``."""

    def prepare(
        self,
        path: str | Path,
        config: PrepareConfig | None = None,
        on_bad_rows: OnBadRows = "error",
        **options: Any,
    ) -> SessionSplit:
        """Read the raw files at ``path`` and prepare them; ``config`` replaces the preset.

        Raises
        ------
        FileNotFoundError
            If a file is not there; says where to get it.
        ConfigError
            If the source has no such option.
        BadRowsError, ValueError
            As :func:`proxysr.data.open_events` and :func:`proxysr.data.prepare`.
        """
        for name in options:
            option = f"option of format {self.name!r}"
            require(name in self.options, unknown(name, self.options or ("none",), option))
        log = self.read(path, on_bad_rows, **options)
        published = {"published": self.published} if self.published else {}
        origin = {"format": self.name, "licence": self.licence} | published | (log.origin or {})
        tables: dict[str, Any] = {
            "items": log.items,
            "session_info": log.session_info,
            "source": origin,
        }
        config = config or self.config
        if isinstance(log.events, list):
            train, valid, test = log.events
            split = prepare_parts(train, valid, test, config, **tables)
        else:
            split = prepare(log.events, config, **tables)
        if log.remarks:
            split.provenance.setdefault("remarks", []).extend(log.remarks)
        return split

    def lacking(self, path: Path, what: str) -> FileNotFoundError:
        """The error for a missing file, saying where to get it."""
        return FileNotFoundError(f"{path} {what} {self.download_help}")

    def file(self, path: str | Path, *names: str) -> Path:
        """``path`` itself if it is a file, else the first of ``names`` in that folder.

        Raises
        ------
        FileNotFoundError
            If there is neither; says where to download.
        """
        path = Path(path)
        if path.is_file():
            return path
        if not path.exists():
            raise self.lacking(path, "does not exist.")
        for name in names:
            if (path / name).is_file():
                return path / name
        raise self.lacking(path, f"has no {' or '.join(names)}.")


def fetch(url: str, name: str, known_hash: str | None) -> Path:
    """``url`` as file ``name`` of the cache folder, downloaded unless it is there.

    A file that does not have ``known_hash`` (``"sha256:…"``) is refused by pooch with
    ``ValueError``.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    folder = paths.cache() / "downloads"
    return Path(pooch.retrieve(url, known_hash, fname=name, path=folder, progressbar=True))


def verify(path: Path, algorithm: str, expected: str) -> None:
    """Raise ``ValueError`` unless the file has the published checksum ("md5", "sha256")."""
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, algorithm).hexdigest()
    if actual != expected:
        raise ValueError(
            f"{path.name} is not the published file: its {algorithm.upper()} is {actual}, the "
            f"published one {expected}. The download is incomplete or damaged; get it again."
        )
