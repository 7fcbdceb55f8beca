"""What every model promises of its scores, its weights and its settings."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import torch
from torch.nn.functional import pad

from proxysr.checkpoints import load_weights, save_weights
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.data.sessions import PAD
from proxysr.kernels.tiles import side_by_side
from proxysr.models.base import LearnedModel
from proxysr.testing.case import Case, expect, same
from proxysr.testing.planted import N_ITEMS, SESSIONS


def padded(batch: SessionBatch, n: int = 3) -> SessionBatch:
    """The batch with n more columns of padding."""
    return batch._replace(items=pad(batch.items, (n, 0)), targets=pad(batch.targets, (n, 0)))


def scores_are_finite_and_padding_has_none(case: Case) -> None:
    """score(batch) is (B, n_items + 1): -inf in column PAD, finite elsewhere, without a graph."""
    scores = case.prepared().score(batch_of(SESSIONS))
    shape = (len(SESSIONS), N_ITEMS + 1)
    expect(scores.shape == shape, f"shape {(*scores.shape,)} in place of {shape}")
    expect(torch.isneginf(scores[:, PAD]).all(), f"{scores[:, PAD].tolist()} in column PAD")
    expect(scores[:, 1:].isfinite().all(), "scores of items that are not finite")
    expect(not scores.requires_grad, "scores with a graph: decorate score with torch.no_grad()")


def tiles_are_the_scores(case: Case) -> None:
    """Answer gives what score gives, but for a number added to all scores of a row."""
    model = case.prepared()
    for batch in (batch_of(SESSIONS), batch_of(SESSIONS * 2)):  # few are scored in another way
        tiles, scores = model.answer(batch).tiles, model.score(batch)
        row = side_by_side(tiles, tiles.shape[0] * tiles.shape[2])
        expect((row[:, N_ITEMS + 1 :] == -torch.inf).all(), "no -inf where the last tile is empty")
        expect(torch.equal(row[:, PAD], scores[:, PAD]), "other scores of the padding")
        added = row[:, 1 : N_ITEMS + 1] - scores[:, 1:]
        same(added, added[:, :1].expand_as(added), "tiles less scores, beside item 1's", atol=1e-5)


def scores_depend_on_the_session_alone(case: Case) -> None:
    """Company and padding change nothing: mask items == PAD, take nothing from other rows."""
    model, batch = case.prepared(), batch_of(SESSIONS)
    alone = torch.cat([model.score(batch_of([clicks])) for clicks in SESSIONS])
    same(model.score(batch), alone, "in a batch, beside alone")
    same(model.score(padded(batch)), alone, "with 3 columns of padding more, beside alone")


def only_the_latest_clicks_count(case: Case) -> None:
    """Sessions longer than max_length are read by their latest clicks; see softmax.recent."""
    model = case.prepared()
    clicks = [1 + i % N_ITEMS for i in range(model.max_length + 5)]
    latest = model.score(batch_of([clicks[-model.max_length :]]))
    same(model.score(batch_of([clicks])), latest, f"{len(clicks)} clicks, beside the latest")


def scoring_changes_nothing(case: Case) -> None:
    """score, represent and choices leave the state, draw nothing, and return new memory."""
    model, batch = case.prepared(), batch_of(SESSIONS)
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = model.score(batch)
    copied = first.clone()
    for method in (model.score, model.represent, model.choices):
        method(batch_of(SESSIONS[::-1]))
    same(first, copied, "scores after other calls, beside before", rtol=0, atol=0)
    first.fill_(0)
    same(model.score(batch), copied, "scores after the caller wrote into them, beside before")
    changed = [name for name, value in model.state_dict().items() if (value != before[name]).any()]
    expect(not changed, f"changed: {', '.join(changed)}")
    expect(torch.equal(torch.get_rng_state(), random), "random numbers in evaluation mode")


def vectors_and_choices_are_one_a_session(case: Case) -> None:
    """represent(batch) is (B, D) and finite, and choices(batch) are columns (B,)."""
    model, n = case.prepared(), len(SESSIONS)
    vectors = model.represent(batch_of(SESSIONS))
    expect(vectors.ndim == 2 and len(vectors) == n, f"vectors {(*vectors.shape,)} of {n} sessions")
    expect(vectors.isfinite().all(), "vectors that are not finite")
    for name, column in model.choices(batch_of(SESSIONS)).items():
        expect(column.shape == (n,), f"{name} {(*column.shape,)} of {n} sessions")


def the_seed_decides_the_weights(case: Case) -> None:
    """Weights are drawn from torch's random state: the same seed the same, others different."""
    a, b, c = (case.build(seed).state_dict() for seed in (3, 3, 4))
    differ = [name for name in a if not torch.equal(a[name], b[name])]
    expect(not differ, f"of the same seed, other values of {', '.join(differ)}")
    drawn = any(not torch.equal(a[name], c[name]) for name in a)
    expect(drawn or not isinstance(case.build(), LearnedModel), "the same values of another seed")


def saved_weights_give_the_same_scores(case: Case) -> None:
    """What was saved scores the same: all it depends on is in parameters and buffers."""
    model, other = case.prepared(), case.build(seed=9)
    with tempfile.TemporaryDirectory() as folder:
        save_weights(Path(folder) / "weights", model.state_dict(), {})
        other.load_state_dict(load_weights(Path(folder) / "weights"))
    batch = batch_of(SESSIONS)
    same(other.eval().score(batch), model.score(batch), "loaded, beside saved", rtol=0, atol=0)


def settings_are_kept_and_checked(case: Case) -> None:
    """Config survives JSON; super().__init__(n_items, config) refuses no items, and a dict."""
    config = case.build().config
    received = type(config).from_dict(config.to_dict())
    expect(received == config, f"{received} in place of {config}")
    for arguments, kind in ((0,), ValueError), ((5, {"embedding_dim": 3}), TypeError):
        try:
            case.model(*arguments)
        except kind:
            continue
        expect(False, f"no {kind.__name__} for arguments {arguments}")


def prefixes_are_answered_as_alone(case: Case) -> None:
    """A model that shares_prefixes answers after each click as if no other had followed."""
    model, batch = case.prepared(), batch_of(SESSIONS)
    row, column = batch.items.nonzero(as_tuple=True)
    scores = side_by_side(model.answer(batch, (row, column)).tiles, N_ITEMS + 1)[:, 1:]
    start = (batch.items.shape[1] - batch.lengths)[row]
    prefixes = [SESSIONS[r][:n] for r, n in zip(row, column - start + 1, strict=True)]
    alone = torch.cat([model.score(batch_of([clicks])) for clicks in prefixes])[:, 1:]
    same(scores.diff(), alone.diff(), "differences of scores, beside each prefix alone", atol=1e-5)


CHECKS = [
    scores_are_finite_and_padding_has_none, tiles_are_the_scores,
    scores_depend_on_the_session_alone, only_the_latest_clicks_count, scoring_changes_nothing,
    vectors_and_choices_are_one_a_session, the_seed_decides_the_weights,
    saved_weights_give_the_same_scores, settings_are_kept_and_checked,
]  # fmt: skip
