"""Mean encoder: a session is the mean of its items.

Idea
----
The session's vector is the mean of the embeddings of its clicks; items are ranked by
its dot product with theirs. The order of the clicks is lost, and all count the same.

Reference
---------
Section 4.6.2 and Figure 4 of Junsu Cho, SeongKu Kang, Dongmin Hyun, Hwanjo Yu: Unsupervised
Proxy Selection for Session-based Recommender Systems. SIGIR 2021.
https://doi.org/10.1145/3404835.3462958

Where the equations are
-----------------------
The paper says it in words: :meth:`MeanEncoder.encode` is the mean, and the dot product
and the loss are those of :class:`~proxysr.models.softmax.SoftmaxModel`.

Differences from the paper
--------------------------
None that is known: the paper does not say how its mean encoder was trained.

Differences from the authors' program
-------------------------------------
We know of no published program for it.
"""

from __future__ import annotations

from torch import Tensor

from proxysr.data.batches import SessionBatch
from proxysr.models.base import Ends
from proxysr.models.softmax import SoftmaxModel, shifted


class MeanEncoder(SoftmaxModel):
    """The model; see the module's docstring."""

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Mean (R, D) of the items clicked up to ``ends``."""
        sums = self.embed(batch.items).cumsum(dim=1)
        _, n_before = shifted(batch, ends)
        return (sums[:, -1] if ends is None else sums[ends]) / (n_before + 1)[:, None]
