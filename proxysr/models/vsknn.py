"""V-SKNN: recommend what the most similar earlier sessions clicked.

Idea
----
Among the latest training sessions that share an item with the current one, the k most
similar are its neighbours. Similar are sessions that have many of its clicks, late
clicks above all: the session is a vector of weights that decay from its latest click, an earlier
session a vector of zeros and ones, and the similarity their dot product. An item is scored by
the similarities of the neighbours that have it.

Reference
---------
Malte Ludewig, Dietmar Jannach: Evaluation of session-based recommendation algorithms.
User Modeling and User-Adapted Interaction 28, 2018. https://doi.org/10.1007/s11257-018-9209-6

Where the equations are
-----------------------
Sampling and similarity: :meth:`VSKNN.neighbours`; scores: :meth:`VSKNN.score`.

Differences from the paper
--------------------------
- A neighbour's similarity is multiplied by a weight for the latest click that both sessions
  share, as in the authors' program; the paper's V-SKNN is ``neighbour_weight=none``.
- Where similarities are equal at the k-th place, later sessions are taken; the paper does not say.

Differences from the authors' program
-------------------------------------
- A session's time is its place in the training data, which is ordered by time.
- Theirs divides similarities by the number of different items of the current session and the
  scores by the largest one, which changes no rank.
- Which of several equally similar sessions it takes depends on the order of a Python set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from proxysr.config import Count, Settings
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.models.counting import (
    CountingModel,
    Decay,
    add_lists,
    decay,
    lists_of,
    offsets_of,
    portions,
)
from proxysr.models.softmax import recent


class VSKNNConfig(Settings):
    """Hyper-parameters of V-SKNN."""

    n_neighbours: Count = 100
    """Number k of neighbours."""
    sample_size: Count = 1000
    """Number m of latest sessions with a common item that neighbours are chosen from."""
    click_weight: Decay = "linear"
    """How the weights of the session's clicks decay from the latest one."""
    neighbour_weight: Decay = "reciprocal"
    """How a neighbour's weight decays with the clicks after the latest common one."""
    max_length: Count = 50
    """Clicks of a session that are compared: its latest ones."""


class Clicks(NamedTuple):
    """Different items of the sessions of a batch, each at its latest click; (n,) each."""

    row: Tensor
    item: Tensor
    recency: Tensor


class Neighbours(NamedTuple):
    """Neighbours of the sessions of a batch; (n,) each.

    ``row`` of the batch, ``session`` of the training data, their ``similarity``, and the
    ``recency`` of the latest click they share: the number of clicks after it.
    """

    row: Tensor
    session: Tensor
    similarity: Tensor
    recency: Tensor

    def at(self, index: Tensor) -> Neighbours:
        """Some of them."""
        return Neighbours(*(values[index] for values in self))


class VSKNN(CountingModel):
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : VSKNNConfig, optional

    Attributes
    ----------
    session_offsets, session_items : int64 (S + 1,), int32
        The different items of every training session.
    item_offsets, item_sessions : int64 (V + 1,), int32
        The latest ``sample_size`` sessions of every item: no other can be among as many
        latest sessions that have some item of a session.
    """

    Config = VSKNNConfig
    config: VSKNNConfig
    sized_by_data = ("session_offsets", "session_items", "item_sessions")
    session_offsets: Tensor
    session_items: Tensor
    item_offsets: Tensor
    item_sessions: Tensor

    def __init__(self, n_items: int, config: VSKNNConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.max_length = self.config.max_length
        self.register_buffer("session_offsets", torch.zeros(1, dtype=torch.long))
        self.register_buffer("session_items", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("item_offsets", torch.zeros(n_items + 2, dtype=torch.long))
        self.register_buffer("item_sessions", torch.zeros(0, dtype=torch.int32))

    def prepare(self, train: Sessions) -> None:
        """Index the training sessions by item, the latest first."""
        width = self.n_items + 1
        keys = np.unique(train.session_of_click * width + np.asarray(train.items))
        session, item = np.divmod(keys, width)
        latest_first = np.lexsort((-session, item))
        owner, sessions = item[latest_first], session[latest_first]
        place = np.arange(len(owner)) - offsets_of(owner, width)[owner]
        sampled = place < self.config.sample_size
        facts = {
            "session_offsets": offsets_of(session, len(train)),
            "session_items": item.astype(np.int32),
            "item_offsets": offsets_of(owner[sampled], width),
            "item_sessions": sessions[sampled].astype(np.int32),
        }
        for name, values in facts.items():
            setattr(self, name, torch.from_numpy(values).to(self.item_offsets.device))

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Sums (B, V) of the similarities of the neighbours that have the item."""
        latest = recent(batch, self.max_length)
        scores = torch.zeros(len(latest.items), self.n_items + 1, device=latest.items.device)
        clicks = different_items(latest.items)
        sizes = self.item_offsets[clicks.item + 1] - self.item_offsets[clicks.item]
        for rows in portions(torch.zeros_like(latest.lengths).index_add_(0, clicks.row, sizes)):
            of_rows = (clicks.row >= rows.start) & (clicks.row < rows.stop)
            row, session, similarity, recency = self.neighbours(
                Clicks(*(part[of_rows] for part in clicks)), latest.lengths
            )
            weight = decay(self.config.neighbour_weight, recency, latest.lengths[row])
            add_lists(
                scores, row, session, similarity * weight, self.session_offsets, self.session_items
            )
        scores[:, PAD] = -torch.inf
        return scores

    def neighbours(self, clicks: Clicks, lengths: Tensor) -> Neighbours:
        """The k most similar of the m latest sessions that share an item with a row.

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
        weight = decay(self.config.click_weight, clicks.recency, lengths[clicks.row])
        similarity = torch.zeros(len(pairs), device=pairs.device).index_add_(0, pair, weight[click])
        recency = torch.full_like(pairs, self.max_length)
        recency.scatter_reduce_(0, pair, clicks.recency[click], "amin")
        row, earlier = pairs // max(n_sessions, 1), pairs % max(n_sessions, 1)
        candidates = Neighbours(row, n_sessions - 1 - earlier, similarity, recency)
        sample = candidates.at(first_of_each(candidates.row, self.config.sample_size))
        # equal sums that were added up in another order are equal
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
