"""The payload: the data that the page draws (sessions, paths, items, interests, origin).

It is a tree of plain values and arrays, sent by :mod:`proxysr.explorer.packing`. Items are
renumbered in order of their first use, so that only items that occur are sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from proxysr.analysis.dataset import stratified
from proxysr.analysis.representations import whole_sessions
from proxysr.analysis.run_view import RunView
from proxysr.config import require
from proxysr.data.batches import batch_of
from proxysr.data.sessions import PAD, Sessions
from proxysr.evaluation import device_of, evaluate
from proxysr.explorer.payload_interests import (
    columns_of,
    comparison_of,
    fates_of,
    placing,
    proxies_of,
    recall_of,
    seconds_of,
    shortened,
)
from proxysr.explorer.payload_meta import meta_of
from proxysr.recommender import best_items
from proxysr.run import RunDir

FORMAT = "proxysr-explorer"
VERSION = 1
TOP = 5
"""Recommendations stored for a session."""
BATCH = 64
ANSWERED = 2_000
"""Sessions whose rank is computed here if the run was not evaluated."""
PORTABLE = 2_500_000
"""Largest model, in bytes, that is included in the payload."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Payload:
    """The data that a page draws.

    Attributes
    ----------
    tree : dict
        Plain values and arrays, by the names that the page reads.
    rows : int64 (n,)
        Rows of the view's table that are shown, in the page's order.
    """

    tree: dict[str, Any]
    rows: Ints


