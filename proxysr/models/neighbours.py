"""What models share that look for earlier sessions like the current one.

Candidates are the latest training sessions that have an item in common with the current session.
A model says how similar they are and what the items of the nearest are worth. Only
training sessions are looked up, so no score knows what comes after the training data.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from proxysr.config import Count
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.models.counting import CountingConfig, CountingModel, lists_of, offsets_of, portions
from proxysr.models.softmax import recent


class NeighbourConfig(CountingConfig):
    """Hyper-parameters that all these models have."""

    n_neighbours: Count = 100
    """Number k of neighbours."""
    sample_size: Count = 1000
    """Number m of latest sessions with a common item that neighbours are chosen from."""


class Clicks(NamedTuple):
    """Different items of the sessions of a batch, each at its latest click; (n,) each."""

    row: Tensor
    item: Tensor
    recency: Tensor


class Neighbours(NamedTuple):
    """Training sessions beside the sessions of a batch; (n,) each."""

    row: Tensor
    """Of the batch."""
    session: Tensor
    """Of the training data."""
    similarity: Tensor
    recency: Tensor
    """Clicks after the latest one that both share."""
    place: Tensor
    """In the training session, of the last click that both share; 0 unless ``knows_places``."""

    def at(self, index: Tensor) -> Neighbours:
        """Those at ``index``."""
        return Neighbours(*(values[index] for values in self))


class NeighbourModel(CountingModel):
    """Base of models that recommend what similar training sessions clicked.

    Attributes
    ----------
    session_offsets, session_items : int64 (S + 1,), int32
        The different items of every training session.
    item_offsets, item_sessions : int64 (V + 1,), int32
        The latest ``sample_size`` sessions of every item: no other can be among as many
        latest sessions that have some item of a session.
    session_places, item_places : int32
        If the model ``knows_places``: for each entry of the lists above, how many clicks
        of the session precede its last click on the item.
    """

    Config = NeighbourConfig
    config: NeighbourConfig
    knows_places: ClassVar[bool] = False
    """Whether it needs the positions of items in training sessions."""
    sized_by_data: ClassVar[tuple[str, ...]] = (
        "session_offsets", "session_items", "item_sessions",
    )  # fmt: skip
    session_offsets: Tensor
    session_items: Tensor
    session_places: Tensor
    item_offsets: Tensor
    item_sessions: Tensor
    item_places: Tensor

    def __init__(self, n_items: int, config: NeighbourConfig | None = None) -> None:
        super().__init__(n_items, config)
        empty = torch.zeros(0, dtype=torch.int32)
        self.register_buffer("session_offsets", torch.zeros(1, dtype=torch.long))
        self.register_buffer("session_items", empty)
        self.register_buffer("item_offsets", torch.zeros(n_items + 2, dtype=torch.long))
        self.register_buffer("item_sessions", empty)
        if self.knows_places:
            self.register_buffer("session_places", empty)
            self.register_buffer("item_places", empty)

    def count(self, train: Sessions) -> None:
        """Index the training sessions by item, the latest first."""
        width = self.n_items + 1
        keys = train.session_of_click * width + np.asarray(train.items)
        # the first of the reversed keys is the last click
        keys, from_end = np.unique(keys[::-1], return_index=True)
        session, item = np.divmod(keys, width)
        place = train.n_clicks - 1 - from_end - np.asarray(train.offsets)[session]
        latest_first = np.lexsort((-session, item))
        owner = item[latest_first]
        is_sampled = (
            np.arange(len(owner)) - offsets_of(owner, width)[owner] < self.config.sample_size
        )
        sampled = latest_first[is_sampled]
        buffers = {
            "session_offsets": offsets_of(session, len(train)),
            "session_items": item.astype(np.int32),
            "item_offsets": offsets_of(item[sampled], width),
            "item_sessions": session[sampled].astype(np.int32),
        }
        if self.knows_places:
            buffers["session_places"] = place.astype(np.int32)
            buffers["item_places"] = place[sampled].astype(np.int32)
        for name, values in buffers.items():
            setattr(self, name, torch.from_numpy(values).to(self.item_offsets.device))

    @abstractmethod
    def click_weights(self, recency: Tensor, lengths: Tensor) -> Tensor:
        """Weights (n,) of clicks that ``recency`` clicks follow, in sessions of ``lengths``."""

    def compared(self, candidates: Neighbours) -> Neighbours:
        """The candidates with the similarity to choose neighbours by.

        By default, it is the sum of the weights of the shared clicks.
        """
        return candidates

    @abstractmethod
    def add_items(self, scores: Tensor, neighbours: Neighbours, lengths: Tensor) -> None:
        """Add what the neighbours' items are worth to ``scores`` (B, V), in place."""

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Sums (B, V) over the neighbours that have the item."""
        latest = recent(batch, self.max_length)
        scores = torch.zeros(len(latest.items), self.n_items + 1, device=latest.items.device)
        clicks = different_items(latest.items)
        sizes = self.item_offsets[clicks.item + 1] - self.item_offsets[clicks.item]
        for rows in portions(torch.zeros_like(latest.lengths).index_add_(0, clicks.row, sizes)):
            of_rows = (clicks.row >= rows.start) & (clicks.row < rows.stop)
            portion = Clicks(*(values[of_rows] for values in clicks))
            self.add_items(scores, self.neighbours(portion, latest.lengths), latest.lengths)
        scores[:, PAD] = -torch.inf
        return scores

    def neighbours(self, clicks: Clicks, lengths: Tensor) -> Neighbours:
        """The k most similar of the m latest sessions that share an item with a row.

        Where similarities are equal at the k-th place, later sessions are taken.

        Parameters
        ----------
        clicks : Clicks
        lengths : int64 (B,)
            Clicks of every row of the batch.
        """
        n_sessions = len(self.session_offsets) - 1
        click, entry = lists_of(clicks.item, self.item_offsets)
        earlier = n_sessions - 1 - self.item_sessions[entry].long()  # the latest session is 0
        pairs, pair = torch.unique(clicks.row[click] * n_sessions + earlier, return_inverse=True)
        weight = self.click_weights(clicks.recency, lengths[clicks.row])
        shared = torch.zeros(len(pairs), device=pairs.device).index_add_(0, pair, weight[click])
        recency = torch.full_like(pairs, self.max_length)
        recency.scatter_reduce_(0, pair, clicks.recency[click], "amin")
        place = torch.zeros_like(pairs)
        if self.knows_places:
            place.scatter_reduce_(0, pair, self.item_places[entry].long(), "amax")
        row, earlier = pairs // max(n_sessions, 1), pairs % max(n_sessions, 1)
        candidates = Neighbours(row, n_sessions - 1 - earlier, shared, recency, place)
        sample = self.compared(candidates.at(first_of_each(row, self.config.sample_size)))
        # sums added up in another order differ by rounding; make them equal
        rounded = sample.similarity.round(decimals=5)
        by_similarity = rounded.argsort(descending=True, stable=True)
        by_row = sample.row[by_similarity].argsort(stable=True)
        ordered = sample.at(by_similarity[by_row])
        return ordered.at(first_of_each(ordered.row, self.config.n_neighbours))


def different_items(items: Tensor) -> Clicks:
    """The different items of each row of left-padded ``items`` (B, L), at their latest click.

    >>> clicks = different_items(torch.tensor([[0, 7, 5, 7]]))
    >>> clicks.item, clicks.recency
    (tensor([5, 7]), tensor([1, 0]))
    """
    ordered, column = items.sort(dim=1, stable=True)
    latest = torch.ones_like(ordered, dtype=torch.bool)
    latest[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    row, place = ((ordered != PAD) & latest).nonzero(as_tuple=True)
    return Clicks(row, ordered[row, place], items.shape[1] - 1 - column[row, place])


def first_of_each(rows: Tensor, n: int) -> Tensor:
    """Which entries (a mask) are among the first ``n`` of their row, from sorted ``rows``."""
    _, counts = torch.unique_consecutive(rows, return_counts=True)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.lt(torch.arange(len(rows), device=rows.device) - starts, n)
