"""Latent proxies: a session follows one of K hidden interests, and its clicks tell which.

Idea
----
As in ProxySR, a session is a general interest, for which one of K learnt *proxies* stands, plus
a short-term interest that its latest clicks show. No network selects the proxy: each makes some
items likely on its own, so Bayes' rule infers it from the clicks so far, in training as in use, and
each click adds an exact amount of evidence for each proxy, in whatever order they come. With one
proxy (K = 1), the model compares items and sessions by cosine only.

Equations
---------
Items ``e_i`` and their directions ``ê_i = e_i / ||e_i||``, proxies ``p_k`` with weights ``w_k``,
clicks ``i_1 … i_T``:

1. short-term interest ``q_t = unit(sum_u softmax_u(a_{t-u} + ê_t' A ê_u) ê_u + N ê_t)``, over
   ``u <= t``; N is 0 at first and learnt slowly
2. ``p(i_{t+1} = i | i_1 … i_t, k) = softmax_i(s q_t.ê_i + β p_k.ê_i + b_i)``, where ``b_i`` is 0
   for an item that was not clicked yet, and else depends on how many clicks ago it was clicked
   last; the strength β is learnt
3. of a click by itself, ``p(i | k) = softmax_i(log popularity_i + p_k.ê_i)``
4. posterior ``π_t(k) ∝ (w_k p(i_1 | k) … p(i_t | k))^(1/T)``, and ``w_k`` before the first click
5. recommended: ``sum_k π_t(k) p(i | i_1 … i_t, k)``, and for the first click, by equation 3
6. loss: ``-sum_t log sum_k π_{t-1}(k) p(i_t | i_1 … i_{t-1}, k)`` over the clicks after the first,
   and, G times, ``-log sum_k w_k p(i_1 | k) … p(i_{T-1} | k)``: what makes proxies differ
7. a user with earlier sessions: ``w_k ∝ c w_k + sum of the posteriors of these sessions``

The short-term interest could explain most clicks without proxies, which then would say little. So
proxies have a term of the loss of their own, and equation 4 leaves the short-term interest out.

The normaliser of 2 for all K is one matrix product (:mod:`proxysr.kernels.mixture`); the biases
``b_i`` of the clicked items are added to it afterwards. With ``sampled_negatives``, training
estimates it from the batch's items and drawn ones (:mod:`proxysr.kernels.sampling`). What is
evaluated is an average of the weights over epochs (:mod:`proxysr.averaging`). Equation 1 is
``short_term``, 2 ``following``, 3 and 4 ``read``, 5 ``answer``, 6 ``loss``, and 7 ``prior``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import NamedTuple, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, normalize, pad

from proxysr.data.batches import SessionBatch, whole_sessions
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels import mixture
from proxysr.kernels.rows import at_clicks, by_length, lookup, unit_rows
from proxysr.kernels.sampling import ItemSampler, Sample
from proxysr.kernels.tiles import add_to, put_rows
from proxysr.models.base import Answer, Ends, Loss
from proxysr.models.calibration import (
    best_repeat_level,
    is_latest,
    likeliest_temperature,
    steps_back,
)
from proxysr.models.latent_proxy_config import LatentProxyConfig
from proxysr.models.proxy_model import Choice, ProxyModel, ProxyTrace

PLACES = 10
"""Biases of a repeated item, by place from the end; the last one is for all further places."""
TRAINED = 200
"""Most clicks of a training session that are read: memory grows with their square."""
CALIBRATED = 500
"""Most validation sessions used for calibration."""


class Reading(NamedTuple):
    """What :meth:`LatentProxy.read` computes after each click of a batch.

    Attributes
    ----------
    query : (B, L, D)
        ``s q_t``.
    click : (B, L, K)
        ``log p(i_t | k)`` of each click by itself, 0 at the padding.
    evidence : (B, L, K)
        ``log w_k`` and the sum of ``click`` so far, centred over proxies; ``T log w_k`` at the
        padding. Divided by T, it is the logarithm of the posterior up to a constant.
    bias : (B, L, L)
        After click l, ``b_i`` of equation 2 for the item of click u if that is its latest; else 0.
    """

    query: Tensor
    click: Tensor
    evidence: Tensor
    bias: Tensor


class Tables(NamedTuple):
    """Values over all items, or over a sample of them, that follow from the parameters alone.

    Attributes
    ----------
    directions : (V, D)
        ``ê_i``.
    log_popularity : (V,)
    pull : (K, D)
        ``β p_k``.
    log_z : (K,)
        Logarithm of the normaliser of equation 3.
    by_proxy : (K, V)
        ``exp(β p_k.ê_i - ||β p_k||)``; empty while gradients are recorded, which do not use it.
    log_times : (V - 1,), optional
        Of a sample, without the padding; see :class:`Sample`.
    """

    directions: Tensor
    log_popularity: Tensor
    pull: Tensor
    log_z: Tensor
    by_proxy: Tensor
    log_times: Tensor | None = None


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
    # ten numbers that end far from their start, and a matrix that must not overfit
    step_sizes = MappingProxyType({"repeat_bias": 5.0, "transition": 0.03})
    shares_prefixes = True
    starts_sessions = True
    uses_history = True
    learning_rate = 4e-3
    averaging = True
    max_proxies = 64

    def __init__(self, n_items: int, config: LatentProxyConfig | None = None) -> None:
        super().__init__(n_items, config)
        c, k = self.config, self.n_proxies
        self.max_length = c.max_length
        self.training_length = min(c.max_length, TRAINED)
        self.items = nn.Parameter(torch.randn(n_items + 1, c.embedding_dim) * 0.1)
        self.items.data[PAD] = 0
        # larger proxies separate sooner; at a high temperature, small ones are enough
        self.proxies = nn.Parameter(torch.randn(k, c.embedding_dim) / c.temperature**0.5)
        self.strength = nn.Parameter(torch.tensor(0.5))
        if k > 1:
            self.log_weights = nn.Parameter(torch.zeros(k))
        else:
            self.register_buffer("log_weights", torch.zeros(1))
        self.places = nn.Parameter(-torch.arange(1.0, self.training_length + 1).log())
        if c.attention:
            self.attention = nn.Parameter(torch.zeros(c.embedding_dim, c.embedding_dim))
        self.transition = nn.Parameter(torch.zeros(c.embedding_dim, c.embedding_dim))  # N
        self.repeat_bias = nn.Parameter(torch.zeros(PLACES))
        self._cached: tuple[object, Tables] | None = None
        self.sampler = ItemSampler(n_items, c) if c.sampled_negatives else None
        self.register_buffer("repeat_level", torch.zeros(()))
        self.register_buffer("temperature", torch.tensor(float(c.temperature)))
        self.register_buffer("log_popularity", torch.zeros(n_items + 1))

    def prepare(self, train: Sessions) -> None:
        """Count how often items are clicked."""
        super().prepare(train)
        n_clicks = torch.bincount(torch.tensor(train.items).long(), minlength=self.n_items + 1)
        self.log_popularity.copy_((n_clicks.double() + 0.5).log())
        if self.sampler is not None:
            self.sampler.count(train)

    # -- equations -------------------------------------------------------------------------

    def short_term(self, clicks: Tensor, is_click: Tensor) -> Tensor:
        """Equation 1: the short-term interest (B, L, D) after each of the clicks (B, L, D)."""
        back = steps_back(is_click)
        weights = self.places[back.clamp(0, len(self.places) - 1)].expand(len(clicks), -1, -1)
        if self.config.attention:
            weights = weights + clicks @ self.attention @ clicks.mT
        is_read = (back >= 0) & is_click[:, None] | ~is_click[:, :, None]  # no row may be empty
        weights = weights.masked_fill(~is_read, -torch.inf).softmax(dim=2)
        return normalize(weights @ clicks + clicks @ self.transition.T, dim=2)

    def read(
        self, items: Tensor, clicks: Tensor, tables: Tables, temperature: float | Tensor,
        prior: Tensor | None = None,
    ) -> Reading:  # fmt: skip
        """Equations 1, 3 and 4, and the biases of equation 2.

        Parameters
        ----------
        items : int64 (B, L)
            Rows of the tables.
        clicks : (B, L, D)
            Their directions.
        tables : Tables
        temperature : float or Tensor ()
            T of equation 4: that of training, or the fitted one.
        prior : (B, K), optional
            Weights of the proxies before the first click, instead of ``w``.
        """
        c, is_click = self.config, items != PAD
        query = c.scale * self.short_term(dropout(clicks, c.dropout, self.training), is_click)
        # equation 3
        click = clicks @ self.proxies.T - tables.log_z
        click = (tables.log_popularity[items][..., None] + click) * is_click[..., None]
        # equation 4
        log_prior = self.log_weights.log_softmax(dim=0) if prior is None else prior.log()[:, None]
        addends = click - click.mean(dim=2, keepdim=True)  # small numbers: sums stay exact
        log_prior = torch.where(is_click, 1.0, temperature)[..., None] * log_prior
        evidence = log_prior + addends.cumsum(dim=1)
        bias = is_latest(items) * self.repeat_bias[steps_back(items).clamp(0, PLACES - 1)]
        return Reading(query, click, evidence, bias)

    def following(
        self, reading: Reading, items: Tensor, following: Tensor, vectors: Tensor, tables: Tables
    ) -> Tensor:
        """Equation 2: ``log p(i_{t+1} | i_1 … i_t, k)`` (B, L, K), 0 where nothing follows.

        ``items`` and ``following``, the item after each, are rows of the tables (B, L), and
        ``vectors`` (2B, L, D) the directions of both.
        """
        (clicks, after), query, scale = vectors.chunk(2), reading.query, self.config.scale
        real, pull, times = tables.directions[PAD + 1 :], tables.pull, tables.log_times
        log_z = at_clicks(
            lambda q: mixture.log_normalisers(q, pull, real, times), query, items != PAD
        )
        terms = mixture.bias_terms(query, pull, clicks, reading.bias, scale)
        log_z = mixture.with_bias(log_z, terms, pull, scale)
        repeats = items[:, None] == following[:, :, None]  # (B, L, L)
        logit: Tensor = torch.linalg.vecdot(query, after) + (reading.bias * repeats).sum(dim=2)
        return (logit[..., None] + after @ pull.T - log_z) * (following != PAD)[..., None]

    def loss(self, batch: SessionBatch) -> Loss:
        """Equation 6, summed over the batch and divided by the number of targets."""
        c, items, is_target = self.config, batch.items, batch.targets != PAD
        following = torch.cat([items[:, 1:], batch.targets[:, -1:]], dim=1) * (items != PAD)
        if self.sampler is None:
            tables = self.tables()
        else:
            sample, (items, following) = self.sampler.around(torch.stack([items, following]))
            tables = self._new_tables(sample)
        log_w = self.log_weights.log_softmax(dim=0)
        log_p, log_p_alone = items.new_zeros(2, dtype=log_w.dtype)
        for rows, length in by_length(batch.lengths):
            clicked, after, scored = (x[rows, -length:] for x in (items, following, is_target))
            both = torch.cat([clicked, after])
            vectors, directions = lookup(tables.directions, both.flatten())
            vectors, own = vectors.view(*both.shape, -1), tables._replace(directions=directions)
            reading = self.read(clicked, vectors.chunk(2)[0], own, c.temperature)
            likelihood = self.following(reading, clicked, after, vectors, own)
            posterior = (reading.evidence / c.temperature).log_softmax(dim=2)
            log_p = log_p + torch.logsumexp(posterior + likelihood, dim=2)[scored].sum()
            is_read = scored.flip(1).cumsum(1).flip(1)[..., None] > 0  # before a target
            alone = log_w + (reading.click * is_read).sum(dim=1)
            log_p_alone = log_p_alone + torch.logsumexp(alone, dim=1).sum()
        parts = {"next": -log_p / batch.n_targets, "general": -log_p_alone / batch.n_targets}
        total = parts["next"] + c.general_weight * parts["general"]
        return Loss(total, {k: v.detach() for k, v in parts.items()})

    @torch.no_grad()
    def answer(
        self, batch: SessionBatch, ends: Ends | None = None, **choice: Unpack[Choice]
    ) -> Answer:
        """Equation 5: log-probabilities of all items, and the most probable proxy.

        Items clicked already get ``repeat_level`` on top, see :meth:`calibrate`. An end at the
        padding just before a session asks for its first click.
        """
        items, reading = self._read(batch, choice.get("temperature"), cut=ends is None)
        if ends is None:
            row = torch.arange(len(items), device=items.device)
            ends = row, torch.full_like(row, items.shape[1] - 1)
        tables, begins = self.tables(), (items[ends] == PAD).nonzero()[:, 0]
        weights = self.weights(reading.evidence[ends], **choice)  # (R, K)
        query, bias, directions = reading.query, reading.bias, tables.directions
        terms = mixture.bias_terms(query, tables.pull, directions[items], bias, self.config.scale)
        tiles = mixture.log_mixture(query[ends], directions, weights, tables.by_proxy, terms[ends])
        if len(begins):  # equation 3
            share = weights[begins] * torch.exp(self.proxies.norm(dim=1) - tables.log_z)
            alone = (share @ mixture.exponentials(self.proxies, directions)).log_()
            put_rows(tiles, begins, alone + self.log_popularity)
        latest = is_latest(items)[ends]
        add_to(tiles, items[ends[0]] * latest, (bias[ends] + self.repeat_level) * latest)
        return Answer(tiles, self.choices_by(weights))

    def prior(self, sums: Tensor) -> Tensor:
        """Equation 7; see :meth:`ProxyModel.prior`."""
        weights = self.config.prior_strength * self.log_weights.softmax(dim=0) + sums
        return weights / weights.sum(dim=1, keepdim=True)

    # -- for explanations (ProxyModel) -----------------------------------------------------

    @torch.no_grad()
    def path(self, batch: SessionBatch) -> Tensor:
        """The posterior (B, L, K) after each click, 0 at the padding."""
        return cast(Tensor, self.trace(batch).posterior)

    @torch.no_grad()
    def trace(self, batch: SessionBatch, **choice: Unpack[Choice]) -> ProxyTrace:
        """See :meth:`ProxyModel.trace`; an addend is a log-likelihood, less its mean over K."""
        items, reading = self._read(batch, choice.get("temperature"))
        addends = reading.click - reading.click.mean(dim=2, keepdim=True)
        sums = addends.sum(dim=1)
        prior_logits = reading.evidence[:, -1] - sums
        prior_logits = prior_logits - prior_logits.mean(dim=1, keepdim=True)
        logits = prior_logits + sums
        weights = self.weights(logits, **choice)
        posterior = self.weights(reading.evidence.flatten(0, 1), None, choice.get("temperature"))
        return ProxyTrace(
            proxy_logits=logits, position_logits=addends, prior_logits=prior_logits,
            proxy_weights=weights, proxy=weights @ self.proxies,
            short_term=reading.query[:, -1] / self.config.scale,
            posterior=posterior.view_as(addends) * (items != PAD)[..., None],
        )  # fmt: skip

    @torch.no_grad()
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        """See :meth:`ProxyModel.replaced`; exact, and the same at each click."""
        tables, is_click = self.tables(), batch.items[0, -self.max_length :] != PAD
        addends = tables.directions[items] @ self.proxies.T - tables.log_z  # (n, K)
        return (addends - addends.mean(dim=1, keepdim=True))[:, None] * is_click[:, None]

    @torch.no_grad()
    def calibrate(self, valid: Sessions) -> None:
        """Fit ``temperature`` and ``repeat_level`` to validation sessions.

        Clicks of a new session are weaker evidence than those that were fitted: the temperature
        with the highest likelihood is taken. Training also makes new items too probable:
        ``repeat_level`` is added to all clicked items; the one with the best MRR@20 is taken.
        """
        drawn = np.linspace(0, len(valid) - 1, min(len(valid), CALIBRATED)).astype(int)
        sessions = valid.select(np.unique(drawn))
        self.temperature.fill_(likeliest_temperature(self._evidence_and_likelihood(sessions)))
        self.repeat_level.zero_()
        self.repeat_level.fill_(best_repeat_level(self, sessions))

    def _evidence_and_likelihood(self, sessions: Sessions) -> Iterator[tuple[Tensor, Tensor]]:
        """Evidence before targets and their log-likelihood, (n, K) each, batch by batch."""
        device = self.temperature.device
        for _, batch in whole_sessions(sessions, max_length=self.max_length, device=device):
            (items, reading), tables = self._read(batch), self.tables()
            following = pad(items[:, 1:], (0, 1)) * (items != PAD)
            vectors = tables.directions[torch.cat([items, following])]
            likelihood = self.following(reading, items, following, vectors, tables)
            yield reading.evidence[following != PAD], likelihood[following != PAD]

    @torch.no_grad()
    def portable(self) -> dict[str, Tensor | float | str | None]:
        """See :meth:`ProxyModel.portable`: the tables and numbers of equations 1 to 5."""
        tables = self.tables()
        return {
            "kind": "latent_proxy", "dim": self.config.embedding_dim, "items": tables.directions,
            "proxies": self.proxies, "strength": self.strength.item(),
            "log_weights": self.log_weights.log_softmax(dim=0), "log_z": tables.log_z,
            "places": self.places, "attention": self.attention if self.config.attention else None,
            "transition": self.transition, "repeat_bias": self.repeat_bias,
            "repeat_level": float(self.repeat_level), "scale": self.config.scale,
            "temperature": float(self.temperature), "max_length": self.max_length,
        }  # fmt: skip

    def _read(
        self, batch: SessionBatch, temperature: float | Tensor | None = None, *, cut: bool = True
    ) -> tuple[Tensor, Reading]:
        """The clicks (B, L) that are read, and :meth:`read` of them."""
        items, tables = batch.items[:, -self.max_length :] if cut else batch.items, self.tables()
        temperature = self.temperature if temperature is None else temperature
        return items, self.read(items, tables.directions[items], tables, temperature, batch.prior)

    def tables(self) -> Tables:
        """The :class:`Tables`; without gradients, cached until a parameter changes."""
        if torch.is_grad_enabled():
            return self._new_tables()
        sources = (self.items, self.proxies, self.strength, self.log_popularity)
        state = [(x.data_ptr(), x._version) for x in sources]
        if self._cached is None or self._cached[0] != state:
            tables = self._new_tables()
            by_proxy = mixture.exponentials(tables.pull, tables.directions)
            self._cached = state, tables._replace(by_proxy=by_proxy)
        return self._cached[1]

    def _new_tables(self, sample: Sample | None = None) -> Tables:
        items, popularity = self.items, self.log_popularity
        if sample is not None:  # only these rows get a gradient
            items = embedding(sample.items, items, padding_idx=PAD, sparse=True)
            popularity = popularity[sample.items]
        directions = unit_rows(items)
        times = None if sample is None else sample.log_times[PAD + 1 :]
        real, log_weights = directions[PAD + 1 :], popularity[PAD + 1 :]
        log_weights = log_weights if times is None else log_weights + times
        no_query = torch.zeros_like(directions[:1])  # in equation 3
        log_z = mixture.log_normalisers(no_query, self.proxies, real, log_weights)[0]
        pull, none = self.strength * self.proxies, directions[:0]
        return Tables(directions, popularity, pull, log_z, none, times)
