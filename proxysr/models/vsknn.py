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
Sampling and choice of neighbours: :mod:`proxysr.models.neighbours`; similarity:
:meth:`VSKNN.click_weights`; scores: :meth:`VSKNN.add_items`.

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

from torch import Tensor

from proxysr.models.counting import Decay, add_lists, decay
from proxysr.models.neighbours import NeighbourConfig, NeighbourModel, Neighbours


class VSKNNConfig(NeighbourConfig):
    """Hyper-parameters of V-SKNN."""

    click_weight: Decay = "linear"
    """How the weights of the session's clicks decay from the latest one."""
    neighbour_weight: Decay = "reciprocal"
    """How a neighbour's weight decays with the clicks after the latest common one."""


class VSKNN(NeighbourModel):
    """The model; see the module's docstring."""

    Config = VSKNNConfig
    config: VSKNNConfig

    def click_weights(self, recency: Tensor, lengths: Tensor) -> Tensor:
        """Weights (n,) of clicks that ``recency`` clicks follow, in sessions of ``lengths``."""
        return decay(self.config.click_weight, recency, lengths)

    def add_items(self, scores: Tensor, neighbours: Neighbours, lengths: Tensor) -> None:
        """Add a neighbour's similarity, times its weight, to each of its items."""
        row, session, similarity, recency, _ = neighbours
        weight = decay(self.config.neighbour_weight, recency, lengths[row])
        add_lists(
            scores, row, session, similarity * weight, self.session_offsets, self.session_items
        )
