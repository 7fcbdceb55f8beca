"""Sessions as flat arrays, and the train / validation / test split of them.

>>> sessions = Sessions.from_lists([[3, 1, 3, 2], [2, 1]])
>>> sessions.items, sessions.offsets
(array([3, 1, 3, 2, 2, 1], dtype=int32), array([0, 4, 6]))

Only this module decides which clicks are targets. In the first
session, the click on item 3 at position 2 is a repeat, so the *unseen* task
leaves it out:

>>> sessions.prefixes("unseen").target
array([1, 2, 1], dtype=int32)
>>> sessions.prefixes("repeat").target
array([1, 3, 2, 1], dtype=int32)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr import files
from proxysr.config import ConfigError, require, unknown
from proxysr.data.arrays import read_array, write_array
from proxysr.processes import put_back

Task = Literal["unseen", "repeat"]
PAD = 0
FORMAT = "proxysr-split"
FORMAT_VERSION = 1
PARTS = ("train", "valid", "test")
TABLES = ("items", "users", "session_info")
KEYS = {"items": ("item_id",), "users": ("user_id",)}
CLICKS_TOGETHER = 2**22
"""Clicks of a chunk when targets are marked."""

Ints = npt.NDArray[np.integer[Any]]


def check_task(task: str) -> None:
    """Raise ``ConfigError`` unless ``task`` is "unseen" or "repeat"."""
    require(task in get_args(Task), unknown(task, get_args(Task), "task"))


class Prefixes(NamedTuple):
    """The targets of sessions: the first ``length`` clicks of ``session`` precede ``target``.

    All three are one-dimensional and of equal length; ``session`` is a row of
    the :class:`Sessions` they came from, and ``length`` is also the target's
    0-based position in its session.
    """

    session: npt.NDArray[np.int64]
    length: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Sessions:
    """S sessions in time order, as flat arrays that can be memory-mapped.

    Attributes
    ----------
    items : int32 (n_clicks,)
        Item indices 1..n_items of all sessions, one session after the other.
    offsets : int64 (S + 1,)
        Session ``s`` is ``items[offsets[s]:offsets[s + 1]]``.
    session_ids : str or int (S,)
        The caller's own session ids; an array of objects if their lengths differ much.
    user_index : int32 (S,)
        Row of the session's user in ``SessionSplit.users``; -1 where unknown.
    started_at : float64 (S,)
        Seconds since 1970 of the first click; NaN where unknown.
    """

    items: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    session_ids: npt.NDArray[Any]
    user_index: npt.NDArray[np.int32]
    started_at: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            shape = getattr(self, name).shape
            require(len(shape) == 1, f"Sessions.{name} has one dimension; received shape {shape}.")
        numbers = ("i", "whole numbers")
        kinds = {"items": numbers, "offsets": numbers, "user_index": numbers}
        for name, (kind, words) in (kinds | {"started_at": ("f", "seconds")}).items():
            dtype = getattr(self, name).dtype
            require(dtype.kind == kind, f"Sessions.{name} holds {words}; received {dtype}.")
        n = len(self.offsets) - 1
        require(n >= 0, "Sessions.offsets needs at least one entry.")
        require(
            self.offsets[0] == 0 and self.offsets[-1] == len(self.items),
            f"Sessions.offsets must run from 0 to the {len(self.items)} items; "
            f"received {self.offsets[0]} to {self.offsets[-1]}.",
        )
        require(bool((np.diff(self.offsets) >= 0).all()), "Sessions.offsets must not decrease.")
        for name in ("session_ids", "user_index", "started_at"):
            got = len(getattr(self, name))
            require(got == n, f"Sessions.{name} needs {n} entries, one a session; received {got}.")
        smallest = int(self.items.min(initial=PAD + 1))
        require(smallest > PAD, "Item indices start at 1; 0 is the padding.")
        user = int(self.user_index.min(initial=-1))
        require(user >= -1, f"user_index is -1 or a row of the users; received {user}.")

    @classmethod
    def from_lists(
        cls,
        clicks: Sequence[Sequence[int]],
        *,
        session_ids: Sequence[Any] | None = None,
        user_index: Sequence[int] | None = None,
        started_at: Sequence[float] | None = None,
    ) -> Sessions:
        """Sessions from lists of item indices; ids default to 0, 1, …, the rest to unknown."""
        n = len(clicks)
        users = [-1] * n if user_index is None else user_index
        starts = [np.nan] * n if started_at is None else started_at
        return cls(
            items=_int32s([item for session in clicks for item in session]),
            offsets=np.cumsum([0, *map(len, clicks)], dtype=np.int64),
            session_ids=np.arange(n) if session_ids is None else np.asarray(session_ids),
            user_index=_int32s(users),
            started_at=np.asarray(starts, np.float64),
        )

    def __repr__(self) -> str:
        n_items = np.count_nonzero(np.bincount(self.items))
        return f"Sessions({len(self):,} sessions, {self.n_clicks:,} clicks, {n_items:,} items)"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> npt.NDArray[np.int32]:
        """The clicks of one session; row -1 is the last."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"There is no session {row}; there are {len(self):,} of them.")
        row %= len(self)
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of clicks of each session, (S,)."""
        return np.diff(self.offsets)

    @property
    def n_clicks(self) -> int:
        """Number of clicks of all sessions."""
        return len(self.items)

    def select(self, rows: Ints | npt.NDArray[np.bool_]) -> Sessions:
        """The sessions at ``rows`` (indices or a mask), in that order."""
        rows = np.arange(len(self))[rows]
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        clicks = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        others = (self.session_ids[rows], self.user_index[rows], self.started_at[rows])
        return Sessions(self.items[clicks], offsets, *others)

    @property
    def session_of_click(self) -> npt.NDArray[np.int64]:
        """Row of the session of each click, (n_clicks,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def is_target(self, task: Task, min_prefix: int = 1) -> npt.NDArray[np.bool_]:
        """Which clicks are targets, (n_clicks,).

        A click is a target if at least ``min_prefix`` clicks precede it in its
        session and, with task *unseen*, none of them was on the same item
        (ProxySR section 4.2). With ``min_prefix=0``, a session's first click is one, too.
        """
        check_task(task)
        require(min_prefix >= 0, f"min_prefix is not negative; received {min_prefix}.")
        is_target = np.empty(self.n_clicks, dtype=bool)
        # in chunks: sorting takes several 64-bit integers a click
        cuts = np.searchsorted(self.offsets, np.arange(0, self.n_clicks, CLICKS_TOGETHER))
        for first, last in pairwise([*np.unique(cuts), len(self)]):
            bounds = self.offsets[first : last + 1]
            clicks = slice(bounds[0], bounds[-1])
            items, lengths = self.items[clicks], np.diff(bounds)
            position = np.arange(len(items)) - np.repeat(bounds[:-1] - bounds[0], lengths)
            is_target[clicks] = position >= min_prefix
            if task == "unseen":
                is_target[clicks] &= _first_occurrence(items, lengths)
        return is_target

    def prefixes(self, task: Task, min_prefix: int = 1) -> Prefixes:
        """Every target of ``task`` with the prefix that precedes it (see :meth:`is_target`)."""
        click = np.flatnonzero(self.is_target(task, min_prefix))
        session = np.searchsorted(self.offsets, click, side="right") - 1
        length = (click - self.offsets[session]).astype(np.int32)
        return Prefixes(session, length, np.asarray(self.items[click]))

    def save(self, folder: Path) -> None:
        """Write the arrays into a new folder, see :mod:`proxysr.data.arrays`."""
        folder.mkdir()
        for name in self.__dataclass_fields__:
            write_array(folder, name, getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Sessions:
        """Memory-map the arrays that :meth:`save` wrote."""
        arrays = {name: read_array(folder, name) for name in cls.__dataclass_fields__}
        try:
            ids = arrays["session_ids"].dtype
            require(ids.kind in "iuUTO", f"session_ids are text or whole numbers; received {ids}.")
            return cls(**arrays)
        except (ValueError, TypeError, OverflowError) as error:  # numbers of another kind
            raise ValueError(f"{folder} is damaged: {error}") from None


FILES = tuple(f"{part}/{name}.npy" for part in PARTS for name in Sessions.__dataclass_fields__)
FILES += tuple(f"{name}.parquet" for name in TABLES)
FILES += tuple(f"{part}/session_ids.parquet" for part in PARTS)  # in place of the .npy
"""Files of a split beside ``split.json``, which has their hashes."""


def _int32s(values: Any) -> npt.NDArray[Any]:
    """Whole numbers as int32; others as they are, to be refused where NumPy would cut them."""
    array = np.asarray(values)
    narrow = array.astype(np.int32) if array.dtype.kind in "iu" or not array.size else array
    return narrow if (narrow == array).all() else array


def _first_occurrence(items: Ints, lengths: Ints) -> npt.NDArray[np.bool_]:
    """Whether each click is the first one on its item within its session, (n_clicks,)."""
    width = int(items.max(initial=0)) + 1
    key = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths) * width + items
    order = np.argsort(key, kind="stable")  # stable: equal keys stay in click order
    first = np.ones(len(key), dtype=bool)
    first[order[1:]] = np.diff(key[order]) != 0
    return first


@dataclass(frozen=True, eq=False)
class SessionSplit:
    """Prepared data: three parts in time order, tables of items and users, and provenance.

    Attributes
    ----------
    train, valid, test : Sessions
    items : DataFrame (n_items rows)
        Row ``i - 1`` describes item index ``i``: ``item_id`` (text), ``count``
        (clicks in training), and ``title`` and other columns where known.
    users : DataFrame
        Row ``u`` describes user index ``u``: ``user_id`` (text). May be empty.
    session_info : DataFrame
        What else is known of sessions: ``session_id`` and any columns, such as
        the planted interest of synthetic data. May be empty.
    provenance : dict
        ``source`` (name, hash), ``options`` and ``steps``: the counts of
        interactions, items, sessions and users after every step.
    """

    train: Sessions
    valid: Sessions
    test: Sessions
    items: pd.DataFrame
    users: pd.DataFrame
    session_info: pd.DataFrame = field(default_factory=pd.DataFrame)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(
            "item_id" in self.items,
            f"The items table has no column item_id; it has {', '.join(map(str, self.items))}.",
        )
        for name in PARTS:
            part = self.part(name)
            item, user = int(part.items.max(initial=0)), int(part.user_index.max(initial=-1))
            text = f"{name} holds {{}} index {{}}, but the {{}}s table has only {{}} rows."
            require(item <= self.n_items, text.format("item", item, "item", self.n_items))
            require(user < self.n_users, text.format("user", user, "user", self.n_users))

    def __repr__(self) -> str:
        parts = "".join(f", {name}={self.part(name)!r}" for name in PARTS)
        return f"SessionSplit({self.n_items:,} items, {self.n_users:,} users{parts})"

    @property
    def n_items(self) -> int:
        """Number of items; their indices are 1..n_items."""
        return len(self.items)

    @property
    def n_users(self) -> int:
        """Number of known users."""
        return len(self.users)

    def part(self, name: str) -> Sessions:
        """``train``, ``valid`` or ``test`` by name."""
        require(name in PARTS, unknown(name, PARTS, "part of a split"))
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]

    def fingerprint(self, *, times: bool = False) -> str:
        """SHA-256 of clicks, bounds, users and ids; with ``times``, of when sessions began, too."""
        digest = hashlib.sha256()
        for part in map(self.part, PARTS):
            for array in [part.items, part.offsets, part.user_index] + [part.started_at] * times:
                digest.update(np.ascontiguousarray(array).data)
        for table, key in ((self.items, "item_id"), (self.users, "user_id")):
            ids = table[key].astype(str) if key in table else ()
            digest.update("\0".join(ids).encode() + b"\n")
        return digest.hexdigest()

    def save(self, folder: str | Path) -> Path:
        """Write to ``folder``, replacing a split that lies there; errors as :meth:`check_place`."""
        folder = self.check_place(folder)
        with files.replacing(folder) as temporary:
            temporary.mkdir(parents=True)
            for name in PARTS:
                self.part(name).save(temporary / name)
            for name in TABLES:
                files.write_parquet(getattr(self, name), temporary / f"{name}.parquet")
            written = [name for name in FILES if (temporary / name).is_file()]
            header = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "files": {name: files.hash_of_file(temporary / name) for name in written},
                "provenance": self.provenance,
            }
            files.write_json(temporary / "split.json", header)
        return folder

    @staticmethod
    def check_place(folder: str | Path) -> Path:
        """``folder``, if a split can be written there; ask before a long preparation.

        Raises
        ------
        ValueError
            If ``folder`` is a file, or holds anything that is not of a split.
        OSError
            If nothing can be written there.
        """
        folder = Path(folder)
        is_split = (folder / "split.json").is_file()
        if not is_split and (folder.is_file() or (folder.is_dir() and any(folder.iterdir()))):
            raise ValueError(
                f"{folder} exists and is not a proxysr split; nothing was written. "
                "Name a new or empty folder."
            )
        for path in folder.rglob("*") if is_split else ():
            name = path.relative_to(folder).as_posix()
            if name not in ("split.json", *PARTS, *FILES):
                raise ValueError(
                    f"{folder} holds {name} besides a proxysr split, and a new split would "
                    "replace the whole folder; nothing was written. Name a new or empty folder, "
                    "or move what is not of the split."
                )
        files.check_writable(folder)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> SessionSplit:
        """Read a split that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the folder is not a split, is damaged, or is of a newer version.
        """
        folder = Path(folder)
        put_back(folder)
        header_file = folder / "split.json"
        if not header_file.is_file():
            raise ValueError(
                f"{folder} is not a proxysr split: it has no split.json. "
                "Make one with `proxysr prepare SOURCE DATA_DIR`."
            )
        header = files.read_object(header_file, {})
        if header.get("format") != FORMAT:
            raise ValueError(f"{header_file} was not written by proxysr.")
        if header.get("version") != FORMAT_VERSION:
            raise ValueError(
                f"{folder} is a split of version {header.get('version')}; "
                f"this proxysr reads version {FORMAT_VERSION}. Prepare the data again."
            )
        files.checked({"files": {}} | header, {"provenance": dict, "files": dict}, header_file)
        parts = {name: Sessions.load(folder / name) for name in PARTS}
        tables = {n: files.read_parquet(folder / f"{n}.parquet", *KEYS.get(n, ())) for n in TABLES}
        for name, expected in header.get("files", {}).items():  # none in splits of older versions
            if name in FILES and files.hash_of_file(folder / name) != expected:
                raise ValueError(
                    f"{folder / name} is damaged: it is not the file that was written with "
                    "split.json. Prepare the data again."
                )
        try:
            return cls(**parts, **tables, provenance=header["provenance"])  # type: ignore[arg-type]
        except ConfigError as error:
            raise ValueError(f"{folder} is damaged: {error}") from None