class Items:
    """Numbers the items that occur, in order of their first use."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.number = np.full(len(view.items) + 1, -1)
        self.index: list[int] = []

    def of(self, indices: Iterable[int] | npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        """Numbers of items, given by their index from 1."""
        indices = np.asarray(list(indices) if not isinstance(indices, np.ndarray) else indices)
        if len(indices) == 0:
            return np.zeros(0, np.uint32)
        unnumbered = pd.unique(indices[self.number[indices] < 0])
        self.number[unnumbered] = len(self.index) + np.arange(len(unnumbered))
        self.index += unnumbered.tolist()
        return np.asarray(self.number[indices], np.uint32)

    def named(self) -> dict[str, Any]:
        """Id, title, index and count by number; the id replaces a missing title."""
        index = np.array(self.index, np.int64)
        ids = self.view.items["item_id"].astype(str).to_numpy()[index - 1]
        return {
            "id": [str(name) for name in ids],
            "title": [shortened(self.view.label(item)) for item in index.tolist()],
            "index": index.astype(np.uint32),
            "count": self.view.item_counts.total[index].astype(np.uint32),
        }


def payload(
    view: RunView,
    *,
    compare: RunDir | None = None,
    max_sessions: int | None = None,
    n_top: int = 0,
    command: str | None = None,
    travels: bool = False,
) -> Payload:
    """Compute the payload of a run's view.

    Parameters
    ----------
    view : RunView
    compare : RunDir, optional
        A second run of the same data, to compare with this one.
    max_sessions : int, optional
        Most sessions to show; if the view has more, a stratified sample.
    n_top : int
        Number of sessions whose recommendations are included.
    command : str, optional
        The command that made the page, shown in it.
    travels : bool
        Whether the page works offline: a small model is then included.

    Raises
    ------
    ValueError
        If the second run has other data or was evaluated differently.
    """
    drawn = view.drawn
    require(
        max_sessions is None or max_sessions >= 1,
        f"max_sessions is at least 1; received {max_sessions}.",
    )
    if max_sessions is not None and max_sessions < len(drawn):
        drawn = drawn[stratified(view.table["proxy"].to_numpy()[drawn], max_sessions)]
    shown, items, notes = view.sessions.select(drawn), Items(view), list[str]()
    ranks, overall, by_interest = recall_of(view, notes)
    sessions = _sessions(view, drawn, shown, items)
    users = _users(view, drawn, sessions)
    model, offline_reason = _portable(view, travels)
    if model is not None:
        items.of(np.arange(1, view.model.n_items + 1))
    rank = _ranks_of_last(view, drawn, shown, ranks, notes)
    top = _best(view, drawn, shown, n_top, notes) if n_top else None
    if top is not None:
        items.of(top[top > 0])
    sessions |= {"rank": rank, "top": top}
    proxies = proxies_of(view, by_interest, placing(view), items.of)
    tree = {
        "format": FORMAT,
        "version": VERSION,
        "sessions": sessions,
        "columns": columns_of(view.table.iloc[drawn], notes),
        "users": users,
        "proxies": proxies,
        "flow": fates_of(view),
        "compare": None if compare is None else comparison_of(view, compare, drawn),
        "offline": model,
        "items": items.named(),
    }
    if len(drawn) < len(view.drawn):
        notes.append(
            f"The map and the lists show {len(drawn):,} of {len(view.table):,} sessions, a sample "
            "in proportion to the interests; numbers of interests are of all."
        )
    tree["meta"] = meta_of(view, notes, command) | {
        "n_items": view.model.n_items,
        "recall": None if overall is None else overall._asdict(),
        "offline_what_if": offline_reason,
    }
    return Payload(tree, drawn)


def _sessions(view: RunView, drawn: Ints, shown: Sessions, items: Items) -> dict[str, Any]:
    table, half = view.table.iloc[drawn], view.half_table
    place, rows = placing(view), np.searchsorted(view.drawn, drawn)
    clicks = items.of(shown.items)
    has_times = "started_at" in table
    return {
        "id": [str(name) for name in table["session_id"]],  # whole: selections are saved by them
        "xy": place(view.positions[rows]),
        "half_xy": None if view.half_positions is None else place(view.half_positions[rows]),
        "proxy": table["proxy"].to_numpy(np.int16),
        "half_proxy": None if half is None else half["proxy"].to_numpy(np.int16)[drawn],
        "probability": table["probability"].to_numpy(np.float32),
        "margin": table["margin"].to_numpy(np.float32),
        "runner_up": table["runner_up"].to_numpy(np.int16),
        "n_clicks": table["n_clicks"].to_numpy(np.int32),
        "started": seconds_of(table["started_at"]) if has_times else None,
        "offsets": shown.offsets.astype(np.uint32),
        "clicks": clicks,
        "repeat": _repeats(shown),
        **_paths(view, shown, table),
    }


@torch.inference_mode()
def _paths(view: RunView, shown: Sessions, table: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    """The leading interest after each click (-1 if the click is not read), and its evidence."""
    n, n_clicks = len(shown), shown.n_clicks
    path, likely = np.full(n_clicks, -1, np.int16), np.zeros(n_clicks, np.uint8)
    evidence, prior = np.zeros(n_clicks, np.float32), np.zeros(n, np.float32)
    since, met = np.ones(n, np.int32), np.ones(n, np.int16)
    proxy, second = (torch.tensor(table[name].to_numpy()) for name in ("proxy", "runner_up"))
    for rows, batch in whole_sessions(view.model, shown):
        best = view.model.path(batch).max(dim=2)
        trace = view.model.trace(batch)
        lead, rival = (x[rows].to(batch.items.device) for x in (proxy, second))
        rival = torch.where(rival < 0, lead, rival)
        pick = torch.stack([lead, rival], dim=1)
        addends = trace.position_logits.gather(
            2, pick[:, None].expand(-1, trace.position_logits.shape[1], -1)
        )
        priors = trace.prior_logits.gather(1, pick)
        prior[rows] = (priors[:, 0] - priors[:, 1]).cpu()
        is_click = batch.items != PAD
        width = is_click.shape[1]
        flat = shown.offsets[rows + 1][:, None] - width + np.arange(width)
        flat = flat[is_click.cpu().numpy()]
        path[flat] = best.indices[is_click].cpu()
        likely[flat] = (255 * best.values[is_click]).round().cpu()
        evidence[flat] = (addends[..., 0] - addends[..., 1])[is_click].cpu()
    starts, ends = shown.offsets[:-1], shown.offsets[1:]
    session = shown.session_of_click
    position = np.arange(n_clicks) - starts[session]
    differs = path != path[ends - 1][session]
    np.maximum.at(since, session[differs], position[differs] + 2)
    pairs = np.unique(session[path >= 0] * (view.n_proxies + 1) + path[path >= 0])
    met = np.bincount(pairs // (view.n_proxies + 1), minlength=n).astype(np.int16)
    return {
        "path": path, "path_p": likely, "evidence": evidence, "prior": prior, "since": since,
        "met": met,
    }  # fmt: skip


def _repeats(shown: Sessions) -> npt.NDArray[np.uint8]:
    """Whether (n,) the last click of a session repeats an earlier one."""
    last = shown.offsets[1:] - 1
    repeats = shown.items == shown.items[last][shown.session_of_click]
    repeats[last] = False
    return (np.add.reduceat(repeats.astype(np.int64), shown.offsets[:-1]) > 0).astype(np.uint8)


def _ranks_of_last(
    view: RunView, drawn: Ints, shown: Sessions, ranks: pd.DataFrame | None, notes: list[str]
) -> npt.NDArray[np.float32]:
    """Rank (n,) of each last click given the earlier ones; NaN where it is not known.

    Ranks are from the evaluation; without one, they are computed for some sessions.
    """
    if ranks is None:
        ranked = shown.select(_sample(view, drawn, shown, ANSWERED, "Ranks", notes))
        task = view.run.train_config.valid_task
        if ranked.is_target(task).any():
            ranks = evaluate(view.model, ranked, task=task).ranks
    last = pd.MultiIndex.from_arrays([shown.session_ids, shown.lengths - 1])
    if ranks is None:
        return np.full(len(last), np.nan, np.float32)
    known = ranks.set_index(["session_id", "position"])["rank"]
    return known.reindex(last).to_numpy(np.float32)


def _best(
    view: RunView, drawn: Ints, shown: Sessions, n_top: int, notes: list[str]
) -> npt.NDArray[np.uint32]:
    """The best items (n, TOP) after all clicks but the last, of ``n_top`` sessions; else 0."""
    top = np.zeros((len(shown), TOP), np.uint32)
    model, task = view.model, view.run.train_config.valid_task
    picked = _sample(view, drawn, shown, n_top, "Recommendations", notes)
    for rows in np.split(picked, range(BATCH, len(picked), BATCH)):
        clicks = [shown[row][:-1].tolist() for row in rows]
        users = shown.user_index[rows].tolist()
        read = [row[-model.max_length :] for row in clicks]
        with torch.inference_mode():
            scores = model.score(batch_of(read, device=device_of(model), users=users))
        for row, earlier, line in zip(rows, clicks, scores, strict=True):
            items, _ = best_items(model, line, earlier, k=TOP, task=task)
            top[row, : len(items)] = items
    return top


def _sample(
    view: RunView, drawn: Ints, shown: Sessions, n: int, what: str, notes: list[str]
) -> Ints:
    """Rows of ``n`` sessions of two clicks or more, by interests; a note if that is not all."""
    able = np.flatnonzero(shown.lengths >= 2)
    picked = able[stratified(view.table["proxy"].to_numpy()[drawn][able], n)]
    if len(picked) < len(able):
        notes.append(f"{what} are kept for {len(picked):,} of the sessions shown.")
    return picked


def _users(view: RunView, drawn: Ints, sessions: dict[str, Any]) -> dict[str, list[str]] | None:
    """The users of the sessions shown; their numbers go to the sessions."""
    if "user" not in view.table:
        sessions["user"] = None
        return None
    codes, ids = pd.factorize(view.table["user"].iloc[drawn].replace("", None))
    sessions["user"] = codes.astype(np.int32)
    return {"id": [str(name) for name in ids]}


def _portable(view: RunView, travels: bool) -> tuple[dict[str, Any] | None, str]:
    """The model as arrays if it can be included; else a sentence with the reason."""
    weights = view.model.portable()
    if weights is None:
        return None, (
            f"What if … needs the model: {view.run.model_name} cannot be included in a file."
        )
    plain = {
        name: np.ascontiguousarray(value.detach().float().cpu().numpy())
        if isinstance(value, torch.Tensor)
        else value
        for name, value in weights.items()
    }
    size = sum(value.nbytes for value in plain.values() if isinstance(value, np.ndarray))
    if size > PORTABLE:
        return None, (
            f"What if … needs the model, which is too large for this file "
            f"({size / 1e6:.1f} MB; at most {PORTABLE / 1e6:.1f} MB fit)."
        )
    return (plain, "") if travels else (None, "")
