"""STAN: neighbours that are near in time, and items near the clicks that make them neighbours.

Idea
----
Session-based nearest neighbours with three weights. A late click of the current session
tells more than an early one; a session of late is a better neighbour than an old one; and of a
neighbour's items, those beside the last common click are worth more than those far from it. All
three fall exponentially.

Reference
---------
Diksha Garg, Priyanka Gupta, Pankaj Malhotra, Lovekesh Vig, Gautam Shroff: Sequence and Time Aware
Neighborhood for Session-based Recommendations: STAN. SIGIR 2019.
https://doi.org/10.1145/3331184.3331322

Where the equations are
-----------------------
Weights of the clicks (λ1): :meth:`STAN.click_weights`; similarity and age of a neighbour (λ2):
:meth:`STAN.compared`; scores (λ3): :meth:`STAN.add_items`.

Differences from the paper
--------------------------
- Ages are shares of the time that the training data span, not days, so that a setting fits logs of
  any length; where a start is not known, the order of the sessions stands for time. An age
  counts from the end of training: from the current session's time, all of its neighbours would
  be weighed by one more factor, the same for all, and no rank would change.
- A session's time is that of its first click.
- Scores are divided by the similarity of the nearest neighbour, so that none is too small for a
  float. That changes no rank.
- Neighbours are chosen from the latest ``sample_size`` sessions, as in the program; the
  paper has them all.

Differences from the authors' program
-------------------------------------
No program of the authors was found; compared was that of the framework session-rec, by which STAN
was evaluated in later papers. Times apart, similarity and scores are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from proxysr.config import Positive
from proxysr.data.batches import ages
from proxysr.data.sessions import Sessions
from proxysr.models.counting import add_lists
from proxysr.models.neighbours import NeighbourConfig, NeighbourModel, Neighbours


class STANConfig(NeighbourConfig):
    """Hyper-parameters of STAN."""

    lambda_click: Positive = 2.0
    """λ1: a click of the current session weighs exp(-1/λ1) of the click after it."""
    lambda_age: Positive = 1.0
    """λ2: share of the time of the training data by which a neighbour weighs 1/e of a new one."""
    lambda_item: Positive = 3.5
    """λ3: an item weighs exp(-1/λ3) of one that is a click nearer to the last common click."""


class STAN(NeighbourModel):
    """The model; see the module's docstring.

    Attributes
    ----------
    ages : (S,)
        Age of every training session, from 0 of the newest to 1 of the oldest.
    """

    Config = STANConfig
    config: STANConfig
    knows_places = True
    sized_by_data = (*NeighbourModel.sized_by_data, "session_places", "item_places", "ages")
    ages: Tensor

    def __init__(self, n_items: int, config: STANConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("ages", torch.zeros(0))

    def count(self, train: Sessions) -> None:
        """Index the training sessions, and take their ages."""
        super().count(train)
        self.ages = torch.from_numpy(ages(train.started_at)).to(self.ages)

    def click_weights(self, recency: Tensor, lengths: Tensor) -> Tensor:
        """Weights (n,) of clicks that ``recency`` clicks follow, in sessions of ``lengths``."""
        return torch.exp(-recency / self.config.lambda_click)

    def compared(self, candidates: Neighbours) -> Neighbours:
        """Candidates with the logarithm of cosine times age; the current session's norm left out.

        A logarithm tells neighbours apart whose similarity is too small for a float.
        """
        sessions = candidates.session
        sizes = self.session_offsets[sessions + 1] - self.session_offsets[sessions]
        cosine = candidates.similarity / sizes.sqrt()
        age = self.ages[sessions] / self.config.lambda_age
        return candidates._replace(similarity=cosine.log() - age)

    def add_items(self, scores: Tensor, neighbours: Neighbours, lengths: Tensor) -> None:
        """Add a neighbour's similarity, weighed by place, to each of its items."""
        row, session, log_similarity, _, place = neighbours
        largest = log_similarity.new_full((len(scores),), -torch.inf)
        largest.scatter_reduce_(0, row, log_similarity, "amax")
        similarity = torch.exp(log_similarity - largest[row]) * self.neighbour_weights(neighbours)

        def item_worth(owner: Tensor, entry: Tensor) -> Tensor:
            distance = (self.session_places[entry] - place[owner]).abs()
            near = torch.exp(-distance / self.config.lambda_item)
            return near * self.item_weights(self.session_items[entry])

        lists = self.session_offsets, self.session_items
        add_lists(scores, row, session, similarity, *lists, item_worth)

    def neighbour_weights(self, neighbours: Neighbours) -> Tensor | float:
        """What else weighs a neighbour, (n,) or one number: nothing."""
        return 1.0

    def item_weights(self, items: Tensor) -> Tensor | float:
        """What else weighs an item, (n,) or one number: nothing."""
        return 1.0
