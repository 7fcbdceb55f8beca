"""Small settings and data that every model is held to."""

from __future__ import annotations

from typing import Any

from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.experiments.presets import ABLATIONS
from proxysr.models import MODELS, SessionModel, create
from proxysr.testing import N_ITEMS, Case, cycles, split_of
from proxysr.testing.planted import TRAINING

__all__ = ["N_ITEMS", "SMALL", "TRAINING", "case", "cycles", "small", "split_of", "training_batch"]

SMALL: dict[str, dict[str, Any]] = {
    "latent_proxy": {
        "embedding_dim": 16, "n_proxies": 6, "max_length": 12, "dropout": 0.1, "scale": 7.0,
    },
    "proxysr": {
        "embedding_dim": 16, "n_proxies": 8, "n_negatives": 20, "max_length": 12,
        "init_std": 0.1, "init_std_selector": 1.0, "anneal_epochs": 3, "margin": 0.1,
        "lambda_dist": 0.2,
    },
    "gru4rec": {"embedding_dim": 16, "max_length": 12},
    "narm": {"embedding_dim": 16, "hidden_dim": 16, "max_length": 12, "dropout_session": 0.1},
    "stamp": {"embedding_dim": 16, "max_length": 12, "init_std": 0.3, "init_std_weights": 0.3},
    "sasrec": {"embedding_dim": 32, "max_length": 12, "dropout": 0.0},
    "repeatnet": {"embedding_dim": 16, "max_length": 12, "dropout": 0.0},
    "srgnn": {"embedding_dim": 16, "max_length": 12},
    "fgnn": {"embedding_dim": 16, "max_length": 12, "n_heads": 2},
    "csrm": {
        "embedding_dim": 16, "max_length": 12, "dropout": 0.0, "dropout_items": 0.0,
        "n_remembered": 100, "n_neighbours": 10,
    },
    "grec": {"embedding_dim": 16, "max_length": 12, "dilations": (1, 2)},
    "gcegnn": {"embedding_dim": 16, "max_length": 12, "n_neighbors": 6, "dropout": 0.0},
    "core": {
        "embedding_dim": 16, "max_length": 12, "inner_dim": 32, "dropout": 0.0,
        "dropout_session": 0.0, "dropout_items": 0.0,
    },
    "hrnn": {"embedding_dim": 16, "max_length": 12},
    "mean": {"embedding_dim": 16, "max_length": 12},
    "popularity": {},
    "session-popularity": {"max_length": 12},
    "cooccurrence": {"window": 3, "direction": "forward", "max_length": 12},
    "vsknn": {
        "n_neighbours": 50, "sample_size": 100, "click_weight": "reciprocal", "max_length": 12,
    },
    "stan": {"n_neighbours": 50, "sample_size": 100, "lambda_click": 1.0, "max_length": 12},
    "vstan": {"n_neighbours": 50, "sample_size": 100, "lambda_click": 1.0, "max_length": 12},
    "slist": {"alpha": 0.2, "lambda_click": 1.0, "max_length": 12},
}  # fmt: skip
"""Settings under which models of ``MODELS`` learn a tiny task in seconds; else the defaults."""

VARIANTS: dict[str, dict[str, Any]] = {
    **{f"proxysr, {row}": changes for row, changes in ABLATIONS.items()},
    "proxysr, s(s) on a hyperplane": {"expressed_by": "short-term"},
    "proxysr, encoding p(s) on a hyperplane": {"proxy_by": "encoding"},
    "proxysr, drawn negatives": {"sampled_negatives": 20, "n_negatives": 5},
    "latent_proxy, attention": {"attention": True},
    "latent_proxy, one proxy": {"n_proxies": 1},
    "gru4rec, drawn negatives": {"sampled_negatives": 15},
    "core, all clicks alike": {"weights": "alike"},
    "hrnn, all": {"variant": "all", "dropout_user": 0.1, "dropout_init": 0.1},
    "hrnn, by proxies": {"proxysr": ("embedding_dim=4", "n_proxies=3", "init_std=0.1")},
}
"""The ablations of ProxySR, and other variants of models, as changes of their small settings."""

NAMES = [*MODELS, *VARIANTS]
"""All that is held to the contract."""

ORDERLESS = {"mean", "core, all clicks alike", "proxysr, p(s) only"}
"""Models that can find a session's cycle, not the next step.

For them it is a bag of items, or one of so few proxies that there is none for every step.
"""

BARS = {"proxysr, p(s) only": 0.5}
"""Recall to be reached where it is not 0.85: it depends on the seed how many proxies are used."""

POPULARITY = ("popularity", "session-popularity")
"""Models that know how often items are clicked, but not which follow which."""


def small(name: str, n_items: int = N_ITEMS, seed: int = 0, **options: Any) -> SessionModel:
    """The model or variant ``name`` at its small settings."""
    if name in VARIANTS:
        return small(name.partition(",")[0], n_items, seed, **VARIANTS[name], **options)
    return create(name, n_items, SMALL.get(name, {}) | options, seed=seed)


def case(name: str) -> Case:
    """What the contract is checked on: a model or variant at its small settings."""
    finds = "cycle" if name in ORDERLESS else "nothing" if name in POPULARITY else "order"
    model = small(name)
    return Case(type(model), model.config, finds, BARS.get(name, 0.85))


def training_batch() -> SessionBatch:
    """All sessions that small models are trained on, in one batch."""
    batches = TrainingBatches(
        TRAINING, task="repeat", min_prefix=1, max_length=12, batch_size=33, seed=0, device="cpu"
    )
    return next(batches.epoch(0))
