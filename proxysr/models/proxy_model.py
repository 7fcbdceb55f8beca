"""What every model with proxies is to the analyses, the explorer and the notebooks.

Each session is for one of K *proxies*, or for several of them by weight. Whatever a model is
beside that, one that fills in :class:`ProxyModel` can be explained: which proxy a session is for,
which clicks speak for it, since which click, and what would change it. Above ``proxysr.models``,
nothing knows more of a model with proxies than this.

Dim letters are those of :mod:`proxysr.models.base`; L counts the clicks of the longest session
that are read, at most ``max_length``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softmax

from proxysr.config import ConfigError, Settings, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels.tiles import side_by_side
from proxysr.models.base import Answer, Ends, LearnedModel
from proxysr.models.softmax import recent


class Choice(TypedDict, total=False):
    """How to choose the proxy, if not as the model does: options of score, answer and trace.

    Attributes
    ----------
    force_proxy : int, int64 (B,) or float (B, K), optional
        Proxy to take in place of what the clicks say, or the weights of all proxies.
    temperature : float, optional
        Temperature to weigh proxies at in place of the model's.
    """

    force_proxy: int | Tensor | None
    temperature: float | Tensor | None


class ProxyTrace(NamedTuple):
    """All that led to the scores of a batch, from the same forward pass.

    K is 0 in a variant that chooses nothing; a vector that a variant leaves out is zero.

    Attributes
    ----------
    proxy_logits : (B, K)
        How much a session is for each proxy: ``prior_logits + position_logits.sum(dim=1)``.
    position_logits : (B, L, K)
        The exact addends of each click, 0 at the padding.
    prior_logits : (B, K)
        What is known before the first click, such as the bias of a known user.
    proxy_weights : (B, K)
        ``softmax(proxy_logits / temperature)``, or all weight on a forced proxy.
    proxy, short_term : (B, D)
        The general and the short-term interest.
    normal, projected : (B, D), optional
        ProxySR only: ``v``, and the short-term interest on the hyperplane of ``v``.
    """

    proxy_logits: Tensor
    position_logits: Tensor
    prior_logits: Tensor
    proxy_weights: Tensor
    proxy: Tensor
    short_term: Tensor
    normal: Tensor | None = None
    projected: Tensor | None = None


SESSIONS_EACH = 20
"""Training sessions for each proxy, where a log is too small for more and no number is named."""


class ProxyModel(LearnedModel):
    """A model whose sessions are for proxies.

    ``score``, ``answer`` and ``trace`` take the options of :class:`Choice`.

    Attributes
    ----------
    items : (V, D)
        Item embeddings.
    proxies : (K, D)
    temperature : () buffer
        How softly proxies are weighed: their weights are ``softmax(proxy_logits / temperature)``.
    """

    items: Tensor
    proxies: Tensor
    temperature: Tensor
    most_proxies: ClassVar[int] = 100
    """Number K of proxies if the settings name none, and the log is not too small for it."""

    # -- what a model fills in -------------------------------------------------------------

    @abstractmethod
    def answer(
        self, batch: SessionBatch, ends: Ends | None = None, **choice: Unpack[Choice]
    ) -> Answer:
        """Scores and choices in one pass; see :meth:`SessionModel.answer`.

        Raises
        ------
        ConfigError
            If an option of :class:`Choice` is given, and the variant chooses no proxy.
        """

    @abstractmethod
    def trace(self, batch: SessionBatch, **choice: Unpack[Choice]) -> ProxyTrace:
        """Everything between clicks and scores."""

    @abstractmethod
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        """Addends (n, L, K) that other items would have in place of each click.

        With the trace of the batch, ``proxy_logits - position_logits[0] + replaced`` are the
        logits (n, L, K) if click l were item n. A model may leave out what a replaced click
        changes about the addends of later ones, so that this estimates them: who needs the
        truth weighs the edited session.

        Parameters
        ----------
        batch : SessionBatch
            One session.
        items : int64 (n,)
        """

    @property
    def n_proxies(self) -> int:
        """Number K of proxies."""
        named: int | None = getattr(self.config, "n_proxies", None)
        return named or self.most_proxies

    def proxy_vectors(self) -> Tensor:
        """The vectors (K, D) that sessions choose among."""
        return self.proxies

    @property
    def chooses(self) -> bool:
        """Whether there are proxies to be for; False for variants that have none."""
        return True

    @property
    def represents_by_proxies(self) -> bool:
        """Whether :meth:`represent` mixes :meth:`proxy_vectors`, so that one map can show both."""
        return True

    def portable(self) -> dict[str, Tensor | float | str | None] | None:
        """All that answers need, to be computed elsewhere; None of a model that can't travel.

        ``kind`` names the equations, which who takes it along has to know.
        """
        return None

    def prior(self, sums: Tensor) -> Tensor:
        """:attr:`SessionBatch.prior` (B, K) of people, of a model that ``uses_history``.

        Parameters
        ----------
        sums : (B, K)
            Proxy weights of each person's earlier sessions, summed up: 1 a session.
        """
        raise ConfigError(f"{type(self).__name__} makes nothing of earlier sessions.")

    # -- what follows from it --------------------------------------------------------------

    @torch.no_grad()
    def score(self, batch: SessionBatch, **choice: Unpack[Choice]) -> Tensor:
        """Scores (B, V) of each item, -inf for the padding; see :meth:`SessionModel.score`."""
        return side_by_side(self.answer(batch, **choice).tiles, self.n_items + 1)

    @torch.no_grad()
    def weigh(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """``proxy_logits`` and ``proxy_weights`` of the trace, (B, K) both."""
        trace = self.trace(batch)
        return trace.proxy_logits, trace.proxy_weights

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The proxy (B, D) of each session; where none is chosen, the short-term interest."""
        trace = self.trace(batch)
        return trace.proxy if self.chooses else trace.short_term

    @torch.no_grad()
    def path(self, batch: SessionBatch) -> Tensor:
        """Weights (B, L, K) of the proxies after each click that is read, 0 at the padding.

        The last column is what :meth:`weigh` gives. Here, each prefix is weighed by itself.
        """
        batch = recent(batch, self.max_length)
        n = batch.items.shape[1]
        path = self.weigh(batch)[1][:, None].repeat(1, n, 1)
        for column in range(n - 1):
            row = (batch.items[:, column] != PAD).nonzero().squeeze(1)
            path[:, column] = 0
            if len(row):
                clicked = batch.rows(row)
                prefix = clicked._replace(
                    items=clicked.items[:, : column + 1],
                    lengths=clicked.lengths - (n - 1 - column),
                    targets=clicked.targets[:, : column + 1],
                )
                path[row, column] = self.weigh(prefix)[1]
        return path

    @torch.no_grad()
    def choices(self, batch: SessionBatch) -> dict[str, Tensor]:
        """The proxy that each session gives most weight to, and that weight; if it chooses one."""
        return self.choices_by(self.weigh(batch)[1]) if self.chooses else {}

    def choices_by(self, weights: Tensor) -> dict[str, Tensor]:
        """The same by weights (B, K)."""
        if not self.chooses:
            return {}
        probability, proxy = weights.max(dim=1)
        return {"proxy": proxy, "probability": probability}

    def weights(
        self,
        logits: Tensor,
        force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> Tensor:
        """Weights (B, K) by logits (B, K), or as a :class:`Choice` has them."""
        if not self.chooses and (force_proxy is not None or temperature is not None):
            raise ConfigError(
                f"This {type(self).__name__} chooses no proxies: force_proxy and temperature have "
                "nothing to act on; leave them out."
            )
        if force_proxy is None:
            return softmax(logits / (self.temperature if temperature is None else temperature), 1)
        forced = torch.as_tensor(force_proxy, device=logits.device)
        if forced.dim() < 2:
            forced = one_hot(forced.expand(len(logits)), logits.shape[1])
        return forced.to(logits.dtype)

    # -- how many there are ----------------------------------------------------------------

    @classmethod
    def resolved(cls, config: Settings, train: Sessions) -> Settings:
        """The same settings; if ``n_proxies`` is None, as many as the training sessions are for."""
        if getattr(config, "n_proxies", 0) is not None:
            return config
        return config.replace(n_proxies=cls.proxies_for(len(train)))

    @classmethod
    def proxies_for(cls, n_sessions: int) -> int:
        """How many proxies so many training sessions are for: at least 2, if there are as many."""
        return min(cls.most_proxies, max(2, n_sessions // SESSIONS_EACH), max(1, n_sessions))

    def prepare(self, train: Sessions) -> None:
        """Refuse fewer training sessions than there are proxies.

        Raises
        ------
        ConfigError
            If so.
        """
        require(
            not self.chooses or self.n_proxies <= len(train),
            f"n_proxies is {self.n_proxies}, but there are only {len(train)} training session(s) "
            f"to tell proxies apart by. Take fewer, such as {self.proxies_for(len(train))}.",
        )
