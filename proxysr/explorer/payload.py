"""What the page draws, computed once: sessions, their paths, items, interests and origin.

A payload is a tree of plain values and arrays; :mod:`proxysr.explorer.packing` says how it
travels. Items are renumbered in order of their first use, so that only those that are named travel.
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
from proxysr.evaluation import device_of, rank_of
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
from proxysr.run import RunDir

FORMAT = "proxysr-explorer"
VERSION = 1
TOP = 5
"""Recommendations that are kept of a session."""
BATCH = 64
ANSWERED = 2_000
"""Sessions whose rank is computed here, where the run was not evaluated."""
PORTABLE = 2_500_000
"""Bytes of a model that may travel with the payload."""
LONGEST_ID = 200

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Payload:
    """What a page draws of a run.

    Attributes
    ----------
    tree : dict
        By the names that the page reads.
    rows : int64 (n,)
        Rows of the view's table that are shown, in the page's order.
    """

    tree: dict[str, Any]
    rows: Ints


class Items:
    """Numbers the items that are named, in order of their first use."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.number = np.full(len(view.items) + 1, -1)
        self.index: list[int] = []

    def of(self, indices: Iterable[int] | npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        """Numbers of items, given by their index from 1."""
        indices = np.asarray(list(indices) if not isinstance(indices, np.ndarray) else indices)
        if len(indices) == 0:
            return np.zeros(0, np.uint32)
        new = pd.unique(indices[self.number[indices] < 0])
        self.number[new] = len(self.index) + np.arange(len(new))
        self.index += new.tolist()
        return np.asarray(self.number[indices], np.uint32)

    def named(self) -> dict[str, Any]:
        """Id, title, index and count by number; an item without a title goes by its id."""
        index = np.array(self.index, np.int64)
        ids = self.view.items["item_id"].astype(str).to_numpy()[index - 1]
        return {
            "id": [str(name)[:LONGEST_ID] for name in ids],
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
    """What the page draws of a run's view.

    Parameters
    ----------
    view : RunView
    compare : RunDir, optional
        A second run of the same data, to be held against this one.
    max_sessions : int, optional
        Most sessions to show, of those that the view draws; of more, a sample in proportion.
    n_top : int
        Sessions whose recommendations travel, too.
    command : str, optional
        What shows the page, to be told in it.
    travels : bool
        Whether nobody can be asked later: a small model then goes along.

    Raises
    ------
    ValueError
        If the other run is of other data or was not evaluated alike.
    """
    drawn = view.drawn
    require(
        max_sessions is None or max_sessions >= 1,
        f"max_sessions is at least 1; received {max_sessions}.",
    )
    if max_sessions is not None and max_sessions < len(drawn):
        drawn = drawn[stratified(view.table["proxy"].to_numpy()[drawn], max_sessions)]
    shown, items, notes = view.sessions.select(drawn), Items(view), list[str]()
    ranks, whole, by_interest = recall_of(view, notes)
    sessions = _sessions(view, drawn, shown, items)
    users = _users(view, drawn, sessions)
    model, why_not = _portable(view, travels)
    if model is not None:
        items.of(np.arange(1, view.model.n_items + 1))
    rank, top = _answers(view, drawn, shown, ranks, n_top, notes)
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
        "recall": None if whole is None else whole._asdict(),
        "offline_what_if": why_not,
    }
    return Payload(tree, drawn)


def _sessions(view: RunView, drawn: Ints, shown: Sessions, items: Items) -> dict[str, Any]:
    table, half = view.table.iloc[drawn], view.half_table
    place, rows = placing(view), np.searchsorted(view.drawn, drawn)
    clicks = items.of(shown.items)
    has_times = "started_at" in table
    return {
        "id": [str(name)[:LONGEST_ID] for name in table["session_id"]],
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
    """The leading interest after each click, and what each click says; -1 where none is read."""
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
        before = trace.prior_logits.gather(1, pick)
        prior[rows] = (before[:, 0] - before[:, 1]).cpu()
        is_click = batch.items != PAD
        width = is_click.shape[1]
        flat = shown.offsets[rows + 1][:, None] - width + np.arange(width)
        flat = flat[is_click.cpu().numpy()]
        path[flat] = best.indices[is_click].cpu()
        likely[flat] = (255 * best.values[is_click]).round().cpu()
        evidence[flat] = (addends[..., 0] - addends[..., 1])[is_click].cpu()
    starts, ends = shown.offsets[:-1], shown.offsets[1:]
    session = shown.session_of_click
    place = np.arange(n_clicks) - starts[session]
    others = path != path[ends - 1][session]
    np.maximum.at(since, session[others], place[others] + 2)
    pairs = np.unique(session[path >= 0] * (view.n_proxies + 1) + path[path >= 0])
    met = np.bincount(pairs // (view.n_proxies + 1), minlength=n).astype(np.int16)
    return {
        "path": path, "path_p": likely, "evidence": evidence, "prior": prior, "since": since,
        "met": met,
    }  # fmt: skip


def _repeats(shown: Sessions) -> npt.NDArray[np.uint8]:
    """Whether (n,) the last click of a session repeats an earlier one."""
    last = shown.offsets[1:] - 1
    again = shown.items == shown.items[last][shown.session_of_click]
    again[last] = False
    return (np.add.reduceat(again.astype(np.int64), shown.offsets[:-1]) > 0).astype(np.uint8)


def _answers(
    view: RunView,
    drawn: Ints,
    shown: Sessions,
    ranks: pd.DataFrame | None,
    n_top: int,
    notes: list[str],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32] | None]:
    """Rank (n,) of each last click given those before it, and the best items of some sessions.

    Ranks are those of the evaluation; without one, they are computed of as many as are answered.
    """
    n, task = len(shown), view.run.train_config.valid_task
    rank = np.full(n, np.nan, np.float32)
    if ranks is not None:
        last = pd.Series(
            np.arange(n), pd.MultiIndex.from_arrays([shown.session_ids, shown.lengths - 1])
        )
        rows = last.reindex(pd.MultiIndex.from_frame(ranks[["session_id", "position"]])).to_numpy()
        known = ~np.isnan(rows)
        rank[rows[known].astype(np.int64)] = ranks["rank"].to_numpy()[known]
    most = n_top if ranks is not None else max(n_top, ANSWERED)
    able = np.flatnonzero(shown.lengths >= 2)
    picked = (
        able[stratified(view.table["proxy"].to_numpy()[drawn][able], most)] if most else able[:0]
    )
    if most and len(picked) < len(able):
        what = "Recommendations" if ranks is not None else "Ranks and recommendations"
        notes.append(f"{what} are kept for {len(picked):,} of the sessions shown.")
    top = np.zeros((n, TOP), np.uint32)
    model, device = view.model, device_of(view.model)
    k = min(TOP, model.n_items)
    for start in range(0, len(picked), BATCH):
        chosen = picked[start : start + BATCH]
        clicks = [shown[row].tolist() for row in chosen]
        users = shown.user_index[chosen].tolist()
        with torch.inference_mode():
            befores = [row[-model.max_length - 1 : -1] for row in clicks]
            scores = model.score(batch_of(befores, device=device, users=users))
            if task == "unseen":
                for line, row in zip(scores, clicks, strict=True):
                    line[row[:-1]] = -torch.inf
            target = torch.tensor([row[-1] for row in clicks], device=device)
            if ranks is None:
                ranked = rank_of(scores, target).cpu().numpy()
                again = np.array([task == "unseen" and row[-1] in row[:-1] for row in clicks])
                rank[chosen] = np.where(again, np.nan, ranked)
            best = scores.topk(k)
            items = torch.where(best.values.isfinite(), best.indices, 0).cpu().numpy()
        top[chosen, :k] = items
    return rank, top if n_top else None


def _users(view: RunView, drawn: Ints, sessions: dict[str, Any]) -> dict[str, list[str]] | None:
    """The users of the sessions shown; their numbers go to the sessions."""
    if "user" not in view.table:
        sessions["user"] = None
        return None
    codes, ids = pd.factorize(view.table["user"].iloc[drawn].replace("", None))
    sessions["user"] = codes.astype(np.int32)
    return {"id": [str(name)[:LONGEST_ID] for name in ids]}


def _portable(view: RunView, travels: bool) -> tuple[dict[str, Any] | None, str]:
    """The model as arrays if it can and should travel; else the sentence why not."""
    weights = view.model.portable()
    if weights is None:
        return None, f"What if … needs the model: {view.run.model_name} does not travel in a file."
    plain = {
        name: np.ascontiguousarray(value.detach().float().cpu().numpy())
        if isinstance(value, torch.Tensor)
        else value
        for name, value in weights.items()
    }
    size = sum(value.nbytes for value in plain.values() if isinstance(value, np.ndarray))
    if size > PORTABLE:
        return None, (
            f"What if … needs the model, which is too large to travel in this file "
            f"({size / 1e6:.1f} MB; at most {PORTABLE / 1e6:.1f} MB do)."
        )
    return (plain, "") if travels else (None, "")
