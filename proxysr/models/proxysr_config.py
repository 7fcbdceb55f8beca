"""The options of ProxySR: what its paper leaves open, and the ablations of its Table 5.

For our reading of the ablations see :mod:`proxysr.models.proxysr_variants`.

Defaults
--------
They are for logs of unknown kinds, and depend on the catalogue: with more than
10,000 items, those of ``FOR_LARGE_CATALOGUES`` that are not named take the values of
the authors' program (all of it: :data:`proxysr.experiments.presets.PROGRAM`). These collapse on
small catalogues, and the others on large ones; the limit is our choice between the sizes that
were tried. The experiments behind the defaults, by R@20 of unseen items on validation (one seed,
short runs, mostly on parts of the data, so only large differences count):

negatives and margin
    On the latest 3,000 training sessions of Online Retail, the latest 30 clicks of each, training
    with the 100 closest items (of 3,376) did not work: .03 at most in six epochs, with margin .1 or
    .5, ``lambda_dist`` .2 or 0, all embeddings at a standard deviation of .1. A target is seldom
    among the closest items there, so all negatives violate the margin, and the pull on targets
    dominates. The 1,000 closest reached .118 in three epochs and all items .089; at a larger step
    size .205, all items .172, and 300 reached .195 after two poor epochs. On a third of
    Diginetica, a step with all items takes twice the time. Margin .2 was behind .5 (.189, .204).
distance regularizer
    ``lambda_dist`` .2 helped on synthetic sessions (.671 for .637, at 100 negatives of 600 items)
    and cost on Online Retail (.164 for .205 after three epochs, at 1,000).
initial scale
    On synthetic sessions, .01 for embeddings and step size 5e-4 reached .441 in nine epochs, .1 and
    2e-3 reached .652; co-occurrence has .578 there. Selectors with a standard deviation of 1 choose
    at random from the first epoch on, and hardly change: on Online Retail, .1 instead of 1 raised
    the effective number of proxies from 5 to 55 of 100 and lowered the largest share of sessions
    from 37 % to 5 %, at the same recall (.159, .161).
step size
    5e-4 left all synthetic sessions with one proxy (.308 after nine epochs, embeddings at .1). 5e-3
    was ahead of 2e-3 on Online Retail (.204, .142 after five), so it is the default there: a
    twentieth of the initial scale, as 5e-4 is of .01. Patience is counted from the end of
    annealing, which takes 6 epochs.
catalogue
    On a third of RetailRocket (25,903 items), the settings of small catalogues reached .238 in
    twelve epochs, with a single proxy at the end, and .151 in five at step size 1e-3. Those of the
    program (100 negatives, margin .1, ``lambda_dist`` .2, scales .01 and 1, step size 5e-4) reached
    .346 in five epochs, annealed in four, still rising, with 81 of 100 proxies in effect;
    co-occurrence has .332. With 1,000 negatives the first epoch was no better (.183, .187) and took
    three times as long. On all of Online Retail the program's settings stayed below .03, with every
    negative violating the margin; with 1,000 negatives they reached .243 in four epochs, and with
    margin .5, no regularizer, scale .1 and step size 1e-3 .261; co-occurrence has .420.

Comparison with co-occurrence, which counts pairs of an item with itself, R@20/MRR@20. On synthetic
sessions (12 epochs, test): .629/.306 against .567/.327 for unseen items, .632/.263 against
.589/.270 with repeats. On a third of Diginetica (28,158 items, annealed in 5 of 7 epochs, still
rising, 74 of 100 proxies in effect, test): .411/.114 against .401/.119, .476/.154 against
.449/.139. On a third of RetailRocket it is ahead on validation, see above. On Online Retail it is
behind: with the latest 5,000 training sessions .256/.083 after four epochs on validation, and not
more in six, against .428/.207, though the effective number of proxies is 51. The loss still falls,
and 98 % of the sessions change their proxy: probably because a training session of 26 clicks
chooses by later clicks, which a prefix does not have (not tested separately).
"""

from __future__ import annotations

from typing import Literal

from proxysr.config import Count, NotNegative, Positive, Share, Whole, require
from proxysr.models.proxy_model import ProxyConfig

FOR_LARGE_CATALOGUES: dict[str, float] = {
    "margin": 0.1,
    "lambda_dist": 0.2,
    "n_negatives": 100,
    "init_std": 0.01,
    "init_std_selector": 1.0,
}
"""Defaults on large catalogues, where they differ: those of the authors' program."""


