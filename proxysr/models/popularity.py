"""What everyone clicks, and what this session clicked: the least a model must beat.

Idea
----
``popularity`` ranks items by their clicks in training, whatever the session.
``session-popularity`` ranks the items of the session first, by how often it clicked them;
equal counts, above all the items it did not click, are ranked by popularity.

Reference
---------
Balázs Hidasi, Alexandros Karatzoglou, Linas Baltrunas, Domonkos Tikk: Session-based
Recommendations with Recurrent Neural Networks. ICLR 2016. https://arxiv.org/abs/1511.06939
(the baselines POP and S-POP of section 4)

Where the equations are
-----------------------
The paper has them in words: :meth:`Popularity.score`, :meth:`SessionPopularity.score`.

Differences from the paper
--------------------------
None that is known.

Differences from the authors' program
-------------------------------------
Theirs gives a popularity only to a number of top items, an option; here all items have theirs,
so that ranks are told apart as far down as the counts go.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from proxysr.config import Settings
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.models.counting import CountingConfig, CountingModel
from proxysr.models.softmax import recent


class PopularityConfig(Settings):
    """Popularity has no options."""


class Popularity(CountingModel):
    """Clicks in training; see the module's docstring.

    Attributes
    ----------
    clicks : (V,)
        Clicks on each item in training.
    """

    Config = PopularityConfig
    starts_sessions = True
    clicks: Tensor

    def __init__(self, n_items: int, config: PopularityConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("clicks", torch.zeros(n_items + 1))

    def count(self, train: Sessions) -> None:
        """Count the clicks."""
        counts = np.bincount(train.items, minlength=self.n_items + 1)
        self.clicks.copy_(torch.from_numpy(counts))

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Clicks (B, V) in training, the same for every session."""
        scores = self.clicks.repeat(len(batch.items), 1)
        scores[:, PAD] = -torch.inf
        return scores


class SessionPopularity(CountingModel):
    """Clicks in the session, then clicks in training; see the module's docstring.

    Attributes
    ----------
    popularity : (V,)
        Place of each item among the click counts that occur, scaled to [0, 1).
    """

    popularity: Tensor

    def __init__(self, n_items: int, config: CountingConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("popularity", torch.zeros(n_items + 1))

    def count(self, train: Sessions) -> None:
        """Order the items by their clicks."""
        counts = np.bincount(train.items, minlength=self.n_items + 1)
        # places, not counts: their distance is large enough not to vanish beside a count of 50
        different, place = np.unique(counts, return_inverse=True)
        self.popularity.copy_(torch.from_numpy(place / len(different)))

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Clicks (B, V) in the session, and less than one more for the clicks in training."""
        items = recent(batch, self.max_length).items
        scores = self.popularity.repeat(len(items), 1)
        scores.scatter_add_(1, items, torch.ones_like(items, dtype=scores.dtype))
        scores[:, PAD] = -torch.inf
        return scores
