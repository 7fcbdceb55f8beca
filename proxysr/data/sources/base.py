"""What a source of sessions is: a public data set, or a layout of files, with its preset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from proxysr.config import require, unknown
from proxysr.data.preparation import PrepareConfig
from proxysr.data.rows import OnBadRows
from proxysr.data.sessions import SessionSplit


class Source(ABC):
    """One way in: reads its raw files and prepares them by its preset.

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
    """

    name: ClassVar[str]
    description: ClassVar[str]
    licence: ClassVar[str]
    download_help: ClassVar[str]
    config: ClassVar[PrepareConfig] = PrepareConfig()
    published: ClassVar[dict[str, int] | None] = None
    options: ClassVar[tuple[str, ...]] = ()

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
            what = f"option of format {self.name!r}"
            require(name in self.options, unknown(name, self.options or ("none",), what))
        return self.split(path, config or self.config, on_bad_rows, **options)

    @abstractmethod
    def split(
        self, path: str | Path, config: PrepareConfig, on_bad_rows: OnBadRows, **options: Any
    ) -> SessionSplit:
        """What :meth:`prepare` does, with all options settled."""

    def origin(self, **more: Any) -> dict[str, Any]:
        """What the provenance says of this source."""
        published = {"published": self.published} if self.published else {}
        return {"format": self.name, "licence": self.licence} | published | more

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
        found = self.optional(path, *names)
        if found is None:
            raise self.lacking(path, f"has no {' or '.join(names)}.")
        return found

    @staticmethod
    def optional(folder: Path, *names: str) -> Path | None:
        """The first of ``names`` in a folder, else None."""
        return next((folder / name for name in names if (folder / name).is_file()), None)