class ProxySRConfig(ProxyConfig):
    """Hyper-parameters of ProxySR; for the choice of defaults see the module's docstring."""

    for_large_catalogues = FOR_LARGE_CATALOGUES

    embedding_dim: Count = 64
    """Size d of all embeddings."""
    n_proxies: Count | None = None
    """Number K of proxies; by default 100, or one for 20 training sessions if that is fewer."""
    margin: Positive = 0.5
    """Margin m of the hinge (equation 8); 0.1 on large catalogues."""
    lambda_dist: NotNegative = 0.0
    """Weight of the distances to the targets (equation 9); 0.2 on large catalogues."""
    lambda_orthog: NotNegative = 0.0
    """Weight of the angle between proxy and normal (equation 9)."""
    temperature_start: float = 3.0
    """Temperature T0 of the selection in epoch 0."""
    temperature_end: Positive = 0.01
    """Temperature TE from epoch E on."""
    anneal_epochs: Whole = 6
    """Epochs E from the first temperature to the last."""
    dropout: Share = 0.0
    """Share of the embedded clicks' entries that is dropped in training."""
    max_length: Count = 50
    """Clicks of a session that are read: its latest ones."""
    n_users: Whole = 0
    """Users 0..n_users - 1 of the data have a learnt bias on the choice of proxies (equation 10);
    all others count as unknown."""
    expressed_by: Literal["both", "proxy", "short-term"] = "both"
    """The session's vector: proxy + short-term interest, or one of them alone."""
    proxy_by: Literal["selection", "encoding"] = "selection"
    """Whether the proxy is chosen among K, or encoded from the clicks as equation 5 does."""
    projection: bool = True
    """Whether short-term interest and items are projected on the hyperplane (equation 6)."""
    similarity: Literal["distance", "dot"] = "distance"
    """How items are compared with a session: distance of equation 7, or dot product."""
    negatives: Literal["hardest", "all"] = "hardest"
    """The closest ``n_negatives`` items of a position (the authors' program), or all items."""
    n_negatives: Count = 1000
    """Negatives of a position if ``negatives`` is "hardest"; 100 on large catalogues."""
    target_is_negative: bool = True
    """Whether a target counts among its own negatives, as in the authors' program."""
    reduction: Literal["mean", "sum"] = "mean"
    """Means over positions, negatives and sessions (authors' program), or sums (equations 8, 9)."""
    proxy_from: Literal["inputs", "session"] = "inputs"
    """Clicks that a training session's proxy is chosen by: all but the last (program), or all
    (paper)."""
    proxy_positions: Literal["end", "start"] = "end"
    """Where the selector counts positions from; the paper's equation 3 says "start"."""
    short_term_positions: Literal["start", "end"] = "start"
    """Where the encoder counts positions from; equation 5 says "end", anew for each prefix."""
    constraints: Literal["project", "penalty"] = "project"
    """Unit ball and unit normals by projection after each step (program), or by a penalty."""
    lambda_norm: NotNegative = 1.0
    """Weight of that penalty."""
    init_std: Positive = 0.1
    """Standard deviation of embeddings and of the encoder's weights at the start; 0.01 on large
    catalogues."""
    init_std_selector: Positive = 0.1
    """Standard deviation of the selector's weights at the start; 1 on large catalogues."""
    search_memory_mb: Count = 1024
    """Working memory for finding negatives, in MiB; more memory is not faster."""

    def check(self) -> None:
        """Check ranges."""
        super().check()
        require(
            self.temperature_start >= self.temperature_end,
            f"temperature_start ({self.temperature_start}) is at least "
            f"temperature_end ({self.temperature_end}).",
        )
        require(
            self.has_proxy or self.proxy_by == "selection",
            "proxy_by='encoding' needs a proxy, and expressed_by='short-term' leaves it out.",
        )
        require(
            self.lambda_orthog == 0 or (self.has_proxy and self.projection),
            "lambda_orthog weighs the angle between proxy and hyperplane, and one of them is left "
            f"out: it must be 0 then; received {self.lambda_orthog}.",
        )
        require(
            self.n_users == 0 or self.chooses,
            "n_users is the number of users with a bias on the choice of proxies, and none are "
            f"chosen: it must be 0 then; received {self.n_users}.",
        )
        require(
            self.sampled_negatives == 0 or self.negatives == "hardest",
            "The hardest of sampled_negatives are searched, and negatives='all' takes all items: "
            f"it must be 0 then; received {self.sampled_negatives}.",
        )
        enough = 2 * (self.n_negatives + 1)  # an item may be drawn twice, and be the target
        require(
            self.sampled_negatives == 0 or self.sampled_negatives >= enough,
            f"To find {self.n_negatives} negatives among them, sampled_negatives is at least "
            f"{enough}, or 0 for all items; received {self.sampled_negatives}.",
        )

    @property
    def has_proxy(self) -> bool:
        """Whether the proxy is part of the session's vector."""
        return self.expressed_by != "short-term"

    @property
    def has_short_term(self) -> bool:
        """Whether the short-term interest is part of the session's vector."""
        return self.expressed_by != "proxy"

    @property
    def selects_proxy(self) -> bool:
        """Whether the proxy is chosen among K learnt ones."""
        return self.has_proxy and self.proxy_by == "selection"

    @property
    def chooses(self) -> bool:
        """Whether sessions choose among K proxies, hyperplanes, or both."""
        return self.selects_proxy or self.projection
