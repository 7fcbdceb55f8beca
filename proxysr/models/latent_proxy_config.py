"""Settings of the latent proxies (:mod:`proxysr.models.latent_proxy`)."""

from __future__ import annotations

from proxysr.config import Count, Positive, Share, require
from proxysr.kernels.sampling import SamplingConfig


class LatentProxyConfig(SamplingConfig):
    """Hyper-parameters of the latent proxies; the defaults serve logs of unknown kinds."""

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
