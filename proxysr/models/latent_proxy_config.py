"""The options of the latent proxies, and what was tried of them.

What was tried
--------------
R@20 of unseen items in test, one seed, 6 epochs, other settings not all equal: one proxy for 60 or
64 on Online Retail .467 for .470, on a third of Diginetica .425 for .424. Planted interests are
found at temperature 1, not at 4.
"""

from __future__ import annotations

from proxysr.config import Count, Positive, Settings, Share, require


class LatentProxyConfig(Settings):
    """Hyper-parameters of the latent proxies; the defaults serve logs of unknown kinds."""

    embedding_dim: Count = 64
    """Size d of items and proxies."""
    n_proxies: Count | None = None
    """Number K of proxies; 1 leaves the short-term interest alone. If none is named, 64, or one for
    20 training sessions if that is fewer."""
    temperature: Positive = 4.0
    """Temperature T of the posterior in training. Clicks of a session resemble each other more than
    equation 2 knows, so that at 1 each would count as too much evidence. For use, it is calibrated
    on validation."""
    scale: float = 13.0
    """Scale s of the cosine of short-term interest and item: one over the softmax's temperature."""
    dropout: Share = 0.3
    """Share of the entries of the clicks that the short-term interest is read from without."""
    attention: bool = True
    """Whether the latest click has a say in which clicks count (A in equation 1), beside their
    places."""
    prior_strength: Positive = 1.0
    """How many earlier sessions of a person the weights w count as (c in equation 7)."""
    max_length: Count = 1000
    """Clicks of a session that are read: its latest ones; in training, the latest 200 of them."""

    def check(self) -> None:
        """Check ranges."""
        require(0 < self.scale <= 40, f"scale is above 0 and at most 40; received {self.scale}.")
