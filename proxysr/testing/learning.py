"""Checks of models that learn: their loss, and what they find in planted sessions."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch

from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import SessionSplit
from proxysr.evaluation import evaluate
from proxysr.models.base import SessionModel
from proxysr.optimizer import RowAdam
from proxysr.testing.case import Case, expect, same
from proxysr.testing.planted import N_ITEMS, cycles, planted_split, split_of
from proxysr.training import Checkpoint, History, TrainConfig, TrainState, fit

LEAK_EPOCHS = 2
"""Epochs of training on shuffled sessions; a leak of the target shows at once."""


def loss_and_parts_are_scalars(case: Case) -> None:
    """loss(batch) is Loss(total, parts): scalars, the parts detached."""
    model, batch = case.learner()
    total, parts = model.loss(batch)
    for name, value in {"total": total, **parts}.items():
        expect(value.ndim == 0, f"{name} of shape {(*value.shape,)}")
        expect(not value.requires_grad or name == "total", f"part {name} with a graph")


def every_parameter_gets_a_gradient(case: Case) -> None:
    """After some steps, each parameter that is not frozen has a finite gradient, not all zero."""
    model, batch = case.learner()
    for _ in range(2):  # what is carried from step to step, and was carried before, is in the third
        model.loss(batch)
        model.after_step()
    model.loss(batch).total.backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            expect(parameter.grad is not None, f"none of {name}")
            gradient = parameter.grad.to_dense()  # type: ignore[union-attr]
            expect(gradient.isfinite().all(), f"one of {name} that is not finite")
            expect(gradient.any(), f"only zeros of {name}")


def one_batch_is_overfitted(case: Case) -> None:
    """Within 150 steps on one batch the loss halves (without the order: falls to 60 %)."""
    model, batch = case.learner()
    model.start_epoch(100)
    optimizer = RowAdam(
        model.parameters(), lr=case.train.learning_rate or model.default_learning_rate(model.config)
    )
    share = 0.6 if case.finds == "cycle" else 0.5
    first = loss = model.loss(batch).total
    for _ in range(150):
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.after_step()
        loss = model.loss(batch).total
        if loss < share * first:
            return
    expect(False, f"a loss of {first.item():.3f}, then {loss.item():.3f}")


def resumed_training_is_the_uninterrupted_one(case: Case) -> None:
    """What was stopped and resumed ends with the same weights, bit for bit.

    Draw from torch's random state only; keep what changes in parameters and buffers.
    """
    users = np.arange(60, dtype=np.int32) % 20  # models may carry something from their sessions
    walks = replace(cycles(60, seed=1), user_index=users)
    split = split_of(walks, cycles(20, seed=2), cycles(20, seed=3))
    saved: list[Checkpoint] = []

    def trained(epochs: int, seed: int, resume: Checkpoint | None, before: History) -> History:
        return fit(
            case.build(seed), split, case.train.replace(epochs=epochs, patience=epochs),
            snapshots=before.snapshots, resume=resume, progress=False,
            on_epoch=lambda state: saved.append(copy.deepcopy(state.checkpoint())),
        )  # fmt: skip

    trained(2, 0, None, History())
    uninterrupted = saved[-1].model
    stopped = trained(1, 0, None, History())
    trained(2, 9, saved[-1], stopped)
    differ = [
        name
        for name in uninterrupted
        if not torch.equal(uninterrupted[name], saved[-1].model[name])
    ]
    expect(not differ, f"other values of {', '.join(differ)}")


def later_clicks_do_not_change_earlier_losses(case: Case) -> None:
    """The loss of a target sees the clicks before it only; else set peeks_in_training."""
    model, losses = case.learner()[0], []
    for last in (9, 30):
        items, targets = torch.tensor([[4, 2, 7, last]]), torch.tensor([[2, 0, 0, 0]])
        torch.manual_seed(0)  # both drop the same
        losses.append(model.loss(SessionBatch(items, torch.tensor([4]), targets)).total)
    same(losses[0], losses[1], "the loss of the first target, with two different last clicks")


CHECKS = [
    loss_and_parts_are_scalars, every_parameter_gets_a_gradient, one_batch_is_overfitted,
    resumed_training_is_the_uninterrupted_one,
]  # fmt: skip


class _EnoughError(Exception):
    """Training goes no further."""


def recall_after(
    model: SessionModel, split: SessionSplit, train: TrainConfig, *, k: int, enough: float = 1.0
) -> float:
    """Recall at k on the test sessions after the first epoch in which it is above ``enough``.

    If there is none, after the last one. (Not after the best by validation: among few items, recall
    at 20 is perfect before the order is known.)
    """
    recalls = []

    def measure(state: TrainState) -> None:
        metrics = evaluate(state.model, split.test, task="repeat", ks=(k,)).metrics
        recalls.append(metrics[f"R@{k}"])
        if recalls[-1] > enough or len(recalls) == train.epochs:
            raise _EnoughError

    with suppress(_EnoughError):
        fit(model, split, train, on_epoch=measure, progress=False)
    return recalls[-1]


def planted_order_is_learnt(case: Case) -> None:
    """Trained on walks along cycles, it finds the next item, or the cycle: see finds and train."""
    k, model = case.n_candidates, case.build(seed=1)
    recall = recall_after(model, planted_split(), case.train, k=k, enough=case.min_recall)
    expect(recall > case.min_recall, f"R@{k} is {recall:.2f}, not above {case.min_recall}")


def nothing_is_found_where_nothing_is(case: Case) -> None:
    """Of shuffled sessions (or by popularity, where all are alike), more than chance is a leak."""
    k, model = case.n_candidates, case.build(seed=1)
    split = planted_split(shuffled=case.finds != "nothing")
    train = case.train.replace(epochs=min(case.train.epochs, LEAK_EPOCHS))
    recall, limit = recall_after(model, split, train, k=k), 1.6 * k / N_ITEMS
    expect(recall < limit, f"R@{k} is {recall:.2f}, not below {limit:.2f}")
