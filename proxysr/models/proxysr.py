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
1-3, 6 (normal), 10: :meth:`ProxySR.select`; 4-5: :class:`ShortTermEncoder`; 6: :func:`project`;
7: :func:`distance`; 8: :meth:`ProxySR.terms`; 9: :meth:`ProxySR.loss`.
:mod:`proxysr.models.proxysr_variants` adds options: the ablations of Table 5, and the paper's
statement where its authors' program does something else.

Differences from the paper
--------------------------
The paper leaves points open, and states some differently from the program that its numbers come
from. Each is an option of :class:`ProxySRConfig`; its default follows the program unless that
collapses on other logs (see there). With the defaults, the loss uses means instead of sums, over
the closest items of each target; positions count from the end in the selector and from the start
in the encoder; a training session chooses its proxy without its last click. Norms in equations 2,
6 and 9 are kept above 1e-12. With ``sampled_negatives``, the closest items are searched among those
drawn for the batch (:mod:`proxysr.kernels.sampling`), which is in neither.

Differences from the authors' program
-------------------------------------
- Attention masks the padding only. Theirs also silences the first column of a batch, so
  that a session's scores depend on the longest session beside it.
- Of a session with more than ``max_length`` clicks, the latest are read, in training and in
  evaluation. Theirs trains on the first 50 and leaves longer prefixes out of the evaluation.
- Constraints are applied after every step, to all rows that it may have moved; theirs rewrites
  rows when it looks them up. In both, every row that is read is inside the unit ball.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, leaky_relu, normalize, relu, softmax

from proxysr.config import Settings, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels.hinge import Candidates, Hinge, hinge_over_hardest
from proxysr.kernels.hyperplane import ProjectedSearch, Queries, closeness_to_all
from proxysr.kernels.rows import at_clicks, lookup, project_into_ball
from proxysr.kernels.sampling import ItemSampler, with_targets
from proxysr.kernels.tiles import side_by_side
from proxysr.models.base import Answer, Ends, Loss
from proxysr.models.proxy_model import Choice, ProxyModel, ProxyTrace
from proxysr.models.proxysr_config import ProxySRConfig
from proxysr.models.softmax import recent, targets_of


