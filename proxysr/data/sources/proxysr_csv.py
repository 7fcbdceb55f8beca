"""The layout of the ProxySR authors' program: three CSV files, already filtered and split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxysr.data.bad_rows import OnBadRows
from proxysr.data.engines import embedded
from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sources.base import Log, Source


class ProxySRCsv(Source):
    """``*train*.csv``, ``*valid*.csv`` and ``*test*.csv`` in a folder."""

    name = "proxysr-csv"
    description = (
        "Sessions that are filtered and split already, in the layout of the ProxySR authors' "
        "program: a folder with one file each of *train*.csv, *valid*.csv and *test*.csv (or "
        ".csv.gz), with columns sessionId,userId,itemId,timeframe,eventdate. Nothing is filtered; "
        "only items that training lacks are dropped from validation and test."
    )
    licence = "that of the data"
    download_help = (
        "The authors publish such files of Diginetica with their program (Cho et al., SIGIR 2021, "
        "name the place); hand in the folder that holds the three."
    )
    config = PrepareConfig(sessions="given", max_mixed_sessions=1)
    in_parts = True

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read the three files in folder ``path``."""
        files = [self._part(Path(path), part) for part in ("train", "valid", "test")]
        connection = embedded()
        parts = [
            open_events(
                file,
                item="itemId",
                time="timeframe",
                session="sessionId",
                user="userId",
                missing=("NA",),
                on_bad_rows=on_bad_rows,
                connection=connection,
            )
            for file in files
        ]
        return Log(parts)

    def _part(self, folder: Path, part: str) -> Path:
        if not folder.is_dir():
            raise self.lacking(folder, "is not a folder.")
        files = sorted({*folder.glob(f"*{part}*.csv"), *folder.glob(f"*{part}*.csv.gz")})
        if not files:
            raise self.lacking(folder, f"has no *{part}*.csv or *{part}*.csv.gz.")
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise ValueError(
                f"{folder} has {len(files)} files for the {part} part: {names}. Leave one."
            )
        return files[0]
