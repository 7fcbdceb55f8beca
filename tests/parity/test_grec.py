"""GRec against its equations, one session and one click at a time, to 1e-9 in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models import GRec
from proxysr.models.grec import Block
from tests.parity.literal_softmax import assert_loss

N_ITEMS = 13


def build(**options: Any) -> GRec:
    torch.manual_seed(5)
    settings = {
        "embedding_dim": 6, "max_length": 7, "init_std": 0.8, "dilations": (1, 2)
    } | options  # fmt: skip
    model = GRec(N_ITEMS, GRec.Config(**settings)).double()
    for name, parameter in model.named_parameters():
        if "bias" in name:
            nn.init.normal_(parameter, std=0.3)
        elif "norm" in name:
            nn.init.normal_(parameter, mean=1, std=0.3)
    return model


def batch() -> SessionBatch:
    """With sessions whose last click is no target, and a target in the middle that is none."""
    items = torch.tensor([[0, 0, 3, 8, 2], [5, 2, 5, 9, 1], [0, 1, 12, 13, 1], [0, 0, 0, 0, 4]])
    targets = torch.tensor([[0, 0, 8, 2, 3], [2, 0, 9, 1, 11], [0, 12, 13, 0, 0], [0, 0, 0, 0, 4]])
    return SessionBatch(items, (items > 0).sum(1), targets, last_items=torch.tensor([3, 11, 12, 4]))


def norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    return layer.weight * (x - mean) / torch.sqrt(variance + layer.eps) + layer.bias


def block(layer: Block, x: list[Tensor], dilation: int, *, causal: bool) -> list[Tensor]:
    z = x
    for convolution, layer_norm, step in zip(
        layer.convolutions, layer.norms, (dilation, 2 * dilation), strict=True
    ):
        d = len(x[0])
        size = convolution.weight.shape[1] // d
        first = -(size - 1) if causal else -(size // 2)
        after = []
        for t in range(len(z)):
            total = convolution.bias
            for k in range(size):
                source = t + (first + k) * step
                if 0 <= source < len(z):
                    total = total + convolution.weight[:, k * d : (k + 1) * d] @ z[source]
            after.append(norm(layer_norm, total).clamp(min=0))
        z = after
    return [a + b for a, b in zip(x, z, strict=True)]


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def literal_vector(model: GRec, clicks: list[int], t: int, gaps: set[int]) -> Tensor:
    """What is known of click t + 1 of a whole session with gaps at some positions."""
    dilations, tied = model.config.dilations, model.config.tied_items
    of_encoder, of_decoder = (
        (model.items, model.items) if tied else (model.encoder_items, model.decoder_items)
    )
    x = [model.gap if j in gaps else of_encoder[item] for j, item in enumerate(clicks)]
    for layer, dilation in zip(model.encoder, dilations, strict=True):
        x = block(layer, x, dilation, causal=False)
    y = []
    for j in range(t + 1):
        joint = x[j] + of_decoder[clicks[j]]
        wide = gelu(model.widen.weight @ joint + model.widen.bias)
        y.append(joint + model.narrow.weight @ wide + model.narrow.bias)
    for layer, dilation in zip(model.decoder, dilations, strict=True):
        y = block(layer, y, dilation, causal=True)
    return y[t].clamp(min=0)


def scores_of(model: GRec, vector: Tensor) -> list[Tensor]:
    bias = torch.zeros(N_ITEMS + 1) if model.bias is None else model.bias
    return [vector @ model.items[i] + bias[i] for i in range(1, N_ITEMS + 1)]


def literal_loss(model: GRec, before: list[tuple[int, int]]) -> Tensor:
    terms = []
    for row, session in enumerate(batch().items.tolist()):
        n_padding = session.count(0)
        whole = [*session[n_padding:], int(batch().last_items[row])]
        ends = [column - n_padding for r, column in before if r == row]
        for t in ends:
            vector = literal_vector(model, whole, t, {end + 1 for end in ends})
            scores = scores_of(model, vector)
            terms.append(-scores[whole[t + 1] - 1] + torch.log(sum(torch.exp(s) for s in scores)))
    return sum(terms) / len(terms)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gap_share": 1.0},
        {"kernel_size": 5, "dilations": (3,)},
        {"tied_items": True, "output_bias": False},
    ],
    ids=str,
)
def test_loss_and_gradient(options: dict[str, Any]) -> None:
    model = build(**options)
    torch.manual_seed(1)
    before = list(zip(*(index.tolist() for index in model.gaps(batch())), strict=True))
    torch.manual_seed(1)
    assert_loss(model, model.loss(batch()).total, literal_loss(model, before))


def test_scores_come_from_the_prefix_without_gaps() -> None:
    model = build()
    sessions = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 3, 3], [1, 2, 3, 3, 5, 1, 6, 3, 3]]
    scores = model.eval().score(batch_of(sessions))
    for row, clicks in enumerate(sessions):
        vector = literal_vector(model, clicks[-7:], len(clicks[-7:]) - 1, set())
        expected = torch.stack(scores_of(model, vector))
        assert (scores[row, 1:] - expected).abs().max() < 1e-9
    torch.testing.assert_close(scores[2], scores[3])


def test_it_starts_from_small_weights_and_no_biases() -> None:
    model = GRec(400, GRec.Config(embedding_dim=32))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            assert parameter.abs().max() <= 0.04, name
            assert 0.015 < parameter.std() < 0.02, name  # of a normal one cut at two deviations
        elif name != "gap":
            assert (parameter == float("norms" in name and name.endswith("weight"))).all(), name


def test_dropped_entries_change_the_loss_but_no_score() -> None:
    model = build(dropout=0.5, gap_share=1.0)
    losses = {model.loss(batch()).total.item() for _ in range(3)}
    assert len(losses) == 3
    model.eval()
    assert torch.equal(model.score(batch()), model.score(batch()))


def test_encode_reads_prefixes() -> None:
    model = build()
    ends = torch.tensor([0, 1, 1]), torch.tensor([3, 0, 4])
    vectors = model.encode(batch(), ends)
    for vector, clicks in zip(vectors, [[3, 8], [5], [5, 2, 5, 9, 1]], strict=True):
        expected = literal_vector(model, clicks, len(clicks) - 1, set())
        assert (vector - expected).abs().max() < 1e-9


def test_gaps_are_a_share_of_the_targets_and_at_least_one() -> None:
    model = build()
    seen = torch.zeros_like(batch().targets)
    for seed in range(60):
        torch.manual_seed(seed)
        row, column = model.gaps(batch())
        assert (batch().targets[row, column] > 0).all()
        assert torch.bincount(row, minlength=4).tolist() == [2, 2, 1, 1]
        seen[row, column] += 1
    assert ((seen > 0) == (batch().targets > 0)).all()


def test_a_session_without_targets_has_no_gap() -> None:
    b = batch()._replace(targets=torch.zeros_like(batch().targets))
    assert len(build().gaps(b)[0]) == 0


def test_the_click_in_a_gap_is_not_seen_before_it_is_told() -> None:
    """A change of the click at the gap leaves what is said of the gap as it was."""
    model = build()
    is_gap = torch.tensor([[False, False, True, False, False]])
    one, other = (torch.tensor([[3, 8, item, 2, 5]]) for item in (9, 10))
    a, b = model.states(one, is_gap), model.states(other, is_gap)
    torch.testing.assert_close(a[:, :2], b[:, :2], rtol=0, atol=0)
    assert (a[:, 2:] - b[:, 2:]).abs().max() > 1e-6


def test_the_clicks_after_a_gap_are_seen_in_training() -> None:
    model = build()
    is_gap = torch.tensor([[False, False, True, False]])
    one, other = (torch.tensor([[3, 8, 9, item]]) for item in (2, 5))
    assert (model.states(one, is_gap)[0, 1] - model.states(other, is_gap)[0, 1]).abs().max() > 1e-6
