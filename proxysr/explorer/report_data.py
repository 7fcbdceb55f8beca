"""What the report's page draws and lists, as plain JSON: sessions, items, proxies.

Items are renumbered: only those that the page names are in it. Shares and probabilities are
whole thousandths and positions whole numbers up to ``GRID``, so that a large run stays small.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from proxysr.analysis.choosing import proxy_vectors
from proxysr.analysis.profiles import ItemCounts, nearest_proxies, proxy_table, top_items
from proxysr.analysis.run_view import RunView
from proxysr.analysis.session_facts import stratified
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.evaluation import device_of, rank_of

Ints = npt.NDArray[np.int64]

GRID = 10_000
LONGEST_TEXT = 100
MOST_COLUMNS = 8
TOP_ITEMS = 12
NEAREST = 4
LIST_LENGTH = 10
BATCH = 64
OWN_COLUMNS = {
    "session_id", "n_clicks", "proxy", "probability", "runner_up", "margin", "entropy", "user",
    "started_at",
}  # fmt: skip


def page_data(view: RunView, rows: Ints, n_examples: int) -> dict[str, Any]:
    """Everything that the page's script reads.

    Parameters
    ----------
    view : RunView
    rows : (n,)
        Which of ``view.drawn`` the page shows.
    n_examples : int
        Most sessions to keep recommendations of.
    """
    table_rows = np.asarray(view.drawn)[rows]
    table = view.table.iloc[table_rows]
    half = None if view.half_table is None else view.half_table.iloc[table_rows]
    kept = np.flatnonzero(view.sessions.lengths > 0)  # the others choose no proxy
    sessions = view.sessions.select(kept[table_rows])
    items = _Items(view.items)
    place = _placing(view)
    return {
        "sessions": _sessions(table)
        | {
            "xy": place(view.positions, rows),
            "clicks": [items.of(sessions[row]) for row in range(len(sessions))],
            "examples": _examples(view, sessions, table["proxy"].to_numpy(), items, n_examples),
        },
        "half": None if half is None else _chosen(half) | {"xy": place(view.half_positions, rows)},
        "columns": _columns(table),
        "n_items": view.model.n_items,
        "grid": GRID,
        "proxies": _proxies(view, kept, items),
        "proxy_xy": place(view.proxy_positions),
        "half_proxy_xy": place(view.half_proxy_positions),
        "items": items.named(),
    }


def shortened(text: object) -> str:
    """Text of the data, at most ``LONGEST_TEXT`` characters of it."""
    whole = " ".join(str(text).split())
    return whole if len(whole) <= LONGEST_TEXT else whole[: LONGEST_TEXT - 1] + "…"


class _Items:
    """Numbers the items that are named, in order of their first use."""

    def __init__(self, items: pd.DataFrame) -> None:
        self.ids = items["item_id"].astype(str).to_numpy()
        self.titles = items["title"].to_numpy() if "title" in items else None
        self.number: dict[int, int] = {}

    def of(self, indices: Iterable[int]) -> list[int]:
        """Numbers of items, given by their index from 1."""
        return [self.number.setdefault(int(index), len(self.number)) for index in indices]

    def named(self) -> dict[str, list[Any]]:
        """Index, id and title by number; an item without a title goes by its id."""
        rows = [index - 1 for index in self.number]
        ids = [shortened(self.ids[row]) for row in rows]
        if self.titles is None:
            return {"index": list(self.number), "ids": ids, "titles": ids}
        titles = [self.titles[row] for row in rows]
        names = [i if pd.isna(t) else shortened(t) for i, t in zip(ids, titles, strict=True)]
        return {"index": list(self.number), "ids": ids, "titles": names}


def _placing(view: RunView) -> Any:
    """A function from positions to [x…, y…] on one grid, so that all layouts stay aligned."""
    known = [view.positions, view.proxy_positions, view.half_positions, view.half_proxy_positions]
    everything = np.concatenate([np.reshape(p, (-1, 2)) for p in known if p is not None])
    everything = everything[np.isfinite(everything).all(axis=1)]
    if len(everything) == 0:
        everything = np.zeros((1, 2))
    low = everything.min(axis=0)
    size = float(np.ptp(everything, axis=0).max()) or 1.0

    def place(positions: Any, rows: Ints | None = None) -> list[list[int | None]] | None:
        if positions is None:
            return None
        scaled = (np.asarray(positions, float)[slice(None) if rows is None else rows] - low) / size
        return [[round(GRID * v) if np.isfinite(v) else None for v in axis] for axis in scaled.T]

    return place


def _chosen(table: pd.DataFrame) -> dict[str, list[Any]]:
    """The choice of each session."""
    return {"proxy": table["proxy"].tolist()} | {
        "probability": _thousandths(table["probability"]),
        "margin": _thousandths(table["margin"]),
        "runner_up": table["runner_up"].tolist(),
    }


def _sessions(table: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = _chosen(table) | {
        "id": [str(name) for name in table["session_id"]],
        "n_clicks": table["n_clicks"].tolist(),
    }
    if "user" in table:
        found["user"] = _coded(table["user"].fillna("").astype(str))
    if "started_at" in table:
        found["started"] = _seconds(table["started_at"])
    return found


def _columns(table: pd.DataFrame) -> list[dict[str, Any]]:
    """What else is known of the sessions: numbers, dates (seconds) or coded labels."""
    found = []
    for name in [name for name in table if name not in OWN_COLUMNS][:MOST_COLUMNS]:
        values = table[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            entry: dict[str, Any] = {"kind": "date", "values": _seconds(values)}
        elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            entry = {"kind": "number", "values": [_told(v) for v in values.astype(float)]}
        else:
            entry = {"kind": "label"} | _coded(values.astype(object).where(values.notna(), ""))
        found.append({"name": shortened(name)} | entry)
    return found


def _coded(values: pd.Series[Any]) -> dict[str, Any]:
    """Labels by frequency, and their numbers; -1 for none."""
    texts = values.map(shortened)
    labels = [text for text in texts.value_counts().index if text]
    number = {text: place for place, text in enumerate(labels)}
    return {"labels": labels, "values": [number.get(text, -1) for text in texts]}


def _seconds(times: pd.Series[Any]) -> list[int | None]:
    stamps = pd.to_datetime(times)
    seconds = (stamps - pd.Timestamp(0, tz=stamps.dt.tz)) / pd.Timedelta(seconds=1)
    return [None if np.isnan(second) else int(second) for second in seconds]


def _thousandths(values: pd.Series[Any]) -> list[int]:
    return [int(value) for value in (1000 * values.to_numpy(float)).round()]


def _examples(
    view: RunView, sessions: Sessions, proxies: Ints, items: _Items, limit: int
) -> dict[str, Any]:
    """Recommendations after all clicks but the last, and the rank of the last; and the path.

    The rank is null where the task does not count the last click because it repeats an earlier
    one. The path is the most probable proxy after each of the latest clicks, and its probability.
    """
    task, model, device = view.run.train_config.valid_task, view.model, device_of(view.model)
    long_enough = np.flatnonzero(sessions.lengths >= 2)
    picked = long_enough[stratified(proxies[long_enough], limit)]
    found: dict[str, Any] = {"task": task, "row": picked.tolist(), "top": [], "rank": []}
    found |= {"path": [], "likely": []}
    k = min(LIST_LENGTH, view.model.n_items)
    for start in range(0, len(picked), BATCH):
        clicks = [sessions[row].tolist() for row in picked[start : start + BATCH]]
        befores = [row[-model.max_length - 1 : -1] for row in clicks]
        users = sessions.user_index[picked[start : start + BATCH]].tolist()
        with torch.inference_mode():
            scores = model.score(batch_of(befores, device=device, users=users))
            if task == "unseen":
                for line, row in zip(scores, clicks, strict=True):
                    line[row[:-1]] = -torch.inf
            last = torch.tensor([row[-1] for row in clicks], device=device)
            ranks, best = rank_of(scores, last).tolist(), scores.topk(k)
            path = model.path(batch_of(clicks, device=device, users=users)).max(dim=2)
            likely = (1000 * path.values).round().long().tolist()
        for row, after, values in zip(clicks, path.indices.tolist(), likely, strict=True):
            n_read = min(len(row), model.max_length)
            found["path"].append(after[-n_read:])
            found["likely"].append(values[-n_read:])
        for row, rank, top, score in zip(
            clicks, ranks, best.indices.tolist(), best.values.tolist(), strict=True
        ):
            repeats = task == "unseen" and row[-1] in row[:-1]
            found["rank"].append(None if repeats else rank)
            allowed = [item for item, s in zip(top, score, strict=True) if s > -np.inf]
            found["top"].append(items.of(allowed))
    return found


def _proxies(view: RunView, kept: Ints, items: _Items) -> list[dict[str, Any]]:
    """One entry a proxy, by all sessions of the part, not only those that are drawn."""
    vectors = proxy_vectors(view.model)
    users = view.sessions.user_index[kept]
    table = proxy_table(view.table, proxies=vectors, users=users)
    sessions = view.sessions.select(kept)
    counts = ItemCounts.of(sessions, len(view.items))
    rows_of = view.table.groupby("proxy").indices
    found = []
    for proxy, row in enumerate(table.to_dict("records")):
        near = nearest_proxies(vectors, proxy, k=NEAREST)
        rows = np.asarray(rows_of.get(proxy, []), np.int64)
        best = top_items(sessions, rows, view.items, k=TOP_ITEMS, counts=counts)
        columns = best[["count", "share", "lift", "p_adjusted"]].to_numpy(float)
        entry = {
            "label": shortened(view.proxy_label(proxy)),
            "n": int(row["n_sessions"]),
            "users": None if (users < 0).all() else int(row["n_users"]),
            "state": row["state"],
            "nearest": [[int(k), _rounded(cosine)] for k, cosine in near.to_numpy()],
            "items": [
                [item, int(n), _rounded(share), _rounded(lift), float(f"{p:.2g}")]
                for item, (n, share, lift, p) in zip(items.of(best["item"]), columns, strict=True)
            ],
        }
        means = ("share", "probability", "entropy", "n_clicks")
        found.append(entry | {name: _rounded(row[name]) for name in means})
    return found


def _told(value: float) -> float | None:
    """Whole numbers as they are, since they may be ids; others to six places."""
    if not np.isfinite(value):
        return None
    return value if value.is_integer() else float(f"{value:.6g}")


def _rounded(value: float) -> float | None:
    """Four significant places; null for what is not known."""
    return float(f"{value:.4g}") if np.isfinite(value) else None
