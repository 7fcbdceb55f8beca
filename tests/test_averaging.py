"""Averages of the weights over epochs: what is kept is their mean, and training goes on without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from proxysr import averaging
from proxysr.data.sources import SOURCES
from proxysr.models import GRU4Rec, LatentProxy
from proxysr.training import Checkpoint, TrainConfig, fit

SPLIT = SOURCES["synthetic"].prepare(
    "synthetic", **{"n_sessions": 120, "n_items": 40, "n_interests": 2}
)
EPOCHS = 6


def weights_of(model: Any, **options: Any) -> tuple[list[dict[str, torch.Tensor]], Any]:
    """The weights that are kept after each epoch, and the history."""
    kept = []

    def keep(state: Any) -> None:
        kept.append({k: p.detach().double().clone() for k, p in state.model.named_parameters()})

    config = TrainConfig(epochs=EPOCHS, patience=EPOCHS, device="cpu", **options)
    history = fit(model, SPLIT, config, on_epoch=keep, progress=False)
    return kept, history


def new(kind: Any = LatentProxy, **settings: Any) -> Any:
    torch.manual_seed(0)
    return kind(SPLIT.n_items, kind.Config(embedding_dim=8, **settings))


@pytest.mark.parametrize("sampled", [0, 10])  # dense gradients, and sparse ones
def test_what_is_kept_is_the_mean_with_polynomial_decay(sampled: int) -> None:
    """Weights of the same steps without averaging, and their mean written out."""
    settings = {"n_proxies": 3, "sampled_negatives": sampled}
    latest, _ = weights_of(new(**settings), averaging=False)
    kept, _ = weights_of(new(**settings), averaging=True)
    shares = [(averaging.DECAY + 1) / (t + 1 + averaging.DECAY) for t in range(EPOCHS)]
    for epoch in range(EPOCHS):
        parts = [
            shares[u] * np.prod([1 - shares[t] for t in range(u + 1, epoch + 1)])
            for u in range(epoch + 1)
        ]
        assert sum(parts) == pytest.approx(1)
        assert parts == sorted(parts)
        for name, found in kept[epoch].items():
            wanted = sum(part * latest[u][name] for u, part in enumerate(parts))
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_resumed_training_ends_with_the_same_averages() -> None:
    whole, history = weights_of(new(n_proxies=3))
    checkpoints: list[Checkpoint] = []
    model = new(n_proxies=3)
    config = TrainConfig(epochs=3, patience=EPOCHS, device="cpu")

    def keep(state: Any) -> None:
        saved = state.checkpoint()
        checkpoints.append(
            Checkpoint(
                {k: v.clone() for k, v in saved.model.items()},
                {k: v.clone() for k, v in saved.optimizer.items()}, saved.rows,
            )
        )  # fmt: skip

    first = fit(model, SPLIT, config, on_epoch=keep, progress=False)
    kept = []
    fit(
        new(n_proxies=3), SPLIT, config.replace(epochs=EPOCHS), snapshots=first.snapshots,
        resume=checkpoints[-1], progress=False,
        on_epoch=lambda state: kept.append(
            {k: p.detach().double().clone() for k, p in state.model.named_parameters()}
        ),
    )  # fmt: skip
    for epoch, found in enumerate(kept, start=3):
        for name, value in found.items():
            assert torch.equal(value, whole[epoch][name]), (epoch, name)
    assert len(history.rows) == EPOCHS


def test_only_models_that_say_so_average_by_default() -> None:
    assert TrainConfig().resolved(LatentProxy, LatentProxy.Config()).averaging is True
    config = TrainConfig().resolved(GRU4Rec, GRU4Rec.Config())
    assert config.averaging is None
    latest, _ = weights_of(new(GRU4Rec), averaging=False)
    kept, _ = weights_of(new(GRU4Rec))
    for name, value in kept[-1].items():
        assert torch.equal(value, latest[-1][name])
