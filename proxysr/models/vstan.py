"""VSTAN: STAN with what V-SKNN knows besides.

Idea
----
STAN's three weights, and two of the extended nearest neighbours: a neighbour counts less if the
latest click it shares is an early one of the current session; and a rare item counts more than a
frequent one, by its inverse document frequency.

Reference
---------
Malte Ludewig, Noemi Mauro, Sara Latifi, Dietmar Jannach: Empirical Analysis of Session-Based
Recommendation Algorithms. User Modeling and User-Adapted Interaction 31, 2021.
https://doi.org/10.1007/s11257-020-09277-1

Where the equations are
-----------------------
The paper has them in words: weight of a neighbour: :meth:`VSTAN.neighbour_weights`; of an
item: :meth:`VSTAN.item_weights`; all else: :mod:`proxysr.models.stan`.

Differences from the paper
--------------------------
Those of STAN.

Differences from the authors' program
-------------------------------------
- Those of STAN.
- Frequencies are of sessions that have the item. Theirs counts clicks, so that an item
  clicked more often than there are sessions gets a negative weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from proxysr.config import NotNegative, Positive
from proxysr.data.sessions import Sessions
from proxysr.models.neighbours import Neighbours
from proxysr.models.stan import STAN, STANConfig


class VSTANConfig(STANConfig):
    """Hyper-parameters of VSTAN."""

    lambda_neighbour: Positive = 3.5
    """A neighbour weighs exp(-1/λ) of one whose latest common click is a click later."""
    idf_weight: NotNegative = 1.0
    """λ of the items' weights 1 + λ log(sessions / sessions with the item)."""


class VSTAN(STAN):
    """The model; see the module's docstring.

    Attributes
    ----------
    idf : (V,)
        Logarithm of the share of training sessions that have the item, negated.
    """

    Config = VSTANConfig
    config: VSTANConfig
    idf: Tensor

    def __init__(self, n_items: int, config: VSTANConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("idf", torch.zeros(n_items + 1))

    def count(self, train: Sessions) -> None:
        """Index the training sessions, and count how many have an item."""
        super().count(train)
        counts = torch.bincount(self.session_items, minlength=self.n_items + 1).to(self.idf)
        self.idf.copy_(torch.log(len(train) / counts.clamp(min=1)))

    def neighbour_weights(self, neighbours: Neighbours) -> Tensor:
        """Weights (n,) by the clicks after the latest common one."""
        return torch.exp(-neighbours.recency / self.config.lambda_neighbour)

    def item_weights(self, items: Tensor) -> Tensor:
        """Weights (n,) by how few sessions have the items."""
        return 1 + self.config.idf_weight * self.idf[items]
