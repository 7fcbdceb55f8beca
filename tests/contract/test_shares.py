"""The mean of the losses of a batch's shares is its own loss, of every model that says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.models import LearnedModel
from tests.contract.small import NAMES, cycles, small

LEARNED = [name for name in NAMES if isinstance(small(name), LearnedModel)]
SHARED = [name for name in LEARNED if small(name).data_parallel]
OTHER_LOSSES: list[tuple[str, dict[str, Any]]] = [
    ("proxysr", {"lambda_orthog": 0.3, "target_is_negative": False}),
    ("proxysr", {"negatives": "all", "proxy_from": "session", "constraints": "penalty"}),
    ("gru4rec", {"objective": "bpr-max"}),
    ("gru4rec", {"objective": "top1-max"}),
    ("sasrec", {"objective": "binary"}),
    ("repeatnet", {"lambda_mode": 1.0}),
]


def shares_of_first_batch(n: int, batch_size: int = 33) -> list[SessionBatch]:
    def first(share: int) -> SessionBatch:
        batches = TrainingBatches(
            cycles(33, seed=2), task="unseen", min_prefix=1, max_length=12,
            batch_size=batch_size, seed=0, device="cpu", share=(share, n),
        )  # fmt: skip
        return next(batches.epoch(0))

    return [first(share) for share in range(n)]


def loss_and_gradients(
    model: LearnedModel, batches: list[SessionBatch]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Means over the batches of the loss, its parts and its gradients."""
    model.zero_grad()
    sums: dict[str, Tensor] = {}
    for batch in batches:
        total, parts = model.loss(batch)
        total.backward()  # type: ignore[no-untyped-call]
        for name, value in {"loss": total.detach(), **parts}.items():
            sums[name] = sums.get(name, torch.zeros(())) + value / len(batches)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert gradients.keys() == dict(model.named_parameters()).keys()
    return sums, {name: grad.to_dense() / len(batches) for name, grad in gradients.items()}


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in SHARED), *OTHER_LOSSES], ids=str
)
def test_the_mean_over_shares_is_the_loss_of_the_batch(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(name, **options)
    assert isinstance(model, LearnedModel)
    if name == "sasrec":  # its negatives are drawn
        monkeypatch.setattr(model, "negatives", lambda targets: targets % 40 + 1)
    if getattr(model, "sampler", None) is not None:  # all processes draw the same
        monkeypatch.setattr(model.sampler, "draw", lambda: torch.arange(3, 23))
    model.prepare(cycles(50, seed=1))
    model.double().eval()  # without dropout
    for table in model.parameters():
        table.data *= 1.5  # norms that a penalty sees
    whole, gradients = loss_and_gradients(model, shares_of_first_batch(1))
    summed, summed_gradients = loss_and_gradients(model, shares_of_first_batch(5))
    assert summed.keys() == whole.keys()
    for part, value in whole.items():
        torch.testing.assert_close(summed[part], value, rtol=1e-12, atol=0, msg=part)
    for parameter, gradient in gradients.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(
            summed_gradients[parameter], gradient, rtol=1e-9, atol=1e-12 * scale, msg=parameter
        )


def test_shares_are_the_batch_and_about_equal() -> None:
    (whole,) = shares_of_first_batch(1)
    shares = shares_of_first_batch(4)
    n_targets = int((whole.targets > 0).sum())
    assert (whole.n_targets, whole.n_sessions) == (n_targets, 33)
    assert [len(share.items) for share in shares] == [9, 8, 8, 8]
    assert {share.counts for share in shares} == {(n_targets / 4, 33 / 4)}
    assert sum(int((share.targets > 0).sum()) for share in shares) == n_targets

    def sessions(batches: list[SessionBatch]) -> list[list[int]]:
        return sorted(
            [*row[row > 0].tolist(), int(last)]
            for batch in batches
            if batch.last_items is not None
            for row, last in zip(batch.items, batch.last_items, strict=True)
        )

    assert sessions(shares) == sessions([whole])
    clicks = [int(share.lengths.sum()) for share in shares]
    assert max(clicks) - min(clicks) <= 12


def test_each_share_is_a_batch_of_fewer_sessions_than_shares() -> None:
    first, *others = shares_of_first_batch(4, batch_size=3)
    assert len(first.items) == first.n_sessions == 3
    assert first.n_targets == (first.targets > 0).sum()
    assert all(torch.equal(first.items, other.items) for other in others)


def test_the_models_of_which_processes_take_no_shares() -> None:
    refusing = {name for name in LEARNED if name not in SHARED}
    assert {name.partition(",")[0] for name in refusing} == {"csrm", "grec", "hrnn"}
    assert not small("proxysr", reduction="sum").data_parallel
