"""CSRM against its equations, one session at a time, to 1e-9 in float64; and its memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import CSRM
from tests.parity.literal_gru import all_states
from tests.parity.literal_softmax import assert_loss

N_ITEMS = 13


def build(**options: Any) -> CSRM:
    torch.manual_seed(5)
    settings = {
        "embedding_dim": 5, "max_length": 7, "init_std": 0.8, "dropout": 0.0, "dropout_items": 0.0,
        "n_remembered": 6, "n_neighbours": 3,
    } | options  # fmt: skip
    return CSRM(N_ITEMS, CSRM.Config(**settings)).double()


def batch() -> SessionBatch:
    items = torch.tensor([[0, 0, 3, 8], [5, 2, 5, 5], [0, 1, 12, 13], [0, 0, 0, 4]])
    targets = torch.tensor([[0, 0, 8, 3], [0, 5, 5, 11], [0, 12, 0, 7], [0, 0, 0, 4]])
    return SessionBatch(items, (items > 0).sum(1), targets)


def weighed(logits: list[Tensor], vectors: list[Tensor]) -> Tensor:
    exponentials = [torch.exp(logit) for logit in logits]
    return sum(e / sum(exponentials) * v for e, v in zip(exponentials, vectors, strict=True))


def local_vector(model: CSRM, clicks: list[int]) -> Tensor:
    states = all_states(model.local_encoder, [model.items[item] for item in clicks])
    a1, a2 = model.attention_latest.weight, model.attention_each.weight
    v = model.attention_out.weight[0]
    return weighed([v @ torch.sigmoid(a1 @ states[-1] + a2 @ h) for h in states], states)


def standard(x: Tensor) -> Tensor:
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    return (x - mean) / torch.sqrt(variance + 1e-10)


def vector(model: CSRM, clicks: list[int]) -> Tensor:
    local = local_vector(model, clicks)
    global_ = all_states(model.global_encoder, [model.items[item] for item in clicks])[-1]
    outer = local
    if len(model.memory):
        cosines = [(local @ m / (local.norm() * m.norm()), m) for m in model.memory]
        nearest = sorted(cosines, key=lambda pair: -pair[0].item())[: model.config.n_neighbours]
        outer = weighed([cosine for cosine, _ in nearest], [m for _, m in nearest])
    if model.config.standardised:
        local, global_, outer = standard(local), standard(global_), standard(outer)
    gate = torch.sigmoid(model.gate.weight[0] @ torch.cat([local, global_, outer]))
    inner, outer = torch.cat([local, global_]), torch.cat([outer, outer])
    return model.decoder.weight @ (gate * inner + (1 - gate) * outer)


def literal_loss(model: CSRM) -> Tensor:
    terms = []
    for row, session in enumerate(batch().items.tolist()):
        for column in range(4):
            target = int(batch().targets[row, column])
            if target:
                session_vector = vector(model, [item for item in session[: column + 1] if item])
                scores = [session_vector @ model.items[i] for i in range(1, N_ITEMS + 1)]
                terms.append(-scores[target - 1] + torch.log(sum(torch.exp(s) for s in scores)))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("standardised", [True, False])
@pytest.mark.parametrize("n_in_memory", [0, 2, 6])
def test_loss_and_gradient(n_in_memory: int, standardised: bool) -> None:
    model = build(standardised=standardised)
    model.memory = torch.randn(n_in_memory, 5, dtype=torch.float64)
    assert_loss(model, model.loss(batch()).total, literal_loss(model))


def test_scores_read_the_latest_training_sessions() -> None:
    model = build()
    lists = [
        [1, 2],
        [3],
        [4, 4, 5],
        [6, 7, 8, 9, 1, 2, 3, 4, 5],
        [2, 9],
        [],
        [11, 3],
        [7, 7],
        [5, 1],
    ]
    model.prepare(Sessions.from_lists(lists))
    model.eval()
    assert len(model.memory) == 6
    for remembered, clicks in zip(model.memory, [one for one in lists if one][-6:], strict=True):
        assert (remembered - local_vector(model, clicks[-7:])).abs().max() < 1e-9
    sessions = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 3, 3], [1, 2, 3, 3, 5, 1, 6, 3, 3]]
    scores = model.score(batch_of(sessions))
    for row, clicks in enumerate(sessions):
        expected = model.items[1:] @ vector(model, clicks[-7:])
        assert (scores[row, 1:] - expected).abs().max() < 1e-9
    torch.testing.assert_close(scores[2], scores[3])


def test_a_batch_is_remembered_after_its_step_and_forgotten_at_the_next_epoch() -> None:
    model = build()
    model.start_epoch(0)
    model.loss(batch())
    assert len(model.memory) == 0
    model.after_step()
    sessions = [[item for item in row if item] for row in batch().items.tolist()]
    for remembered, clicks in zip(model.memory, sessions, strict=True):
        assert (remembered - local_vector(model, clicks)).abs().max() < 1e-9
    first = model.memory.clone()
    model.loss(batch())
    model.after_step()
    assert len(model.memory) == 6
    assert torch.equal(model.memory, torch.cat([first[2:], first]))
    model.start_epoch(1)
    assert len(model.memory) == 0


def test_entering_evaluation_twice_gives_the_same_memory() -> None:
    model = build()
    model.prepare(Sessions.from_lists([[1, 2], [3, 4], [3, 4]]))
    first = model.eval().memory
    model.train()
    model.loss(batch())
    model.after_step()
    assert len(model.memory) == 6
    assert torch.equal(model.eval().memory, first)
    assert len(first) == 3


def test_an_evaluation_loss_is_not_remembered() -> None:
    model = build().eval()
    model.loss(batch())
    model.after_step()
    assert len(model.memory) == 0


def test_equally_near_sessions_are_read_together() -> None:
    model = build(n_neighbours=1)
    near, far = torch.randn(2, 5, dtype=torch.float64)
    query = (near + 0.1 * far)[None]
    model.memory = torch.stack([near, -far, 2 * near])
    torch.testing.assert_close(model.outer(query)[0], 1.5 * near)


def test_a_checkpoint_brings_its_memory_along() -> None:
    model, other = build(), build()
    model.prepare(Sessions.from_lists([[1, 2], [3, 4, 5]]))
    of_old = {"latest_sessions": torch.zeros(2, 3)}  # runs of old saved them beside
    other.load_state_dict(model.eval().state_dict() | of_old)
    assert torch.equal(other.memory, model.memory)
    sessions = batch_of([[4, 2, 7], [9]])
    assert torch.equal(other.eval().score(sessions), model.score(sessions))
