"""The interface of models with proxies, for the analyses, the explorer and the notebooks.

Such a model gives each session a weight for each of K *proxies*. A model that implements
:class:`ProxyModel` can be explained: which proxy a session follows, which clicks are evidence for
it, since which click it leads, and what would change it. Code above ``proxysr.models`` uses nothing
else of a model with proxies.

Dim letters are those of :mod:`proxysr.models.base`; L is at most ``max_length`` here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self, TypedDict, Unpack

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softmax

from proxysr.config import ConfigError, Settings, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels.sampling import SamplingConfig
from proxysr.kernels.tiles import side_by_side
from proxysr.models.base import Answer, Ends, LearnedModel
from proxysr.models.softmax import recent


class Choice(TypedDict, total=False):
    """Options of score, answer and trace that override how the model weighs the proxies.

    Attributes
    ----------
    force_proxy : int, int64 (B,) or float (B, K), optional
        The proxy to use instead of the model's choice, or the weights of all proxies.
    temperature : float, optional
        Used instead of the model's temperature.
    """

    force_proxy: int | Tensor | None
    temperature: float | Tensor | None


class ProxyTrace(NamedTuple):
    """The intermediate results behind the scores of a batch, from one forward pass.

    K is 0 in a variant without proxies; a vector that a variant leaves out is zero.

    Attributes
    ----------
    proxy_logits : (B, K)
        Logits of the proxies: ``prior_logits + position_logits.sum(dim=1)``.
    position_logits : (B, L, K)
        What each click adds to them, exactly; 0 at the padding.
    prior_logits : (B, K)
        Their value before the first click, such as the bias of a known user.
    proxy_weights : (B, K)
        ``softmax(proxy_logits / temperature)``, or all weight on a forced proxy.
    proxy, short_term : (B, D)
        The general and the short-term interest.
    normal, projected : (B, D), optional
        ProxySR only: ``v``, and the short-term interest on the hyperplane of ``v``.
    posterior : (B, L, K), optional
        ``latent_proxy`` only: the weights after each click, 0 at the padding.
    """

    proxy_logits: Tensor
    position_logits: Tensor
    prior_logits: Tensor
    proxy_weights: Tensor
    proxy: Tensor
    short_term: Tensor
    normal: Tensor | None = None
    projected: Tensor | None = None
    posterior: Tensor | None = None


LARGE_CATALOGUE = 10_000
"""Items above which a catalogue is large."""
SESSIONS_EACH = 20
"""On small logs, the default number of proxies is one for so many training sessions."""


class ProxyConfig(SamplingConfig):
    """Options of models with proxies; defaults of some differ where the catalogue is large."""

    for_large_catalogues: ClassVar[Mapping[str, float]] = {}
    """Values of fields that are not named, where there are more than 10,000 items."""

    def for_catalogue(self, n_items: int) -> Self:
        """These settings for so many items."""
        if n_items <= LARGE_CATALOGUE:
            return self
        named = self.model_fields_set
        others = {k: v for k, v in self.for_large_catalogues.items() if k not in named}
        return self.replace(**others)


class ProxyModel(LearnedModel):
    """A model that gives each session weights of K proxies.

    ``score``, ``answer`` and ``trace`` take the options of :class:`Choice`.

    Attributes
    ----------
    items : (V, D)
        Item embeddings.
    proxies : (K, D)
    temperature : () buffer
        The weights of the proxies are ``softmax(proxy_logits / temperature)``.
    """

    items: Tensor
    proxies: Tensor
    temperature: Tensor
    max_proxies: ClassVar[int] = 100
    """Default number K of proxies; less on small logs."""

    # -- to implement in a model -----------------------------------------------------------

    @abstractmethod
    def answer(
        self, batch: SessionBatch, ends: Ends | None = None, **choice: Unpack[Choice]
    ) -> Answer:
        """Scores and choices in one pass; see :meth:`SessionModel.answer`.

        Raises
        ------
        ConfigError
            If an option of :class:`Choice` is given and the variant chooses no proxy.
        """

    @abstractmethod
    def trace(self, batch: SessionBatch, **choice: Unpack[Choice]) -> ProxyTrace:
        """The intermediate results of a batch; see :class:`ProxyTrace`."""

    @abstractmethod
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        """What item n would add to the logits in place of click l, (n, L, K).

        With the trace of the batch, ``proxy_logits - position_logits[0] + replaced`` are the
        logits (n, L, K) if click l were item n. They may be estimates: a model may ignore that a
        replaced click changes what later clicks add. For exact logits, call :meth:`weigh` with
        the edited session.

        Parameters
        ----------
        batch : SessionBatch
            One session.
        items : int64 (n,)
        """

    @property
    def n_proxies(self) -> int:
        """Number K of proxies."""
        n_proxies: int | None = getattr(self.config, "n_proxies", None)
        return n_proxies or self.max_proxies

    def proxy_vectors(self) -> Tensor:
        """The vectors (K, D) of the proxies."""
        return self.proxies

    @property
    def chooses(self) -> bool:
        """Whether sessions choose among proxies; False for variants without proxies."""
        return self.n_proxies > 1

    @property
    def represents_by_proxies(self) -> bool:
        """Whether :meth:`represent` mixes :meth:`proxy_vectors`, so that one map can show both."""
        return True

    def portable(self) -> dict[str, Tensor | float | str | None] | None:
        """Arrays and numbers to compute scores outside Python; None if a model has no such form.

        The entry ``kind`` names the equations that the receiver must implement.
        """
        return None

    def prior(self, sums: Tensor) -> Tensor:
        """:attr:`SessionBatch.prior` (B, K) from earlier sessions, if the model ``uses_history``.

        Parameters
        ----------
        sums : (B, K)
            Sum of the proxy weights of a user's earlier sessions; each session's weights sum to 1.
        """
        raise ConfigError(f"{type(self).__name__} does not use earlier sessions.")

    # -- derived from these ----------------------------------------------------------------

    @torch.no_grad()
    def score(self, batch: SessionBatch, **choice: Unpack[Choice]) -> Tensor:
        """Scores (B, V) of each item, -inf for the padding; see :meth:`SessionModel.score`."""
        return side_by_side(self.answer(batch, **choice).tiles, self.n_items + 1)

    @torch.no_grad()
    def weigh(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """Logits and weights of the proxies, (B, K) both, as in :meth:`trace`."""
        trace = self.trace(batch)
        return trace.proxy_logits, trace.proxy_weights

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The proxy (B, D) of each session; without proxies, the short-term interest."""
        trace = self.trace(batch)
        return trace.proxy if self.chooses else trace.short_term

    @torch.no_grad()
    def path(self, batch: SessionBatch) -> Tensor:
        """Weights (B, L, K) of the proxies after each click, 0 at the padding.

        The last column equals the weights of :meth:`weigh`. Here, each prefix is weighed by itself;
        of a session longer than ``max_length``, all are of its latest clicks, where an evaluation
        reads the latest ``max_length`` clicks before each target.
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
        """``proxy`` with the largest weight and its ``probability``, (B,) each, if it has any."""
        return self.choices_by(self.weigh(batch)[1]) if self.chooses else {}

    def choices_by(self, weights: Tensor) -> dict[str, Tensor]:
        """:meth:`choices` from weights (B, K)."""
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
        """Weights (B, K) from logits (B, K); for the options see :class:`Choice`."""
        if not self.chooses and (force_proxy is not None or temperature is not None):
            raise ConfigError(
                f"This {type(self).__name__} chooses no proxies: force_proxy and temperature have "
                "no effect; leave them out."
            )
        if force_proxy is None:
            return softmax(logits / (self.temperature if temperature is None else temperature), 1)
        forced = torch.as_tensor(force_proxy, device=logits.device)
        if forced.dim() < 2:
            forced = one_hot(forced.expand(len(logits)), logits.shape[1])
        return forced.to(logits.dtype)

    # -- number of proxies -----------------------------------------------------------------

    @classmethod
    def resolved(cls, config: Settings, train: Sessions) -> Settings:
        """The settings, with defaults that fit the catalogue and the number of sessions.

        Fields that were not named may depend on the catalogue (:class:`ProxyConfig`); if
        ``n_proxies`` is None, it is :meth:`proxies_for` the training sessions.
        """
        if isinstance(config, ProxyConfig):
            config = config.for_catalogue(int(train.items.max(initial=0)))
        if getattr(config, "n_proxies", 0) is not None:
            return config
        return config.replace(n_proxies=cls.proxies_for(len(train)))

    @classmethod
    def proxies_for(cls, n_sessions: int) -> int:
        """Default number of proxies: one for 20 training sessions, from 2 to ``max_proxies``."""
        return min(cls.max_proxies, max(2, n_sessions // SESSIONS_EACH), max(1, n_sessions))

    def prepare(self, train: Sessions) -> None:
        """Raise ``ConfigError`` if there are fewer training sessions than proxies."""
        require(
            not self.chooses or self.n_proxies <= len(train),
            f"n_proxies is {self.n_proxies}, but there are only {len(train)} training session(s) "
            f"to learn them from. Take fewer, such as {self.proxies_for(len(train))}.",
        )
