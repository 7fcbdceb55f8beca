"""Latent proxies: a session follows one of K hidden interests, and its clicks tell which.

Idea
----
As in ProxySR, a session is a general interest, for which one of K learnt *proxies* stands, plus
a short-term interest that its latest clicks show. Here that is a probability model of the clicks,
so no network selects the proxy: Bayes' rule infers it from the clicks so far, in training as in
use, and each click says exactly how much it speaks for each proxy. Without a proxy (K = 1) it is
a session model whose items and sessions are compared by cosine.

Equations
---------
Items ``e_i`` and their directions ``ê_i = e_i / ||e_i||``, proxies ``p_k`` with weights ``w_k``,
clicks ``i_1 … i_T``:

1. short-term interest ``q_t = unit(sum_u softmax_u(a_{t-u} + ê_t' A ê_u) ê_u)`` over ``u <= t``
2. ``p(i_{t+1} = i | i_1 … i_t, k) = softmax_i(s q_t.ê_i + p_k.ê_i + b_i)``, where ``b_i`` is 0 for
   an item that was not clicked yet, and else by the place from the end of its latest click
3. ``p(i_1 = i | k) = softmax_i(log popularity_i + p_k.ê_i)``
4. posterior ``π_t(k) ∝ w_k (p(i_1 | k) … p(i_t | i_1 … i_{t-1}, k))^(1/T)``
5. recommended: ``sum_k π_t(k) p(i | i_1 … i_t, k)``
6. loss: ``-log p(i_1 … i_T) = -sum_t log sum_k π_{t-1}(k) p(i_t | i_1 … i_{t-1}, k)``
7. a person with earlier sessions: ``w_k ∝ c w_k + sum of the posteriors of these sessions``

The normaliser of 2 for all K is one matrix product (:mod:`proxysr.kernels.mixture`), and what
the items clicked already have more or less is added to it. What was tried of the options is said
in :mod:`proxysr.models.latent_proxy_config`.

Where they are
--------------
1: :meth:`LatentProxy.short_term`; 2-4: :meth:`LatentProxy.read`; 5: :meth:`LatentProxy.answer`;
6: :meth:`LatentProxy.loss`; 7: :meth:`LatentProxy.prior`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, normalize, pad

from proxysr.data.batches import SessionBatch, whole_sessions
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels.mixture import log_normalisers, with_bias
from proxysr.models.base import Answer, Ends, Loss
from proxysr.models.latent_proxy_config import LatentProxyConfig
from proxysr.models.proxy_model import ProxyModel, ProxyTrace
from proxysr.models.repeats import best_repeat_level, is_first, is_latest, steps_back
from proxysr.models.tiles import entries, product_tiles, side_by_side

PLACES = 10
"""Places from the end that a repeated item's bias tells apart; the last is all further ones."""

TRAINED = 200
"""Clicks of a training session, at most: what a batch takes grows with the square of them."""
TEMPERATURES = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0]
"""What is tried as the temperature of the posterior when it is calibrated."""
CALIBRATED = 500
"""Validation sessions that it is calibrated on, at most."""


class Reading(NamedTuple):
    """What is known after each click of a batch.

    Attributes
    ----------
    query : (B, L, D)
        ``s q_t``.
    click : (B, L, K)
        ``log p(i_t | before, k)`` of each click, 0 at the padding.
    following : (B, L, K)
        The same of the item that follows each click; 0 where none is asked for.
    evidence : (B, L, K)
        ``T log w_k + log p(i_1 … i_t | k)`` but for the mean over proxies of each click's part:
        over the temperature, the logarithm of the posterior but for a constant.
    log_z : (B, L, K)
        Logarithm of the normaliser of equation 2 after each click.
    latest : bool (B, L, L)
        After click l, whether click u is the latest one on its item.
    bias : (B, L, L)
        What this adds to that item's logit in equation 2; else 0.
    """

    query: Tensor
    click: Tensor
    following: Tensor
    evidence: Tensor
    log_z: Tensor
    latest: Tensor
    bias: Tensor


class Tables(NamedTuple):
    """``ê`` (V, D); ``exp(p_k.ê_i - ||p_k||)`` (K, V); ``||p_k||``; first ``log_z`` (K,)."""

    directions: Tensor
    by_proxy: Tensor
    length: Tensor
    log_z_first: Tensor


