"""ProxySR with variants: the ablations of Table 5, and the paper where the program differs.

Our reading of the ablations
----------------------------
The paper describes each in a sentence or two (section 4.4). Their settings are in
:data:`proxysr.experiments.presets.ABLATIONS`.

p(s) only
    ``dist = ||p - I_perp||^2``: the hyperplane stays, because it belongs to the proxy.
s(s) only
    No proxy is chosen, so there is no hyperplane: ``dist = ||s - I||^2``. With
    ``projection=True``, sessions choose a hyperplane without a proxy: ``||s_perp - I_perp||^2``.
no distance regularizer
    ``lambda_dist=0``.
no projection
    ``dist = ||p + s - I||^2``, as in the paper.
encoding p(s)
    A second encoder of the form of equation 5 reads the clicks that the proxy would be chosen by,
    at the positions of equation 3; its output is ``p``. As with a chosen proxy, a training session
    has one ``p`` for all of its targets. No proxy is chosen, so there is no hyperplane; with
    ``projection=True``, a hyperplane is chosen without a proxy.
weighted combination
    The temperature is 1 from the first epoch to the last; the rest is unchanged.
dot product
    Items are ranked by ``(p + s_perp) . I_perp``, and in equation 8 the product of a target must
    exceed that of a negative by the margin. The regularizer of equation 9 is minus the dot product
    with the target; it is bounded because all vectors are in the unit ball. With the distance of
    equation 7 instead, training collapsed.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu

from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.kernels.hinge import Candidates, Hinge, hinge_over_all
from proxysr.kernels.hyperplane import Queries
from proxysr.kernels.rows import project_into_ball
from proxysr.models import proxysr
from proxysr.models.base import Ends, Loss
from proxysr.models.proxy_model import Choice
from proxysr.models.proxysr import Selection, ShortTermEncoder, positions, project
from proxysr.models.proxysr_config import ProxySRConfig
from proxysr.models.softmax import prefixes


class ProxySR(proxysr.ProxySR):
    """The model of :mod:`proxysr.models.proxysr` with all of its variants, chosen by settings.

    Parameters
    ----------
    n_items : int
    config : ProxySRConfig, optional
    """

    def __init__(self, n_items: int, config: ProxySRConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        self.peeks_in_training = c.has_proxy or c.projection
        self.data_parallel = c.reduction == "mean"  # a sum over a share is no mean of sums
        if c.negatives == "all":
            self.n_negatives = n_items - (not c.target_is_negative)
        if c.projection and c.constraints == "penalty":
            self.normals.data = normalize(self.normals.data, dim=1)

    def make_parameters(self) -> None:
        """Draw the parameters that the variant has."""
        c = self.config
        d, k = c.embedding_dim, self.n_proxies
        hidden = (d + k) // 2
        self.items = self.table(self.n_items + 1)
        if c.selects_proxy:
            self.proxies = self.table(k)
        if c.projection:
            self.normals = self.table(k)
        if c.has_proxy or c.projection:
            self.proxy_positions = self.table(c.max_length + 1)
        if c.has_short_term:
            self.short_term_positions = self.table(c.max_length)
        if c.chooses:
            self.w1 = nn.Parameter(torch.randn(d, hidden) * c.init_std_selector)
            self.w2 = nn.Parameter(torch.randn(hidden, k) * c.init_std_selector)
        if c.has_short_term:
            self.encoder = ShortTermEncoder(d, c.dropout, c.init_std)
        if c.proxy_by == "encoding":
            self.proxy_encoder = ShortTermEncoder(d, c.dropout, c.init_std)
        self.user_bias = nn.Parameter(torch.zeros(c.n_users, k)) if c.n_users else None

    def select(
        self, batch: SessionBatch, clicks: Tensor | None = None, **choice: Unpack[Choice]
    ) -> Selection:
        """Equations 1-3, 6 and 10, as far as the variant has them."""
        c = self.config
        if c.proxy_from == "session" and batch.last_items is not None:
            items = torch.cat([batch.items, batch.last_items[:, None]], dim=1)
            batch, clicks = batch._replace(items=items, last_items=None), None
        if c.chooses:
            chosen = super().select(batch, clicks, **choice)
        else:
            zero = self.items.new_zeros(len(batch.items), c.embedding_dim)
            empty = self.weights(zero[:, :0], **choice)
            hidden = zero[:, None, :0].expand(-1, batch.items.shape[1], -1)
            chosen = Selection(hidden, empty, empty, zero, zero)
        if c.proxy_by == "encoding":
            is_click = batch.items != PAD
            place = positions(is_click, c.proxy_positions)
            x = self.embed(batch.items) + self.proxy_positions[place]
            chosen = chosen._replace(proxy=self.proxy_encoder(x, is_click))
        return chosen

    def proxy_of(self, weights: Tensor) -> Tensor:
        """Equation 2, or zero."""
        if self.config.selects_proxy:
            return super().proxy_of(weights)
        return weights.new_zeros(len(weights), self.config.embedding_dim)

    def normal_of(self, weights: Tensor) -> Tensor:
        """Equation 6, or zero: then the hyperplane is the whole space."""
        if self.config.projection:
            return super().normal_of(weights)
        return weights.new_zeros(len(weights), self.config.embedding_dim)

    def short_term(
        self, batch: SessionBatch, ends: Ends | None = None, clicks: Tensor | None = None
    ) -> Tensor:
        """Equations 4-5, or zero."""
        if not self.config.has_short_term:
            n = len(batch.items if ends is None else ends[0])
            return self.items.new_zeros(n, self.config.embedding_dim)
        if self.config.short_term_positions == "end" and ends is not None:
            # a click's position differs from prefix to prefix: one row for each of them
            return super().short_term(prefixes(batch, ends))
        return super().short_term(batch, ends, clicks)

    def queries(self, query: Tensor, normal: Tensor, session: Tensor | None = None) -> Queries:
        """See :meth:`proxysr.ProxySR.queries`; without projection, there is no normal."""
        c, queries = self.config, super().queries(query, normal, session)
        if c.projection and c.similarity == "distance":
            return queries
        no_normal = normal.new_zeros(1, normal.shape[1]), torch.zeros_like(queries.session)
        if c.similarity == "distance":
            return Queries(queries.points, *no_normal)
        return Queries(queries.points / 2, *no_normal, norms=False)

    def target_term(self, query: Tensor, normal: Tensor, target: Tensor) -> Tensor:
        """First regularizer of equation 9 (R,): distance to the target, or minus a dot product."""
        if self.config.similarity == "distance":
            return super().target_term(query, normal, target)
        return -(query * project(target, normal)).sum(dim=1)

    def hinge(self, candidates: Candidates, queries: Queries) -> Hinge:
        """Equation 8 over the closest negatives, or over all items."""
        c = self.config
        if c.negatives == "hardest":
            return super().hinge(candidates, queries)
        return hinge_over_all(
            candidates, queries, margin=c.margin, target_is_negative=c.target_is_negative
        )

    def loss(self, batch: SessionBatch) -> Loss:
        """Equation 9 by means or sums, and the penalty for vectors outside the unit ball."""
        c = self.config
        if c.reduction == "mean" and c.constraints == "project":
            return super().loss(batch)
        terms, k = self.terms(batch), self.n_negatives
        n_targets, n_sessions, n_terms = (
            (batch.n_targets, batch.n_sessions, k) if c.reduction == "mean" else (1, 1, 1)
        )
        parts = {
            "hinge": terms.hinge.total.sum() / n_targets / n_terms,
            "dist": terms.dist.sum() / n_targets,
            "orthog": terms.orthog.sum() / n_sessions,
        }
        total = parts["hinge"] + c.lambda_dist * parts["dist"] + c.lambda_orthog * parts["orthog"]
        if c.constraints == "penalty":
            parts["norm"] = self.penalty()
            total = total + c.lambda_norm * parts["norm"]
        parts["violated"] = terms.hinge.violated.sum() / batch.n_targets / k
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    def penalty(self) -> Tensor:
        """``sum [||x||^2 - 1]_+`` of all embeddings, plus ``sum (||v||^2 - 1)^2`` of normals."""
        norms = [relu(table.square().sum(dim=1) - 1).sum() for table in self.embeddings()]
        if self.config.projection:
            norms.append((self.normals.square().sum(dim=1) - 1).square().sum())
        return torch.stack(norms).sum()

    def embeddings(self) -> list[Tensor]:
        """The variant's embedding tables without the normals."""
        names = ("items", "proxies", "proxy_positions", "short_term_positions")
        return [getattr(self, name) for name in names if hasattr(self, name)]

    @torch.no_grad()
    def after_step(self) -> None:
        """Project embeddings into the unit ball and normals onto the unit sphere, or nothing."""
        if self.config.constraints == "penalty":
            return
        for table in self.embeddings():
            project_into_ball(table)
        if self.config.projection:
            self.normals.copy_(normalize(self.normals, dim=1))

    def addends(self, chosen: Selection, batch: SessionBatch) -> Tensor:
        """What each click adds to the logits, (B, L, K); K is 0 if nothing is chosen."""
        return super().addends(chosen, batch) if self.config.chooses else chosen.hidden

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The proxy vector (B, D) of each session, as in Figure 4; if it has none, ``s``."""
        trace = self.trace(batch)
        return trace.proxy if self.config.has_proxy else trace.short_term

    @property
    def chooses(self) -> bool:
        """Whether sessions choose among K proxies, hyperplanes, or both."""
        return self.config.chooses

    @property
    def represents_by_proxies(self) -> bool:
        """Whether :meth:`represent` gives mixtures of the proxies."""
        return self.config.selects_proxy

    def proxy_vectors(self) -> Tensor:
        """The proxies (K, D); the normals in a variant that chooses hyperplanes only."""
        return self.proxies if self.config.selects_proxy else self.normals
