"""What the twins of models with a softmax over all items share: sessions, loss, comparison."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models.softmax import SoftmaxModel, targets_of

N_ITEMS = 23

Encode = Callable[[list[int]], Tensor]
"""A literal encoder: the vector (D,) of a session from its clicks."""
LossAt = Callable[[Tensor, int], Tensor]
"""A literal loss of one position, from the scores (n_items,) of items 1.. and the target."""


def sessions(n_items: int) -> SessionBatch:
    """Sessions of 1 to 9 clicks with repeats; some positions have no target."""
    generator = torch.Generator().manual_seed(3)
    lists = [
        torch.randint(1, n_items + 1, (length,), generator=generator).tolist()
        for length in (1, 2, 9, 5, 1, 7, 3)
    ]
    lists += [[5, 5, 5, 2, 5], [8, 1, 8, 1, 8, 1]]
    batch = batch_of(lists)
    targets = torch.randint(1, n_items + 1, batch.items.shape, generator=generator)
    has_one = torch.rand(targets.shape, generator=generator) < 0.8
    return batch._replace(targets=targets * has_one * (batch.items > 0))


def clicks_until(batch: SessionBatch, row: int, column: int) -> list[int]:
    """The clicks of a row up to a column, padding left out."""
    return [int(item) for item in batch.items[row, : column + 1] if item != 0]


def cross_entropy_at(scores: Tensor, target: int) -> Tensor:
    return -torch.log(torch.exp(scores[target - 1]) / sum(torch.exp(score) for score in scores))


def literal_loss(
    model: SoftmaxModel, encode: Encode, batch: SessionBatch, loss_at: LossAt, bias: Tensor | None
) -> Tensor:
    """Mean over all positions with a target, one after the other."""
    losses = []
    for row, column in zip(*(end.tolist() for end in targets_of(batch)), strict=True):
        vector = encode(clicks_until(batch, row, column))
        scores = torch.stack([vector @ model.items[i] for i in range(1, model.n_items + 1)])
        scores = scores if bias is None else scores + bias[1:]
        losses.append(loss_at(scores, int(batch.targets[row, column])))
    return sum(losses) / len(losses)


def assert_loss(model: nn.Module, got: Tensor, expected: Tensor) -> None:
    """A loss and its gradients by all parameters are those of a literal twin, to 1e-9."""
    assert abs((got - expected).item()) < 1e-9
    wanted = torch.autograd.grad(expected, list(model.parameters()))
    got.backward()
    for (name, parameter), gradient in zip(model.named_parameters(), wanted, strict=True):
        assert parameter.grad is not None, name
        assert gradient.abs().max() > 0, f"{name}: nothing is compared"
        assert (parameter.grad - gradient).abs().max() < 1e-9, name


def assert_twins(
    model: SoftmaxModel,
    encode: Encode,
    *,
    loss_at: LossAt = cross_entropy_at,
    bias: Tensor | None = None,
) -> None:
    """Vectors, scores, loss and gradients of ``model`` are those of ``encode``, to 1e-9."""
    batch = sessions(model.n_items)
    ends = targets_of(batch)
    places = list(zip(*(end.tolist() for end in ends), strict=True))
    assert len(places) > 20
    at_ends = torch.stack([encode(clicks_until(batch, *place)) for place in places])
    torch.testing.assert_close(model.encode(batch, ends), at_ends, rtol=0, atol=1e-9)
    whole = torch.stack([encode(clicks_until(batch, r, 99)) for r in range(len(batch.items))])
    torch.testing.assert_close(model.encode(batch), whole, rtol=0, atol=1e-9)
    scores = whole @ model.items.T + (0 if bias is None else bias)
    torch.testing.assert_close(model.score(batch)[:, 1:], scores[:, 1:], rtol=0, atol=1e-9)

    expected = literal_loss(model, encode, batch, loss_at, bias)
    assert_loss(model, model.loss(batch).total, expected)
    assert model.items.grad is not None
    assert (model.items.grad[0] == 0).all(), "the padding must stay zero"