def length(x: Tensor) -> Tensor:
    """Euclidean length of the last dimension, kept, and at least 1e-12."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norm.clamp(min=1e-12)


def project(x: Tensor, normal: Tensor) -> Tensor:
    """Equation 6: ``x`` on the hyperplane of the unit vector ``normal``; (..., D) both."""
    return x - (x * normal).sum(dim=-1, keepdim=True) * normal


def distance(query: Tensor, normal: Tensor, items: Tensor) -> Tensor:
    """Equation 7: distances (...) of ``query = p + s_perp`` to items, (..., D) all."""
    return (query - project(items, normal)).square().sum(dim=-1)


class Selection(NamedTuple):
    """The proxies and hyperplanes that the sessions of a batch choose.

    In variants, missing ``hidden``, ``logits`` and ``weights`` have size 0; missing vectors are 0.

    Attributes
    ----------
    hidden : (B, L, H)
        The per-click terms of equation 3 before W2, zero at the padding.
    logits, weights : (B, K)
        ``alpha`` and ``pi``.
    proxy, normal : (B, D)
        ``p`` and ``v``.
    """

    hidden: Tensor
    logits: Tensor
    weights: Tensor
    proxy: Tensor
    normal: Tensor


class Terms(NamedTuple):
    """Terms of the loss: hinge and distance of each target (R,), angle of each session (B,)."""

    hinge: Hinge
    dist: Tensor
    orthog: Tensor


class ShortTermEncoder(nn.Module):
    """Equation 5: causal self-attention, then two layers, at the clicks ``ends``."""

    def __init__(self, dim: int, dropout: float, init_std: float) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.hidden = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.query, self.key, self.hidden, self.out):
            nn.init.normal_(layer.weight, std=init_std)  # biases stay U(±1/√d), as in the program

    def forward(self, x: Tensor, is_click: Tensor, ends: Ends | None = None) -> Tensor:
        """Interest (R, D) after the clicks of ``x`` (B, L, D) at ``ends``; by default the last."""
        x = self.dropout(x)
        queried = x[:, -1:] if ends is None else x
        n, n_queried = x.shape[1], queried.shape[1]
        key = at_clicks(lambda click: relu(self.key(click)), x, is_click)
        query = at_clicks(lambda click: relu(self.query(click)), queried, is_click[:, -n_queried:])
        causal = torch.ones(n, n, dtype=torch.bool, device=x.device).tril()
        itself = torch.eye(n, dtype=torch.bool, device=x.device)  # so that no row is empty
        may_see = (causal & is_click[:, None] | itself)[:, -n_queried:]
        logits = (query @ key.mT / x.shape[2] ** 0.5).masked_fill(~may_see, -torch.inf)
        z = softmax(logits, dim=2) @ x + queried
        z = z[:, 0] if ends is None else z[ends]
        return self.out(relu(self.hidden(z)))  # type: ignore[no-any-return]


class ProxySR(ProxyModel):
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : ProxySRConfig, optional
    """

    Config = ProxySRConfig
    config: ProxySRConfig
    user_bias: nn.Parameter | None

    def __init__(self, n_items: int, config: ProxySRConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        self.max_length, self.n_known_users = c.max_length, c.n_users
        self.schedule_epochs = c.anneal_epochs
        self.peeks_in_training = True  # all targets of a session share its proxy and hyperplane
        n_available = n_items - (not c.target_is_negative)
        require(
            n_available > 0,
            "The only item is every target: with target_is_negative=False no negative is left.",
        )
        self.n_negatives = min(c.n_negatives, n_available)
        self.make_parameters()
        self.dropout = nn.Dropout(c.dropout)
        self.register_buffer("temperature", torch.tensor(float(c.temperature_start)))
        self.search = ProjectedSearch()
        self.sampler = ItemSampler(n_items, c) if c.sampled_negatives else None
        with torch.no_grad():
            self.items[PAD] = 0
        self.after_step()

    def make_parameters(self) -> None:
        """Draw all parameters."""
        c, k = self.config, self.n_proxies
        hidden = (c.embedding_dim + k) // 2
        self.items = self.table(self.n_items + 1)  # I
        self.proxies = self.table(k)  # P
        self.normals = self.table(k)  # V
        self.proxy_positions = self.table(c.max_length + 1)
        self.short_term_positions = self.table(c.max_length)
        self.w1 = nn.Parameter(torch.randn(c.embedding_dim, hidden) * c.init_std_selector)
        self.w2 = nn.Parameter(torch.randn(hidden, k) * c.init_std_selector)
        self.encoder = ShortTermEncoder(c.embedding_dim, c.dropout, c.init_std)
        self.user_bias = nn.Parameter(torch.zeros(c.n_users, k)) if c.n_users else None

    def table(self, rows: int) -> nn.Parameter:
        """Vectors (rows, D), drawn at random."""
        return nn.Parameter(torch.randn(rows, self.config.embedding_dim) * self.config.init_std)

    def embed(self, items: Tensor) -> Tensor:
        """Embeddings (..., D) of items (...), with a sparse gradient."""
        return embedding(items, self.items, padding_idx=PAD, sparse=True)

    # -- equations -------------------------------------------------------------------------

    def select(
        self, batch: SessionBatch, clicks: Tensor | None = None, **choice: Unpack[Choice]
    ) -> Selection:
        """Equations 1-3, 6 and 10: which proxy and which hyperplane the sessions choose.

        ``clicks`` (B, L, D) are the embeddings of the batch, if they are looked up already.
        """
        is_click = batch.items != PAD  # (B, L)
        place = positions(is_click, self.config.proxy_positions)
        clicks = self.embed(batch.items) if clicks is None else clicks
        x = self.dropout(clicks + self.proxy_positions[place])  # (B, L, D)
        # equation 3: alpha, the mean over the clicks
        hidden = at_clicks(lambda click: leaky_relu(click @ self.w1, 0.1), x, is_click)
        logits = hidden.sum(dim=1) / is_click.sum(dim=1, keepdim=True) @ self.w2  # (B, K)
        logits = logits + self.bias_of(batch.users, logits)  # equation 10
        weights = self.weights(logits, **choice)  # equation 1: pi = softmax(alpha / tau)
        return Selection(hidden, logits, weights, self.proxy_of(weights), self.normal_of(weights))

    def proxy_of(self, weights: Tensor) -> Tensor:
        """Equation 2: ``p`` (B, D); its length is the weighted mean of the proxies' lengths."""
        mixed = weights @ self.proxies
        return mixed * (weights @ length(self.proxies) / length(mixed))

    def normal_of(self, weights: Tensor) -> Tensor:
        """Equation 6: the unit normal ``v`` (B, D)."""
        mixed = weights @ self.normals
        return mixed / length(mixed)

    def bias_of(self, users: Tensor | None, logits: Tensor) -> Tensor:
        """Equation 10: biases of users on the logits (B, K); 0 for unknown users."""
        if self.user_bias is None or users is None:
            return torch.zeros_like(logits)
        known = (users >= 0) & (users < self.config.n_users)
        return self.user_bias[users * known] * known[:, None]

    def short_term(
        self, batch: SessionBatch, ends: Ends | None = None, clicks: Tensor | None = None
    ) -> Tensor:
        """Equations 4-5: interest (R, D) after the clicks at ``ends``, or the last ones."""
        is_click = batch.items != PAD
        place = positions(is_click, self.config.short_term_positions)
        clicks = self.embed(batch.items) if clicks is None else clicks
        x = clicks + self.short_term_positions[place]
        return self.encoder(x, is_click, ends)  # type: ignore[no-any-return]

    def terms(self, batch: SessionBatch) -> Terms:
        """Equation 8 and the two regularizers of equation 9, before summation."""
        ends = targets_of(batch)
        session, target = ends[0], batch.targets[ends]  # (R,)
        n = batch.items.numel()
        rows, candidates = self.look_up(torch.cat([batch.items.flatten(), target]), target)
        clicks = rows[:n].view(*batch.items.shape, -1)  # (B, L, D)
        chosen = self.select(batch, clicks)  # p and v of the sessions, (B, D)
        normal = chosen.normal[session]  # (R, D)
        query = chosen.proxy[session] + project(self.short_term(batch, ends, clicks), normal)
        angle = (chosen.normal * chosen.proxy).sum(dim=1) / length(chosen.proxy).squeeze(1)
        return Terms(
            self.hinge(candidates, self.queries(query, chosen.normal, session)),
            self.target_term(query, normal, rows[n:]),
            angle.abs(),
        )

    def loss(self, batch: SessionBatch) -> Loss:
        """Equation 9, by means over targets, negatives and sessions."""
        c, terms = self.config, self.terms(batch)
        parts = {
            "hinge": terms.hinge.total.sum() / batch.n_targets / self.n_negatives,
            "dist": terms.dist.sum() / batch.n_targets,
            "orthog": terms.orthog.sum() / batch.n_sessions,
        }
        total = parts["hinge"] + c.lambda_dist * parts["dist"] + c.lambda_orthog * parts["orthog"]
        parts["violated"] = terms.hinge.violated.sum() / batch.n_targets / self.n_negatives
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    def target_term(self, query: Tensor, normal: Tensor, target: Tensor) -> Tensor:
        """First regularizer of equation 9 (R,): the distance to the target; (R, D) all."""
        return distance(query, normal, target)

    def hinge(self, candidates: Candidates, queries: Queries) -> Hinge:
        """Equation 8 over the closest negatives: ``[m + dist(target) - dist(i)]_+`` (R,)."""
        c = self.config
        return hinge_over_hardest(
            self.search, candidates, queries,
            k=self.n_negatives, margin=c.margin, target_is_negative=c.target_is_negative,
            memory=c.search_memory_mb * 2**20,
        )  # fmt: skip

    def look_up(self, items: Tensor, targets: Tensor) -> tuple[Tensor, Candidates]:
        """Embeddings (n, D) of items (n,), and candidates for negatives: all, or sampled items."""
        if self.sampler is None:
            rows, table = lookup(self.items, items)
            return rows, Candidates(table, targets, len(table))
        drawn, places, n = with_targets(self.sampler.draw(), targets)
        return self.embed(items), Candidates(self.embed(drawn), places, n)

    def queries(self, query: Tensor, normal: Tensor, session: Tensor | None = None) -> Queries:
        """Queries (R, D) of sessions (R,) (by default one per session), to compare items with."""
        if session is None:
            session = torch.arange(len(query), device=query.device)
        return Queries(project(query, normal[session]), normal, session)

    def start_epoch(self, epoch: int) -> None:
        """Anneal: ``tau = max(T0 (TE / T0)^(epoch / E), TE)``."""
        c = self.config
        share = 1.0 if c.anneal_epochs == 0 else min(epoch / c.anneal_epochs, 1.0)
        start, end = c.temperature_start, c.temperature_end
        self.temperature.fill_(start * (end / start) ** share)

    @torch.no_grad()
    def after_step(self) -> None:
        """Project embeddings into the unit ball and normals onto the unit sphere."""
        for table in (self.items, self.proxies, self.proxy_positions, self.short_term_positions):
            project_into_ball(table)
        self.normals.copy_(normalize(self.normals, dim=1))

    # -- the rest of the interface ---------------------------------------------------------

    @classmethod
    def default_learning_rate(cls, config: Settings) -> float:
        """A twentieth of the initial scale of embeddings."""
        return float(getattr(config, "init_std", 0.1)) / 20

    def prepare(self, train: Sessions) -> None:
        """Count the clicks of items, if negatives are sampled."""
        super().prepare(train)
        if self.sampler is not None:
            self.sampler.count(train)

    def read(
        self, batch: SessionBatch, **choice: Unpack[Choice]
    ) -> tuple[Selection, Tensor, Tensor]:
        """The sessions' choice, short-term interest ``s`` (B, D) and ``p + s_perp`` (B, D)."""
        batch = recent(batch, self.max_length)
        chosen, short_term = self.select(batch, **choice), self.short_term(batch)
        return chosen, short_term, chosen.proxy + project(short_term, chosen.normal)

    @torch.no_grad()
    def answer(
        self, batch: SessionBatch, ends: Ends | None = None, **choice: Unpack[Choice]
    ) -> Answer:
        """Minus the distances of equation 7 up to ``||query||^2``, and the chosen proxy."""
        chosen, _, query = self.read(batch, **choice)
        tiles = closeness_to_all(self.items, self.queries(query, chosen.normal))
        return Answer(tiles, self.choices_by(chosen.weights))

    @torch.no_grad()
    def score(self, batch: SessionBatch, **choice: Unpack[Choice]) -> Tensor:
        """Minus the distance (B, V) of equation 7 to every item, -inf for the padding."""
        chosen, _, query = self.read(batch, **choice)
        queries = self.queries(query, chosen.normal)
        closeness = side_by_side(closeness_to_all(self.items, queries), self.n_items + 1)
        return closeness - queries.norms * query.square().sum(dim=1, keepdim=True)

    @torch.no_grad()
    def weigh(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """``alpha`` and ``pi``, (B, K) both."""
        chosen = self.select(recent(batch, self.max_length))
        return chosen.logits, chosen.weights

    @torch.no_grad()
    def trace(self, batch: SessionBatch, **choice: Unpack[Choice]) -> ProxyTrace:
        """See :meth:`ProxyModel.trace`."""
        chosen, short_term, _ = self.read(batch, **choice)
        return ProxyTrace(
            proxy_logits=chosen.logits,
            position_logits=self.addends(chosen, recent(batch, self.max_length)),
            prior_logits=self.bias_of(batch.users, chosen.logits),
            proxy_weights=chosen.weights,
            proxy=chosen.proxy,
            short_term=short_term,
            normal=chosen.normal,
            projected=project(short_term, chosen.normal),
        )

    @torch.no_grad()
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        """See :meth:`ProxyModel.replaced`; exact for this model.

        A session that repeats one item has the addends of that item at all positions.
        """
        batch = recent(batch, self.max_length)
        repeated = batch.items.new_zeros(1).where(batch.items == PAD, items[:, None])
        batch = batch._replace(items=repeated, users=None)
        return self.addends(self.select(batch), batch)

    def addends(self, chosen: Selection, batch: SessionBatch) -> Tensor:
        """What each click adds to the logits, (B, L, K)."""
        return chosen.hidden / (batch.items != PAD).sum(dim=1)[:, None, None] @ self.w2


def positions(is_click: Tensor, count_from: Literal["start", "end"]) -> Tensor:
    """0-based position of each click from one end of its session, (B, L) or (L,)."""
    if count_from == "start":
        return (is_click.cumsum(dim=1) - 1).clamp(min=0)
    return torch.arange(is_click.shape[1] - 1, -1, -1, device=is_click.device)
