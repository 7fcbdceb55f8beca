"""ProxySR: each anonymous session chooses a proxy for the interest that anonymity hides.

Idea
----
A session is short and its user unknown. K learnt *proxies* stand in for the
general interests that users may have. A selector looks at the whole session and
chooses one (nearly hard, by an annealed softmax); an encoder reads the short-term
interest from the order of the clicks. Each proxy brings a hyperplane; the short-term
interest and the items are projected on it, and items are ranked by their distance to
proxy + projected short-term interest.

Reference
---------
Junsu Cho, SeongKu Kang, Dongmin Hyun, Hwanjo Yu: Unsupervised Proxy Selection for
Session-based Recommender Systems. SIGIR 2021. https://doi.org/10.1145/3404835.3462958

Where the equations are
-----------------------
1-3, 6 (normal), 10: :meth:`ProxySR.select`; 4-5: :mod:`proxysr.models.short_term`;
6-7: :mod:`proxysr.models.projected`; 8: :mod:`proxysr.models.hinge`;
9: :meth:`ProxySR.loss`; annealing: :meth:`ProxySR.start_epoch`; the constraints on tables:
:mod:`proxysr.models.unit_ball`.

Differences from the paper
--------------------------
What the paper leaves open, or states differently from the program its numbers come from, is
an option of :class:`ProxySRConfig`, in a file of its own with the ablations of Table 5; the
default follows the program where that does not collapse on other logs, which is said there.
With the defaults, the loss uses the 1,000 closest items of each position and means instead of
sums; positions count from the end in the selector and from the start in the encoder; a training
session chooses its proxy without its last click. The norms in equations 2, 6 and 9 are kept
above 1e-12, which the paper need not mention. With ``sampled_negatives``, the closest items are
searched among those drawn for the batch (:mod:`proxysr.models.sampling`), which neither the
paper nor the program does.

Differences from the authors' program
-------------------------------------
- Attention masks the padding only. Theirs also silences the first column of a batch, so
  that a session's scores depend on the longest session beside it.
- A session of more than ``max_length`` clicks is read by its latest clicks, in training and in
  evaluation. Theirs trains on the first 50 and leaves longer prefixes out of the evaluation.
- Constraints are applied after every step, to all rows that it may have moved; theirs rewrites
  rows while it looks them up. Both leave every row that is read inside the unit ball.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from proxysr.config import require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.models.base import Loss
from proxysr.models.hinge import Hinge, hardest_negatives, hinge, hinge_over_all
from proxysr.models.negatives import Searched, look_up
from proxysr.models.projected import ProjectedSearch, Queries, closeness_to_all, length, project
from proxysr.models.proxy_model import ProxyModel, ProxyTrace
from proxysr.models.proxysr_config import ProxySRConfig
from proxysr.models.sampling import ItemSampler
from proxysr.models.short_term import ShortTermEncoder, at_clicks
from proxysr.models.tiles import side_by_side
from proxysr.models.unit_ball import penalty, project_on_sphere, project_tables


class Selection(NamedTuple):
    """What the sessions of a batch chose.

    ``hidden`` (B, L, H) are the per-click terms of equation 3 before W2, zero at the padding.
    What a variant leaves out is of size 0 (``hidden``, ``logits``, ``weights``) or zero.
    """

    hidden: Tensor
    logits: Tensor
    weights: Tensor
    proxy: Tensor
    normal: Tensor


class ProxySR(ProxyModel):
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : ProxySRConfig, optional
    """

    Config = ProxySRConfig
    config: ProxySRConfig
    learning_rate = 5e-3

    def __init__(self, n_items: int, config: ProxySRConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d, k = c.embedding_dim, self.n_proxies
        hidden = (d + k) // 2
        self.max_length = c.max_length
        self.schedule_epochs = c.anneal_epochs if c.chooses else 0
        # all positions of a training session share its proxy and its hyperplane
        self.peeks_in_training = c.has_proxy or c.projection
        self.data_parallel = c.reduction == "mean"
        require(
            self._n_negatives() > 0,
            "The only item is every target: with target_is_negative=False no negative is left.",
        )

        def table(rows: int, columns: int = d, std: float = c.init_std) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns) * std)

        self.items = table(n_items + 1)
        if c.selects_proxy:
            self.proxies = table(k)
        if c.projection:
            self.normals = table(k)
        if c.has_proxy or c.projection:
            self.proxy_positions = table(c.max_length + 1)
        if c.has_short_term:
            self.short_term_positions = table(c.max_length)
        if c.chooses:
            self.w1 = table(d, hidden, c.init_std_selector)
            self.w2 = table(hidden, k, c.init_std_selector)
        if c.has_short_term:
            self.encoder = self._new_encoder()
        if c.proxy_by == "encoding":
            self.proxy_encoder = self._new_encoder()
        self.n_known_users = c.n_users
        self.user_bias = nn.Parameter(torch.zeros(c.n_users, k)) if c.n_users else None
        self.dropout = nn.Dropout(c.dropout)
        self.register_buffer("temperature", torch.tensor(float(c.temperature_start)))
        self.search = ProjectedSearch()
        self.sampler = ItemSampler(n_items, c) if c.sampled_negatives else None
        with torch.no_grad():
            self.items[PAD] = 0
        if c.projection:
            project_on_sphere(self.normals)
        self.after_step()

    def prepare(self, train: Sessions) -> None:
        """Count the items, if negatives are drawn by how often they are clicked."""
        super().prepare(train)
        if self.sampler is not None:
            self.sampler.count(train)

    # -- equations -------------------------------------------------------------------------

    def select(
        self,
        clicks: Tensor,
        is_click: Tensor,
        users: Tensor | None,
        *,
        temperature: float | Tensor | None = None,
        force_proxy: int | Tensor | None = None,
    ) -> Selection:
        """Equations 1-3, 6 and 10: which proxy and which hyperplane the sessions choose.

        Parameters
        ----------
        clicks : (B, L, D)
            Item embeddings of the clicks.
        is_click : bool (B, L)
            False at the padding.
        users : int64 (B,), optional
        temperature, force_proxy : optional
            See :meth:`score`.
        """
        c = self.config
        proxy = normal = clicks.new_zeros(len(clicks), c.embedding_dim)
        hidden, logits, weights = clicks[:, :, :0], proxy[:, :0], proxy[:, :0]
        if c.has_proxy or c.projection:
            x = clicks + self.proxy_positions[self._positions(is_click, c.proxy_positions)]
        if c.chooses:
            hidden = at_clicks(
                lambda some: leaky_relu(some @ self.w1, 0.1), self.dropout(x), is_click
            )
            logits = hidden.sum(dim=1) / is_click.sum(dim=1, keepdim=True) @ self.w2
            logits = logits + self._known_user_bias(users, logits)
            weights = self.weights(logits, temperature, force_proxy)
        else:
            self.check_asked(force_proxy, temperature)
        if c.selects_proxy:
            mixed = weights @ self.proxies
            norm = weights @ torch.linalg.vector_norm(self.proxies, dim=1, keepdim=True)
            proxy = mixed * (norm / length(mixed))
        elif c.has_proxy:
            proxy = self.proxy_encoder(x, is_click)
        if c.projection:
            mixed_normal = weights @ self.normals
            normal = mixed_normal / length(mixed_normal)
        return Selection(hidden, logits, weights, proxy, normal)

    def short_term(
        self, clicks: Tensor, is_click: Tensor, ends: tuple[Tensor, ...] | None = None
    ) -> Tensor:
        """Equations 4-5: interest (R, D) after R clicks.

        Parameters
        ----------
        clicks, is_click
            See :meth:`select`.
        ends : int64 (R,) twice, optional
            Row and column of the R clicks; the last one of each row if left out.
        """
        if not self.config.has_short_term:
            return clicks.new_zeros(len(clicks if ends is None else ends[0]), clicks.shape[2])
        count_from = self.config.short_term_positions
        if count_from == "end" and ends is not None:
            # A click's position differs from prefix to prefix: one row for each of them.
            n = clicks.shape[1]
            clicks = pad(clicks, (0, 0, n - 1, 0)).unfold(1, n, 1)[ends].mT
            return self.short_term(clicks, pad(is_click, (n - 1, 0)).unfold(1, n, 1)[ends])
        x = clicks + self.short_term_positions[self._positions(is_click, count_from)]
        return self.encoder(x, is_click, ends)  # type: ignore[no-any-return]

    def start_epoch(self, epoch: int) -> None:
        """Anneal: ``tau = max(T0 (TE / T0)^(epoch / E), TE)``."""
        c = self.config
        share = 1.0 if c.anneal_epochs == 0 else min(epoch / c.anneal_epochs, 1.0)
        start, end = c.temperature_start, c.temperature_end
        self.temperature.fill_(start * (end / start) ** share)

    def after_step(self) -> None:
        """Project embeddings into the unit ball and normals onto the unit sphere."""
        if self.config.constraints == "project":
            project_tables(*self._constrained())

    # -- the contract ----------------------------------------------------------------------

    @property
    def n_proxies(self) -> int:
        """Number K of proxies."""
        return self.config.n_proxies or self.most_proxies

    @property
    def chooses(self) -> bool:
        """Whether sessions choose among K proxies, hyperplanes, or both."""
        return self.config.chooses

    @property
    def represents_by_proxies(self) -> bool:
        """Whether :meth:`represent` gives what is chosen among the proxies."""
        return self.config.selects_proxy

    def proxy_vectors(self) -> Tensor:
        """The proxies (K, D); in a variant that chooses hyperplanes without them, the normals."""
        return self.proxies if self.config.selects_proxy else self.normals

    def loss(self, batch: SessionBatch) -> Loss:
        """Equations 8 and 9 over all targets of the batch."""
        c = self.config
        session, column = ends = (batch.targets != PAD).nonzero(as_tuple=True)
        targets = batch.targets[session, column]
        clicked = batch.items
        if c.proxy_from == "session" and batch.last_items is not None:
            clicked = torch.cat([clicked, batch.last_items[:, None]], dim=1)
        drawn = None if self.sampler is None else self.sampler.draw()
        clicks, target, searched = look_up(self.items, clicked, targets, drawn)
        is_click = clicked != PAD
        chosen = self.select(clicks, is_click, batch.users)
        n = batch.items.shape[1]
        short_term = self.short_term(clicks[:, :n], is_click[:, :n], ends)
        normal = chosen.normal[session]
        query = chosen.proxy[session] + project(short_term, normal)
        distance = (query - project(target, normal)).square().sum(dim=1)
        orthog = (chosen.normal * chosen.proxy).sum(dim=1).abs() / length(chosen.proxy).squeeze(1)
        queries = self._queries(project(query, normal), chosen.normal, session)
        terms = self._hinge(searched, queries)
        n_negatives = self._n_negatives()
        mean = c.reduction == "mean"
        n_targets, n_sessions = (batch.n_targets, batch.n_sessions) if mean else (1, 1)
        parts = {
            "hinge": terms.total.sum() / n_targets / (n_negatives if mean else 1),
            "dist": distance.sum() / n_targets,
            "orthog": orthog.sum() / n_sessions,
        }
        total = parts["hinge"] + c.lambda_dist * parts["dist"]
        if c.lambda_orthog:
            total = total + c.lambda_orthog * parts["orthog"]
        if c.constraints == "penalty":
            parts["norm"] = penalty(*self._constrained())
            total = total + c.lambda_norm * parts["norm"]
        parts["violated"] = terms.violated.sum() / batch.n_targets / n_negatives
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def score(
        self,
        batch: SessionBatch,
        *,
        force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> Tensor:
        """Minus the distance (B, V) of equation 7 to every item, -inf for the padding.

        With ``similarity="dot"``, the dot products instead.
        """
        under = self._choose(batch, force_proxy=force_proxy, temperature=temperature)
        tiles, norm = self._closeness(*under)
        return side_by_side(tiles, self.n_items + 1) - norm

    @torch.no_grad()
    def score_tiles(self, batch: SessionBatch) -> Tensor:
        """The same and the query's ``||q||^2``, a tile of items at a time."""
        return self._closeness(*self._choose(batch))[0]

    def _closeness(
        self, clicks: Tensor, is_click: Tensor, chosen: Selection
    ) -> tuple[Tensor, Tensor]:
        query = chosen.proxy + project(self.short_term(clicks, is_click), chosen.normal)
        own = torch.arange(len(query), device=query.device)
        queries = self._queries(project(query, chosen.normal), chosen.normal, own)
        norm = query.square().sum(dim=1, keepdim=True)
        return closeness_to_all(self.items, queries), queries.norms * norm

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The proxy vector (B, D) of each session, as in Figure 4; if it has none, ``s``."""
        clicks, is_click, chosen = self._choose(batch)
        return chosen.proxy if self.config.has_proxy else self.short_term(clicks, is_click)

    @torch.no_grad()
    def weigh(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """``alpha`` and ``pi``, (B, K) both, as in :meth:`trace` but without the rest of it."""
        chosen = self._choose(batch)[2]
        return chosen.logits, chosen.weights

    @torch.no_grad()
    def trace(
        self,
        batch: SessionBatch,
        *,
        force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> ProxyTrace:
        """Everything between clicks and scores; parameters are those of :meth:`score`."""
        clicks, is_click, chosen = self._choose(
            batch, force_proxy=force_proxy, temperature=temperature
        )
        short_term = self.short_term(clicks, is_click)
        return ProxyTrace(
            proxy_logits=chosen.logits,
            position_logits=self._addends(chosen, is_click),
            prior_logits=self._known_user_bias(batch.users, chosen.logits),
            proxy_weights=chosen.weights,
            proxy=chosen.proxy,
            short_term=short_term,
            normal=chosen.normal,
            projected=project(short_term, chosen.normal),
        )

    @torch.no_grad()
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        """The addends (n, L, K) that items (n,) would have in place of each click; they are exact.

        A session that repeats an item has the addends of that item at all positions.
        """
        repeated = batch.items.new_zeros(1).where(batch.items == PAD, items[:, None])
        _, is_click, chosen = self._choose(batch._replace(items=repeated, users=None))
        return self._addends(chosen, is_click)

    # -- pieces ----------------------------------------------------------------------------

    def _choose(
        self, batch: SessionBatch, *, force_proxy: int | Tensor | None = None,
        temperature: float | Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Selection]:  # fmt: skip
        """Embedded clicks of a batch, which are clicks, and what the sessions chose by them."""
        items = batch.items[:, -self.max_length :]
        clicks, is_click = self.items[items], items != PAD
        chosen = self.select(
            clicks, is_click, batch.users, force_proxy=force_proxy, temperature=temperature
        )
        return clicks, is_click, chosen

    def _addends(self, chosen: Selection, is_click: Tensor) -> Tensor:
        """What each click adds to the logits, (B, L, K)."""
        if not self.config.chooses:
            return chosen.hidden
        return chosen.hidden / is_click.sum(dim=1)[:, None, None] @ self.w2

    def _queries(self, points: Tensor, normals: Tensor, session: Tensor) -> Queries:
        """What items are compared with, so that closer ones score higher.

        Parameters are those of :class:`~proxysr.models.projected.Queries`.
        """
        c = self.config
        if c.projection and c.similarity == "distance":
            return Queries(points, normals, session)
        whole_space = normals.new_zeros(1, normals.shape[1])
        if c.similarity == "distance":
            return Queries(points, whole_space, torch.zeros_like(session))
        return Queries(points / 2, whole_space, torch.zeros_like(session), norms=False)

    def _hinge(self, searched: Searched, queries: Queries) -> Hinge:
        c, (items, targets, _) = self.config, searched
        if c.negatives == "all":
            return hinge_over_all(
                items, queries, targets,
                margin=c.margin, target_is_negative=c.target_is_negative,
            )  # fmt: skip
        negatives = hardest_negatives(
            self.search, searched, queries,
            k=self._n_negatives(), target_is_negative=c.target_is_negative,
            memory=c.search_memory_mb * 2**20,
        )  # fmt: skip
        return hinge(items, queries, negatives, c.margin)

    def _n_negatives(self) -> int:
        available = self.n_items - (not self.config.target_is_negative)
        wanted = available if self.config.negatives == "all" else self.config.n_negatives
        return min(wanted, available)

    def _known_user_bias(self, users: Tensor | None, logits: Tensor) -> Tensor:
        if self.user_bias is None or users is None:
            return torch.zeros_like(logits)
        known = (users >= 0) & (users < self.config.n_users)
        return self.user_bias[users * known] * known[:, None]

    def _positions(self, is_click: Tensor, count_from: Literal["start", "end"]) -> Tensor:
        """0-based position of each click from one end of its session, (B, L) or (L,)."""
        if count_from == "start":
            return (is_click.cumsum(dim=1) - 1).clamp(min=0)
        return torch.arange(is_click.shape[1] - 1, -1, -1, device=is_click.device)

    def _constrained(self) -> tuple[list[Tensor], Tensor | None]:
        names = ("items", "proxies", "proxy_positions", "short_term_positions")
        tables = [getattr(self, name) for name in names if hasattr(self, name)]
        return tables, self.normals if self.config.projection else None

    def _new_encoder(self) -> ShortTermEncoder:
        c = self.config
        encoder = ShortTermEncoder(c.embedding_dim, c.dropout)
        for weight in encoder.parameters():
            nn.init.normal_(weight, std=c.init_std) if weight.ndim == 2 else nn.init.zeros_(weight)
        return encoder
