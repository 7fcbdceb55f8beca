"""Selections of sessions as files with raw ids and titles.

A saved selection has one row a click. Every row names the run, checkpoint and data, so that a table
shows its origin wherever it is used.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proxysr.config import require, unknown
from proxysr.explorer.scene import Scene
from proxysr.files import checked, replacing
from proxysr.text import with_formula, without_formula

FORMAT = "proxysr-selection"
KINDS = ("csv", "json", "parquet")
ABOUT = ("user", "started_at", "proxy", "probability")
PROVENANCE = ("run", "epoch", "data", "part")


@dataclass(frozen=True, eq=False)
class Selection:
    """Selected sessions of a run.

    Attributes
    ----------
    clicks : DataFrame
        One row a click: ``session_id``, ``position`` (from 1), ``item_id``, ``title`` where
        known, ``proxy``, ``interest`` (its name), ``probability``, and ``user`` and
        ``started_at`` where known.
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
        """The sessions at these rows of the page."""
        rows = scene.rows[np.asarray(rows, dtype=np.int64)]
        view = scene.view
        sessions = view.sessions.select(rows)
        names = [name for name in ABOUT if name in view.table]
        frame = view.table.iloc[rows][["session_id", *names]].copy()
        frame["interest"] = [view.interest(int(proxy)).name for proxy in frame["proxy"]]
        clicks = frame.iloc[sessions.session_of_click].reset_index(drop=True)
        position = np.arange(sessions.n_clicks) - np.repeat(sessions.offsets[:-1], sessions.lengths)
        clicks.insert(1, "position", position + 1)
        named = [name for name in ("item_id", "title") if name in view.items]
        for place, name in enumerate(named):
            clicks.insert(2 + place, name, view.items[name].to_numpy()[sessions.items - 1])
        clicks["session_id"] = clicks["session_id"].astype(str)
        return cls(clicks, provenance_of(scene))

    def to_bytes(self, kind: str) -> bytes:
        """The content of a file: "csv", "json" or "parquet".

        Raises
        ------
        ConfigError
            If no session is selected.
        """
        require(len(self.clicks) > 0, "No session is selected, so there is nothing to save.")
        if kind == "json":
            return (json.dumps(self._as_json(), indent=1, ensure_ascii=False) + "\n").encode()
        table = self.clicks.assign(**self.provenance)
        if kind == "csv":
            # a cell that holds a character of the line end is quoted, so a lone \r needs \r\n
            text = _mapped(table, without_formula).to_csv(index=False, lineterminator="\r\n")
            return bytes(text.encode())
        file = io.BytesIO()
        table.to_parquet(file, index=False)
        return file.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write to CSV, JSON or Parquet, by the file's ending, atomically.

        Raises
        ------
        ConfigError
            If the file has another ending, no session is selected, or the file exists and is not
            a saved selection.
        """
        path = Path(path).expanduser()
        kind = _kind(str(path))
        data = self.to_bytes(kind)
        require(
            not path.exists() or _was_saved(path),
            f"{path} exists and is not a saved selection; nothing was overwritten. "
            "Name another file.",
        )
        with replacing(path) as temporary:
            temporary.write_bytes(data)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Selection:
        """Read a file of :meth:`save`, or any table with a ``session_id`` column.

        Raises
        ------
        ConfigError
            If the file has another ending, or names no sessions.
        ValueError, OSError
            If the file cannot be read.
        """
        path = Path(path).expanduser()
        _kind(str(path))
        require(path.is_file(), f"There is no selection at {path}.")
        return cls.from_bytes(path.read_bytes(), str(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Selection:
        """Read the content of a file; its name tells the kind. Errors are those of :meth:`load`."""
        kind = _kind(name)
        if kind == "json":
            content = _json(data, name)
            table, provenance = _flat(content["sessions"], name), dict(content["provenance"])
        else:
            table = _table(data, kind, name)
            known = [column for column in PROVENANCE if column in table]
            provenance = {column: table[column].iloc[0] for column in known if len(table)}
            table = table.drop(columns=known)
        require(
            "session_id" in table,
            f"{name} has no column session_id; it has {', '.join(map(str, table)) or 'none'}.",
        )
        return cls(table.assign(session_id=table["session_id"].astype(str)), provenance)

    def on_page(self, scene: Scene) -> tuple[list[int], list[str]]:
        """Rows of the selected sessions on the page, and sentences on what does not fit.

        Raises
        ------
        ConfigError
            If none of the sessions is there.
        """
        ids, current = self.session_ids, provenance_of(scene)
        rows = sorted(scene.page_rows[name] for name in ids if name in scene.page_rows)
        require(
            len(rows) > 0,
            f"None of the {len(ids):,} sessions of the selection is in part {current['part']!r} of "
            f"{current['run']}; it was saved from part {self.provenance.get('part', '?')!r} of "
            f"{self.provenance.get('run', 'an unknown run')}.",
        )
        notes = []
        if len(rows) < len(ids):
            notes.append(
                f"{len(ids) - len(rows):,} of {len(ids):,} selected sessions are not on this page."
            )
        if "data" in self.provenance and self.provenance["data"] != current["data"]:
            notes.append("The selection was saved from other data.")
        elif any(
            str(self.provenance.get(name, current[name])) != str(current[name])
            for name in ("run", "epoch")
        ):
            notes.append(
                f"The selection was saved from epoch {self.provenance.get('epoch', '?')} of "
                f"{self.provenance.get('run', '?')}: its interests differ from those of "
                f"epoch {current['epoch']} of {current['run']}."
            )
        return rows, notes

    def _as_json(self) -> dict[str, Any]:
        plain = json.loads(self.clicks.to_json(orient="records", date_format="iso"))
        sessions: dict[str, dict[str, Any]] = {}
        for row in plain:
            click = {name: row.pop(name) for name in ("item_id", "title") if name in row}
            row.pop("position", None)
            sessions.setdefault(row["session_id"], row | {"clicks": []})["clicks"].append(click)
        header = {"format": FORMAT, "version": 1, "provenance": self.provenance}
        return header | {"sessions": list(sessions.values())}


def provenance_of(scene: Scene) -> dict[str, Any]:
    """Which run, checkpoint, data and part a scene shows."""
    meta = scene.tree["meta"]
    return {"run": meta["title"], **{name: meta[name] for name in ("epoch", "data", "part")}}


def _kind(name: str) -> str:
    """The kind of file, from its ending."""
    suffix = Path(name).suffix
    require(
        suffix[1:].lower() in KINDS,
        f"A selection is a file ending in .{', .'.join(KINDS)}; received {name!r}."
        if not suffix
        else unknown(suffix, [f".{kind}" for kind in KINDS], "kind of file for a selection"),
    )
    return suffix[1:].lower()


def _was_saved(path: Path) -> bool:
    """Whether the file is one of :meth:`Selection.save`."""
    try:
        return Selection.load(path).provenance.keys() >= set(PROVENANCE)
    except (ValueError, OSError):
        return False


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is damaged: it is not valid JSON ({error}).") from None
    return checked(content, {"sessions": list, "provenance": dict}, Path(name))


def _table(data: bytes, kind: str, name: str) -> pd.DataFrame:
    try:
        if kind == "parquet":
            return pd.read_parquet(io.BytesIO(data))
        texts = ("session_id", "item_id", "user", "title", "interest", "run", "data", "part")
        kinds = dict.fromkeys(texts, "str")
        with warnings.catch_warnings():  # fields beyond the columns, such as of commas at the end
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.BytesIO(data), dtype=kinds, keep_default_na=False, index_col=False
            )
    except Exception as error:  # readers raise all kinds of errors for damaged files
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} cannot be read as a table ({reason}).") from None
    return _mapped(table, with_formula)


def _mapped(table: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """The table with its texts, and the names of its columns, changed."""
    texts = {
        str(name): table[name].map(change)
        for name in table
        if not pd.api.types.is_numeric_dtype(table[name])
    }
    return table.assign(**texts).rename(columns=lambda name: change(str(name)))


def _flat(sessions: list[Any], path: str) -> pd.DataFrame:
    """One row a click again."""
    rows = []
    for session in sessions:
        require(
            isinstance(session, dict) and "session_id" in session,
            f"{path} is damaged: a session in it has no session_id.",
        )
        columns = {name: value for name, value in session.items() if name != "clicks"}
        clicks = session.get("clicks") or [{}]
        require(
            isinstance(clicks, list) and all(isinstance(click, dict) for click in clicks),
            f"{path} is damaged: the clicks of session {session['session_id']!r} are not objects.",
        )
        for position, click in enumerate(clicks, start=1):
            rows.append(columns | {"position": position} | click)
    return pd.DataFrame(rows)