class LatentProxy(ProxyModel):
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : LatentProxyConfig, optional
    """

    Config = LatentProxyConfig
    config: LatentProxyConfig
    log_weights: Tensor
    repeat_level: Tensor
    log_popularity: Tensor
    step_sizes = MappingProxyType({"repeat_bias": 5.0})  # ten numbers, far from where they start
    shares_prefixes = True
    starts_sessions = True
    uses_history = True
    most_proxies = 64

    def __init__(self, n_items: int, config: LatentProxyConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        self.max_length = c.max_length
        self.training_length = min(c.max_length, TRAINED)
        self.items = nn.Parameter(torch.randn(n_items + 1, c.embedding_dim) * 0.1)
        with torch.no_grad():
            self.items[PAD] = 0
        # the larger, the sooner told apart; at a high temperature, small ones are enough
        k = self.n_proxies
        self.proxies = nn.Parameter(torch.randn(k, c.embedding_dim) / c.temperature**0.5)
        if k > 1:
            self.log_weights = nn.Parameter(torch.zeros(k))
        else:
            self.register_buffer("log_weights", torch.zeros(1))
        self.places = nn.Parameter(-torch.arange(1.0, self.training_length + 1).log())
        if c.attention:
            self.attention = nn.Parameter(torch.zeros(c.embedding_dim, c.embedding_dim))
        self.repeat_bias = nn.Parameter(torch.zeros(PLACES))
        self._kept: tuple[object, Tables] | None = None
        self.register_buffer("repeat_level", torch.zeros(()))
        self.register_buffer("temperature", torch.tensor(float(c.temperature)))
        self.register_buffer("log_popularity", torch.zeros(n_items + 1))

    def prepare(self, train: Sessions) -> None:
        """Count how often items are clicked."""
        super().prepare(train)
        counts = torch.bincount(torch.tensor(train.items).long(), minlength=self.n_items + 1)
        self.log_popularity.copy_((counts.double() + 0.5).log())

    # -- equations -------------------------------------------------------------------------

    def short_term(self, clicks: Tensor, is_click: Tensor) -> Tensor:
        """Equation 1: the directions (B, L, D) after each of the clicks (B, L, D)."""
        back = steps_back(is_click)
        weights = self.places[back.clamp(0, len(self.places) - 1)].expand(len(clicks), -1, -1)
        if self.config.attention:
            weights = weights + clicks @ self.attention @ clicks.mT
        is_read = (back >= 0) & is_click[:, None] | ~is_click[:, :, None]  # no row without any
        weights = weights.masked_fill(~is_read, -torch.inf).softmax(dim=2)
        return normalize(weights @ clicks, dim=2)

    def read(self, items: Tensor, following: Tensor, prior: Tensor | None = None) -> Reading:
        """Equations 2 to 4.

        Parameters
        ----------
        items, following : int64 (B, L)
            Clicks, and the item after each that its probability is asked of.
        prior : (B, K), optional
            Weights of the proxies before the first click, in place of ``w``.
        """
        scale, is_click = self.config.scale, items != PAD
        known = None if torch.is_grad_enabled() else self._tables()
        directions = normalize(self.items, dim=1) if known is None else known.directions
        clicks = directions[items]
        seen = dropout(clicks, self.config.dropout, self.training)
        query = scale * self.short_term(seen, is_click)
        # equation 2
        latest = is_latest(items)
        bias = latest * self.repeat_bias[steps_back(items).clamp(0, PLACES - 1)]
        rows = is_click.nonzero(as_tuple=True)
        log_z = query.new_zeros(*items.shape, self.n_proxies)
        by_proxy = None if known is None else known.by_proxy[:, PAD + 1 :]
        z = log_normalisers(query[rows], self.proxies, directions[PAD + 1 :], by_proxy)
        log_z = log_z.index_put(rows, z)
        log_z = with_bias(log_z, query, self.proxies, clicks, bias, scale)
        own = torch.linalg.vecdot(query, directions[following])
        own = own + (bias * (items[:, None] == following[:, :, None])).sum(dim=2)
        likelihood = own[..., None] + directions[following] @ self.proxies.T - log_z
        likelihood = likelihood * (following != PAD)[..., None]
        # equation 3 for the first click
        log_z_first = self.log_z_first(directions) if known is None else known.log_z_first
        first = self.log_popularity[items][..., None] + clicks @ self.proxies.T - log_z_first
        later = pad(likelihood[:, :-1], (0, 0, 1, 0))
        click = torch.where(is_first(items)[..., None], first, later)
        click = click * is_click[..., None]
        # equation 4
        log_prior = self.log_weights.log_softmax(dim=0) if prior is None else prior.log()[:, None]
        addends = click - click.mean(dim=2, keepdim=True)  # small numbers: sums stay exact
        evidence = self.config.temperature * log_prior + addends.cumsum(dim=1)
        return Reading(query, click, likelihood, evidence, log_z, latest, bias)

    def log_z_first(self, directions: Tensor) -> Tensor:
        """Logarithm (K,) of the normaliser of equation 3."""
        logits = self.log_popularity[1:] + self.proxies @ directions[1:].T
        return torch.logsumexp(logits, dim=1)

    def loss(self, batch: SessionBatch) -> Loss:
        """Equation 6, over the number of targets."""
        items, is_target = batch.items, batch.targets != PAD
        following = torch.cat([items[:, 1:], batch.targets[:, -1:]], dim=1) * (items != PAD)
        found = self.read(items, following)
        posterior = (found.evidence / self.config.temperature).log_softmax(dim=2)
        log_p = torch.logsumexp(posterior + found.following, dim=2)[is_target]
        log_w = self.log_weights.log_softmax(dim=0)
        log_p_first = torch.logsumexp(log_w + found.click[is_first(items)], dim=1)
        n = batch.n_targets
        parts = {"next": -log_p.sum() / n, "first": -log_p_first.sum() / n}
        total = parts["next"] + parts["first"]
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    # -- the contract ----------------------------------------------------------------------

    @torch.no_grad()
    def answer(
        self,
        batch: SessionBatch,
        ends: Ends | None = None,
        *,
        force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> Answer:
        """Equation 5: log-probabilities of all items, and the most probable proxy.

        To those of items clicked already the level of repeats is added, see :meth:`calibrate`.
        Parameters are those of :meth:`score`, and ``ends``, rows and columns (R,) of the clicks
        after which to ask: the latest ones if left out. At the padding just before a session, it
        is asked what the session begins with.
        """
        items, found = self._read(batch, cut=ends is None)
        if ends is None:
            row = torch.arange(len(items), device=items.device)
            ends = row, torch.full_like(row, items.shape[1] - 1)
        row, _ = ends
        weights = self.weights(found.evidence[ends], temperature, force_proxy)  # (R, K)
        directions, by_proxy, length, log_z_first = self._tables()
        begins = (items[ends] == PAD)[:, None]
        log_z = torch.where(begins, log_z_first, found.log_z[ends])
        share = weights * torch.exp(length - log_z)
        tiles = product_tiles(found.query[ends] * ~begins, directions)
        for index, tile in enumerate(tiles):
            some = slice(index * tile.shape[1], (index + 1) * tile.shape[1])
            scores = tile[:, : by_proxy[:, some].shape[1]]
            scores += (share @ by_proxy[:, some]).log_()
            scores += begins * self.log_popularity[some]
        latest = found.latest[ends]
        worth = (found.bias[ends] + self.repeat_level) * latest
        clicked = entries(tiles, items[row] * latest)
        tiles.view(-1).index_add_(0, clicked.flatten(), worth.flatten())
        probability, proxy = weights.max(dim=1)
        return Answer(tiles, {"proxy": proxy, "probability": probability} if self.chooses else {})

    @torch.no_grad()
    def score(
        self,
        batch: SessionBatch,
        *,
        force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> Tensor:
        """Equation 5: log-probabilities (B, V) of the next click, -inf for the padding."""
        tiles = self.answer(batch, force_proxy=force_proxy, temperature=temperature).tiles
        return side_by_side(tiles, self.n_items + 1)

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The mean (B, D) of the proxies under the posterior; of K = 1, the short-term interest."""
        found = self.trace(batch)
        return found.proxy if self.chooses else found.short_term

    @torch.no_grad()
    def weigh(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """``T log w_k + log p(clicks | k)`` but for a constant, and the posterior; (B, K) both."""
        evidence = self._read(batch)[1].evidence[:, -1]
        logits = evidence - evidence.mean(dim=1, keepdim=True)
        return logits, self.weights(logits)

    @torch.no_grad()
    def path(self, batch: SessionBatch) -> Tensor:
        """The posterior (B, L, K) after each click, 0 at the padding."""
        items, found = self._read(batch)
        weights = self.weights(found.evidence.flatten(0, 1)).view_as(found.evidence)
        return weights * (items != PAD)[..., None]

    @torch.no_grad()
    def trace(
        self,
        batch: SessionBatch,
        *,
        force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> ProxyTrace:
        """Everything between clicks and scores; parameters are those of :meth:`score`.

        A click's addend for a proxy is its log-likelihood under it, less the mean over proxies.
        """
        found = self._read(batch)[1]
        clicks = found.click - found.click.mean(dim=2, keepdim=True)
        before = found.evidence[:, 0] - clicks[:, 0]
        before = before - before.mean(dim=1, keepdim=True)
        logits = before + clicks.sum(dim=1)
        weights = self.weights(logits, temperature, force_proxy)
        return ProxyTrace(
            proxy_logits=logits,
            position_logits=clicks,
            prior_logits=before,
            proxy_weights=weights,
            proxy=weights @ self.proxies,
            short_term=found.query[:, -1] / self.config.scale,
        )

    @torch.no_grad()
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        """Addends (n, L, K) of other items in place of each click, normalisers as they are."""
        clicked, found = self._read(batch)
        directions = self._tables().directions
        log_z = pad(found.log_z[0, :-1], (0, 0, 1, 0))
        log_z[is_first(clicked)[0]] = self._tables().log_z_first
        addends = (directions[items] @ self.proxies.T)[:, None] - log_z  # (n, L, K)
        return (addends - addends.mean(dim=2, keepdim=True)) * (clicked[0] != PAD)[:, None]

    def prior(self, sums: Tensor) -> Tensor:
        """Equation 7; see :meth:`ProxyModel.prior`."""
        weights = self.config.prior_strength * self.log_weights.softmax(dim=0) + sums
        return weights / weights.sum(dim=1, keepdim=True)

    @property
    def chooses(self) -> bool:
        """Whether there are proxies to choose among: one alone is no proxy."""
        return self.n_proxies > 1

    @torch.no_grad()
    def calibrate(self, valid: Sessions) -> None:
        """Fit two numbers to validation sessions: how far to trust clicks, what repeats are worth.

        The clicks of a new session say less of its proxy than those of a training session, which
        the embeddings were fitted to: the temperature is the likeliest one. Nor are new items as
        probable as training makes them, so that repeats are ranked too low: to the bias of all
        clicked items is added the level that gives the best MRR@20 with repeats.
        """
        picked = np.linspace(0, len(valid) - 1, min(len(valid), CALIBRATED)).astype(int)
        sessions = valid.select(np.unique(picked))
        self.temperature.fill_(self._likeliest_temperature(sessions))
        self.repeat_level.zero_()
        self.repeat_level.fill_(best_repeat_level(self, sessions))

    def _likeliest_temperature(self, sessions: Sessions) -> float:
        total = torch.zeros(len(TEMPERATURES), device=self.temperature.device)
        for _, batch in whole_sessions(
            sessions, max_length=self.max_length, device=self.temperature.device
        ):
            items, found = self._read(batch)
            is_target = pad(items[:, 1:] != PAD, (0, 1)) & (items != PAD)
            for index, temperature in enumerate(TEMPERATURES):
                weights = (found.evidence / temperature).log_softmax(dim=2)
                total[index] += torch.logsumexp(weights + found.following, dim=2)[is_target].sum()
        return TEMPERATURES[int(total.argmax())]

    @torch.no_grad()
    def portable(self) -> dict[str, Tensor | float | str | None]:
        """Tables and numbers of equations 1 to 5; see :meth:`ProxyModel.portable`."""
        tables = self._tables()
        return {
            "kind": "latent_proxy", "dim": self.config.embedding_dim, "items": tables.directions,
            "proxies": self.proxies, "log_weights": self.log_weights.log_softmax(dim=0),
            "places": self.places, "attention": self.attention if self.config.attention else None,
            "repeat_bias": self.repeat_bias, "repeat_level": float(self.repeat_level),
            "log_popularity": self.log_popularity, "log_z_first": tables.log_z_first,
            "scale": self.config.scale, "trained_temperature": self.config.temperature,
            "temperature": float(self.temperature), "max_length": self.max_length,
        }  # fmt: skip

    def proxy_vectors(self) -> Tensor:
        """``p`` (K, D)."""
        return self.proxies

    @property
    def n_proxies(self) -> int:
        """Number K of proxies."""
        return self.config.n_proxies or self.most_proxies

    # -- pieces ----------------------------------------------------------------------------

    def _read(self, batch: SessionBatch, *, cut: bool = True) -> tuple[Tensor, Reading]:
        """The clicks that are read, and what is known after each; nothing is asked of the next."""
        items = batch.items[:, -self.max_length :] if cut else batch.items
        following = pad(items[:, 1:], (0, 1)) * (items != PAD)
        return items, self.read(items, following, batch.prior)

    def _tables(self) -> Tables:
        """What all answers need of the items; made again only when the parameters have changed."""
        made_of = (self.items, self.proxies, self.log_popularity)
        state = [(x.data_ptr(), x._version) for x in made_of]
        if self._kept is None or self._kept[0] != state:
            directions, length = normalize(self.items, dim=1), self.proxies.norm(dim=1)
            by_proxy = torch.sub(self.proxies @ directions.T, length[:, None]).exp_()
            log_z_first = self.log_z_first(directions)
            self._kept = state, Tables(directions, by_proxy, length, log_z_first)
        return self._kept[1]
