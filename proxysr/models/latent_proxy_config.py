"""Settings of the latent proxies (:mod:`proxysr.models.latent_proxy`).

What was tried
--------------
R@20 of unseen items, one seed if not said otherwise.

one proxy instead of 60 or 64
    On test, over three seeds, before the proxies had a term of their own in the loss: Online Retail
    .478 instead of .480 (8 epochs), a third of Diginetica .423 instead of .420 (5 epochs).
    Since then, a third of Diginetica, three seeds: .4385 instead of .4372 on validation, .4297
    instead of .4260 on test.
the proxies' own term of the loss, and clicks as evidence by themselves
    Log of the demo, 10 planted interests, validation: R@20 .769 and an AMI of .79 between
    likeliest proxies and interests (18 epochs); .765 and .02 without, where the posterior was of
    clicks in their context (16 epochs). While T left w alone (see below), with G = .1 and .5: the
    demo .769 and .770, AMIs of .82 and .84, Online Retail .463 and .461 (6 epochs), a third of
    Diginetica .431 and .431 (8 epochs).
weights w in the posterior
    Of the same weights of the network, R@20 and proxies in use in effect, validation: thirds of
    Diginetica .432 and 57, RetailRocket .375 and 56; where T left w alone .431 and 36, .376 and 3.
strength β
    A third of Diginetica, validation, 4 epochs, G = .5, temperature 1: .418; with β = 1, .406. In
    both, items were not fitted to equation 3, which hardly matters (.424, else .423, at 4).
all items in place of 2,000 drawn ones
    A third of Diginetica, validation, with averages of the weights: .435 (7 epochs), drawn .437
    (10 epochs).
temperature in training
    Log of the demo, validation, G = .5: with 1, 2 and 4 .783, .778 and .772 for 16 proxies, and
    AMIs of .90, .89 and .88. A third of Diginetica, 4 epochs: .418 with 1, .424 with 4.
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
