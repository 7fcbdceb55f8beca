"""Selections of sessions, as data: they leave with raw ids and titles, and come back.

A saved selection has one row a click, and says in every row which run, checkpoint and data it is
of, so that a table that has travelled still tells where it comes from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proxysr.config import require, unknown
from proxysr.explorer.scene import Scene
from proxysr.files import read_object, replacing, write_json

FORMAT = "proxysr-selection"
SUFFIXES = (".csv", ".json", ".parquet")
PROVENANCE = ("run", "epoch", "data", "part")


@dataclass(frozen=True, eq=False)
class Selection:
    """Sessions of a run that were selected.

    Attributes
    ----------
    clicks : DataFrame
        One row a click: ``session_id``, ``position`` (from 1), ``item_id``, ``title`` where
        known, ``proxy``, ``probability``, ``user`` and ``started_at`` where known.
    provenance : dict
        ``run`` (name of its folder), ``epoch`` (of the checkpoint), ``data`` (fingerprint) and
        ``part``.
    """

    clicks: pd.DataFrame
    provenance: dict[str, Any]

    @property
    def session_ids(self) -> list[str]:
        """The sessions, each once, in order."""
        return list(dict.fromkeys(self.clicks["session_id"].astype(str)))

    @classmethod
    def of(cls, scene: Scene, rows: Any) -> Selection:
        """The sessions at some rows of a scene's table."""
        rows = np.asarray(rows, dtype=np.int64)
        sessions = scene.sessions.select(rows)
        about = [name for name in ("user", "started_at", "proxy", "probability")
                 if name in scene.table]  # fmt: skip
        frame = scene.table.iloc[rows][["session_id", *about]]
        clicks = frame.iloc[sessions.session_of_click].reset_index(drop=True)
        position = np.arange(sessions.n_clicks) - np.repeat(sessions.offsets[:-1], sessions.lengths)
        clicks.insert(1, "position", position + 1)
        named = [name for name in ("item_id", "title") if name in scene.items]
        for place, name in enumerate(named):
            values = scene.items[name].to_numpy()[sessions.items - 1]
            clicks.insert(2 + place, name, values)
        clicks["session_id"] = clicks["session_id"].astype(str)
        return cls(clicks, provenance_of(scene))

    def save(self, path: str | Path) -> Path:
        """Write to CSV, JSON or Parquet, as the name of the file ends; whole or not at all.

        Raises
        ------
        ConfigError
            If the name ends otherwise, no session is selected, or another file lies there that is
            no saved selection.
        """
        path = Path(path).expanduser()
        _check_suffix(path)
        require(len(self.clicks) > 0, "No session is selected, so there is nothing to save.")
        require(
            not path.exists() or _was_saved(path),
            f"{path} exists and is no saved selection; nothing was overwritten. Name another file.",
        )
        if path.suffix == ".json":
            write_json(path, self._as_json())
            return path
        table = self.clicks.assign(**self.provenance)
        with replacing(path) as temporary:
            if path.suffix == ".csv":
                table.to_csv(temporary, index=False)
            else:
                table.to_parquet(temporary, index=False)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Selection:
        """Read what :meth:`save` wrote; a table that names sessions only will do, too.

        Raises
        ------
        ConfigError
            If the name of the file ends otherwise, or it names no sessions.
        ValueError, OSError
            If the file cannot be read.
        """
        path = Path(path).expanduser()
        _check_suffix(path)
        require(path.is_file(), f"There is no selection at {path}.")
        if path.suffix == ".json":
            found = read_object(path, {"sessions": list, "provenance": dict})
            table = _flat(found["sessions"], path)
            provenance = found["provenance"]
        else:
            table = _read(path)
            provenance = {
                name: table[name].iloc[0] for name in PROVENANCE if name in table and len(table)
            }
            table = table.drop(columns=[name for name in PROVENANCE if name in table])
        require(
            "session_id" in table,
            f"{path} has no column session_id; it has {', '.join(map(str, table)) or 'none'}.",
        )
        return cls(table.assign(session_id=table["session_id"].astype(str)), provenance)

    def in_scene(self, scene: Scene) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[str]]:
        """Rows of the selected sessions in a scene, and sentences on what does not fit.

        Raises
        ------
        ConfigError
            If none of the sessions is there.
        """
        ids = self.session_ids
        rows = scene.rows_of(ids)
        here = provenance_of(scene)
        require(
            len(rows) > 0,
            f"None of the {len(ids):,} sessions of the selection is in part {here['part']!r} of "
            f"{here['run']}; it was saved from part {self.provenance.get('part', '?')!r} of "
            f"{self.provenance.get('run', 'an unknown run')}.",
        )
        notes = []
        if len(rows) < len(ids):
            notes.append(
                f"{len(ids) - len(rows):,} of {len(ids):,} selected sessions are not here."
            )
        if "data" in self.provenance and self.provenance["data"] != here["data"]:
            notes.append("The selection was saved from other data.")
        elif any(self.provenance.get(name, here[name]) != here[name] for name in ("run", "epoch")):
            notes.append(
                f"The selection was saved from epoch {self.provenance.get('epoch')} of "
                f"{self.provenance.get('run')}: its proxies are others than those of "
                f"epoch {here['epoch']} of {here['run']}."
            )
        return rows, notes

    def _as_json(self) -> dict[str, Any]:
        plain = json.loads(self.clicks.to_json(orient="records", date_format="iso"))
        sessions: dict[str, dict[str, Any]] = {}
        for row in plain:
            click = {name: row.pop(name) for name in ("item_id", "title") if name in row}
            row.pop("position")
            sessions.setdefault(row["session_id"], row | {"clicks": []})["clicks"].append(click)
        header = {"format": FORMAT, "version": 1, "provenance": self.provenance}
        return header | {"sessions": list(sessions.values())}


def provenance_of(scene: Scene) -> dict[str, Any]:
    """Which run, checkpoint, data and part a scene shows."""
    run = scene.view.run
    return {
        "run": run.path.name,
        "epoch": int(run.best_epoch),
        "data": str(run.data["fingerprint"]),
        "part": scene.view.part,
    }


def _check_suffix(path: Path) -> None:
    require(
        path.suffix in SUFFIXES,
        f"A selection is a file ending in {', '.join(SUFFIXES)}; received {str(path)!r}."
        if not path.suffix
        else unknown(path.suffix, SUFFIXES, "kind of file for a selection"),
    )


def _was_saved(path: Path) -> bool:
    """Whether :meth:`Selection.save` wrote what lies there."""
    try:
        return Selection.load(path).provenance.keys() >= set(PROVENANCE)
    except (ValueError, OSError):
        return False


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".csv":
            ids = dict.fromkeys(
                ("session_id", "item_id", "user", "title", "run", "data", "part"), "str"
            )
            return pd.read_csv(path, dtype=ids, keep_default_na=False)
        return pd.read_parquet(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a table ({error}).") from None


def _flat(sessions: list[Any], path: Path) -> pd.DataFrame:
    """One row a click again."""
    rows = []
    for session in sessions:
        require(
            isinstance(session, dict) and "session_id" in session,
            f"{path} is damaged: a session in it has no session_id.",
        )
        about = {name: value for name, value in session.items() if name != "clicks"}
        clicks = session.get("clicks") or [{}]
        require(
            isinstance(clicks, list) and all(isinstance(click, dict) for click in clicks),
            f"{path} is damaged: the clicks of session {session['session_id']!r} are no objects.",
        )
        for position, click in enumerate(clicks, start=1):
            rows.append(about | {"position": position} | click)
    return pd.DataFrame(rows)
