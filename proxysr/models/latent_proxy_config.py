"""Settings of the latent proxies (:mod:`proxysr.models.latent_proxy`).

What was tried
--------------
R@20 of unseen items, one seed if not said otherwise.

one proxy instead of 60 or 64
    On test, over three seeds: Online Retail .478 instead of .480 (8 epochs), a third of Diginetica
    .423 instead of .420 (5 epochs). It recovers planted interests at temperature 1, not at 4.
sharper proxies
    On the log of the demo, with 10 planted interests and 400 items, after 14 epochs: with 16
    proxies, temperature 1 and no attention, the likeliest proxy of a session has .31 on average and
    agrees with its interest by an AMI of .40; by the defaults it has .04. R@20 on validation is
    .750 instead of .764.
learning rate
    On validation, after 3 epochs, 4e-3 instead of 2e-3: thirds of Diginetica and RetailRocket .416
    instead of .395 and .359 instead of .327, Online Retail .458 instead of .452, a fifth of LastFM
    .200 instead of .185; later the two come closer (benchmarks.tune_models).
the matrix N of equation 1
    On validation, after 5 epochs, with N instead of without: synthetic sessions .677 instead of
    .616, a third of Diginetica .430 instead of .432. Learnt as fast as the other parameters, with a
    matrix before the sum, too, it cost something there: .428.
"""

from __future__ import annotations

from types import MappingProxyType

from proxysr.config import Count, NotNegative, Positive, Share, Whole, require
from proxysr.models.proxy_model import ProxyConfig

DRAWN = 2_000
"""Items drawn for each batch on a large catalogue."""


class LatentProxyConfig(ProxyConfig):
    """Hyper-parameters of the latent proxies; the defaults serve logs of unknown kinds."""

    for_large_catalogues = MappingProxyType({"sampled_negatives": DRAWN})

    sampled_negatives: Whole = 0
    """Items drawn for each batch in place of all; 0: all. By default 2000 on a catalogue of more
    than 10,000 items."""

    embedding_dim: Count = 64
    """Size d of items and proxies."""
    n_proxies: Count | None = None
    """Number K of proxies; with 1, only the short-term interest is left. By default 64, or one for
    20 training sessions if that is fewer."""
    temperature: Positive = 4.0
    """Temperature T of the posterior in training. Clicks of a session resemble each other more than
    equation 2 assumes, so at temperature 1 each click would count as too much evidence. After each
    epoch, the temperature for use is fitted on validation."""
    scale: float = 13.0
    """Scale s of the cosine of short-term interest and item: one over the softmax's temperature."""
    dropout: Share = 0.3
    """Share of the entries of click vectors that are dropped before the short-term interest."""
    general_weight: NotNegative = 0.1
    """Weight G of the likelihood of the clicks by the proxies alone in the loss (equation 6)."""
    attention: bool = True
    """Whether weights of clicks depend on the latest click (A in equation 1), not only on their
    places."""
    prior_strength: Positive = 1.0
    """The weights w count like this many earlier sessions of a user (c in equation 7)."""
    max_length: Count = 1000
    """Most clicks of a session that are read, the latest ones; in training at most 200."""

    def check(self) -> None:
        """Check ranges."""
        require(0 < self.scale <= 40, f"scale is above 0 and at most 40; received {self.scale}.")
