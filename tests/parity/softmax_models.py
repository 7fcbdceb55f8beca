"""What the twins of models that compare a session's vector with the items share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models.softmax import SoftmaxModel

SESSIONS = [[4, 2, 7], [9], [3, 8, 3, 5, 1, 6], [12, 12], [5, 5, 5, 2, 5, 2, 9, 11]]
"""Sessions of 1 to 8 clicks on items up to 12, some with repeats."""


def training_batch() -> SessionBatch:
    """``SESSIONS`` with a next click after each click, some of which are no targets."""
    batch = batch_of(SESSIONS)
    following = torch.tensor([[10], [9], [4], [1], [3]])
    targets = torch.cat([batch.items[:, 1:], following], dim=1).masked_fill(batch.items == 0, 0)
    targets[2, -3], targets[4, -1] = 0, 0
    return batch._replace(targets=targets)


def literal_loss(model: SoftmaxModel, vector: Callable[[Any, list[int]], Tensor]) -> Tensor:
    """Minus the mean log-probability of the targets, each after its prefix alone."""
    batch = training_batch()
    terms = []
    for row, clicks in enumerate(SESSIONS):
        targets = batch.targets[row, -len(clicks) :].tolist()
        for t, target in enumerate(targets, start=1):
            if target:
                session = vector(model, clicks[:t])
                scores = [session @ model.items[i] for i in range(1, model.n_items + 1)]
                log_sum = torch.logsumexp(torch.stack(scores), dim=0)
                terms.append(log_sum - session @ model.items[target])
    return torch.stack(terms).mean()


def assert_same_as_literal(model: SoftmaxModel, vector: Callable[[Any, list[int]], Tensor]) -> None:
    """Vectors, scores, loss and all gradients agree with those of ``vector`` to 1e-9."""
    vectors, scores = model.represent(batch_of(SESSIONS)), model.score(batch_of(SESSIONS))
    for row, clicks in enumerate(SESSIONS):
        expected = vector(model, clicks)
        assert (vectors[row] - expected).abs().max() < 1e-9
        assert (scores[row, 1:] - model.items[1:] @ expected).abs().max() < 1e-9
    expected_loss = literal_loss(model, vector)
    names = [name for name, _ in model.named_parameters()]
    wanted = torch.autograd.grad(expected_loss, list(model.parameters()))
    loss = model.loss(training_batch()).total
    assert abs((loss - expected_loss).item()) < 1e-9
    loss.backward()
    for name, gradient in zip(names, wanted, strict=True):
        received = model.get_parameter(name).grad
        assert received is not None, name
        assert gradient.abs().max() > 1e-7, f"{name}: nothing is compared"
        assert (received - gradient).abs().max() < 1e-9, name
