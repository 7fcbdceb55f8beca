"""Batches against slow literal twins: padding, targets, order, resume."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proxysr.data.batches import PrefixBatches, SessionBatch, TrainingBatches, batch_of
from proxysr.data.sessions import PAD, Sessions, Task
from proxysr.models.memory import GroupBatches

CLICKS = st.lists(st.lists(st.integers(1, 5), max_size=9), min_size=1, max_size=12)
TASKS: st.SearchStrategy[Task] = st.sampled_from(["unseen", "repeat"])
LENGTHS = st.integers(1, 6)


def training(
    clicks: list[list[int]],
    *,
    task: Task = "repeat",
    min_prefix: int = 1,
    max_length: int = 50,
    batch_size: int = 3,
    seed: int = 0,
    bucket_batches: int = 2,
) -> TrainingBatches:
    sessions = Sessions.from_lists(clicks, user_index=[row % 3 - 1 for row in range(len(clicks))])
    return TrainingBatches(
        sessions,
        task=task,
        min_prefix=min_prefix,
        max_length=max_length,
        batch_size=batch_size,
        seed=seed,
        device="cpu",
        bucket_batches=bucket_batches,
    )


def literal_row(
    session: list[int], task: Task, min_prefix: int, max_length: int
) -> tuple[list[int], list[int], int]:
    """Inputs, targets and last click of one training session, click by click."""
    first = max(0, len(session) - max_length - 1)
    targets = []
    for position in range(first + 1, len(session)):
        counts = position >= min_prefix
        if task == "unseen" and session[position] in session[:position]:
            counts = False
        targets.append(session[position] if counts else PAD)
    return session[first:-1], targets, session[-1]


def rows_of(batch: SessionBatch) -> list[tuple[list[int], list[int], int, int]]:
    """The rows of a batch without padding; the padding itself is checked on the way."""
    assert batch.users is not None
    assert batch.last_items is not None
    rows = []
    for b, length in enumerate(batch.lengths.tolist()):
        pads = batch.items.shape[1] - length
        assert batch.items[b, :pads].tolist() == batch.targets[b, :pads].tolist() == [PAD] * pads
        rows.append(
            (
                batch.items[b, pads:].tolist(),
                batch.targets[b, pads:].tolist(),
                int(batch.last_items[b]),
                int(batch.users[b]),
            )
        )
    return rows


@given(
    clicks=CLICKS,
    task=TASKS,
    min_prefix=st.integers(1, 4),
    max_length=LENGTHS,
    batch_size=LENGTHS,
    bucket_batches=st.integers(1, 3),
    epoch=st.integers(0, 3),
)
def test_an_epoch_holds_every_target_exactly_once(
    clicks: list[list[int]],
    task: Task,
    min_prefix: int,
    max_length: int,
    batch_size: int,
    bucket_batches: int,
    epoch: int,
) -> None:
    batches = training(
        clicks,
        task=task,
        min_prefix=min_prefix,
        max_length=max_length,
        batch_size=batch_size,
        bucket_batches=bucket_batches,
    )
    expected = []
    for row, session in enumerate(clicks):
        if len(session) > 1:
            inputs, targets, last = literal_row(session, task, min_prefix, max_length)
            if any(targets):
                expected.append((inputs, targets, last, row % 3 - 1))
    made = list(batches.epoch(epoch))
    got = [row for batch in made for row in rows_of(batch)]
    assert Counter(map(str, got)) == Counter(map(str, expected))
    assert len(batches) == len(made)
    assert batches.n_sessions == len(expected)
    for batch in made:
        assert batch.items.dtype == batch.targets.dtype == torch.int64
        assert len(batch.lengths) <= batch_size
        assert batch.items.shape[1] == int(batch.lengths.max())  # no column is all padding


def test_a_training_batch_worked_by_hand() -> None:
    (batch,) = training([[5, 2, 5, 7], [4, 9]], task="unseen", max_length=3).epoch(0)
    order = batch.lengths.argsort(descending=True)
    assert batch.items[order].tolist() == [[5, 2, 5], [0, 0, 4]]
    assert batch.targets[order].tolist() == [[2, 0, 7], [0, 0, 9]]
    assert batch.lengths[order].tolist() == [3, 1]


def test_the_latest_clicks_of_a_long_session_are_kept() -> None:
    (batch,) = training([[1, 2, 3, 4, 5]], max_length=2).epoch(0)
    assert batch.items.tolist() == [[3, 4]]
    assert batch.targets.tolist() == [[4, 5]]


def flat(batches: TrainingBatches, epoch: int) -> list[object]:
    return [rows_of(batch) for batch in batches.epoch(epoch)]


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    clicks = [[1 + (row + i) % 5 for i in range(2 + row % 7)] for row in range(40)]
    here, resumed = training(clicks, seed=3), training(clicks, seed=3)
    whole = [flat(here, epoch) for epoch in range(4)]
    assert flat(resumed, 2) == whole[2]  # epochs 0 and 1 were never drawn
    assert flat(resumed, 2) == whole[2]  # nor does drawing change anything
    assert flat(resumed, 3) == whole[3]
    assert whole[0] != whole[1]
    assert flat(training(clicks, seed=4), 0) != whole[0]


def test_bucketing_saves_padding_and_one_bucket_is_a_plain_shuffle() -> None:
    rng = np.random.default_rng(0)
    clicks = [[1] * int(n) for n in rng.integers(2, 30, size=200)]

    def padded(bucket_batches: int) -> int:
        batches = training(clicks, batch_size=8, bucket_batches=bucket_batches)
        return sum(int((batch.items == PAD).sum()) for batch in batches.epoch(0))

    assert padded(8) < padded(1) / 3


@given(
    users=st.lists(st.integers(-1, 4), min_size=1, max_size=25),
    batch_size=st.integers(1, 6),
    epoch=st.integers(0, 2),
)
def test_groups_come_in_time_order_and_once_a_batch(
    users: list[int], batch_size: int, epoch: int
) -> None:
    """The last click of each session is its number, so that the order can be read off."""
    clicks = [[1, 2, 10 + row] if row % 5 else [7] for row in range(len(users))]
    batches = GroupBatches(
        Sessions.from_lists(clicks, user_index=users), task="repeat", min_prefix=1, max_length=9,
        batch_size=batch_size, seed=1, device="cpu",
    )  # fmt: skip
    came: dict[int, list[int]] = {}
    sizes = []
    for batch in batches.epoch(epoch):
        rows = [row for _, _, row, _ in rows_of(batch)]
        known = [user for _, _, _, user in rows_of(batch) if user >= 0]
        assert len(known) == len(set(known))
        for _, _, last, user in rows_of(batch):
            came.setdefault(user, []).append(last - 10)
        sizes.append(len(rows))
    kept = [row for row, session in enumerate(clicks) if len(session) > 1]
    for user in set(users):
        own = [row for row in kept if users[row] == user]
        got = came.get(user, [])
        assert (got if user >= 0 else sorted(got)) == own
    largest = max((sum(users[row] == user for row in kept) for user in range(5)), default=0)
    assert len(sizes) == len(batches) == max(largest, -(-len(kept) // batch_size))
    assert max(sizes, default=0) <= batch_size
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_groups_are_shuffled_by_seed_and_epoch() -> None:
    sessions = Sessions.from_lists([[1, row + 2] for row in range(30)], user_index=[0, 1, -1] * 10)

    def lasts(seed: int, epoch: int) -> list[list[int]]:
        batches = GroupBatches(
            sessions, task="repeat", min_prefix=1, max_length=9, batch_size=4, seed=seed,
            device="cpu",
        )  # fmt: skip
        return [[last for _, _, last, _ in rows_of(batch)] for batch in batches.epoch(epoch)]

    assert lasts(0, 2) == lasts(0, 2)
    assert lasts(0, 2) != lasts(0, 3)
    assert lasts(0, 2) != lasts(1, 2)


def taken(batches: TrainingBatches, epochs: int = 400) -> list[float]:
    """How often each session, told by its last click, is in an epoch."""
    counts = Counter(
        row[2]
        for epoch in range(epochs)
        for batch in batches.epoch(epoch)
        for row in rows_of(batch)
    )
    return [counts[last] / epochs for last in sorted(counts)]


@pytest.mark.parametrize("kind", [TrainingBatches, GroupBatches])
def test_older_sessions_are_taken_less_often(kind: type[TrainingBatches]) -> None:
    """Halved at half the span, a quarter at its beginning; the last session has no target."""
    clicks, times = [[9, 1], [9, 2], [9, 3], [9]], [100.0, 150.0, 200.0, 900.0]
    options: dict[str, Any] = {
        "task": "repeat", "min_prefix": 1, "max_length": 9, "batch_size": 2, "seed": 1,
        "device": "cpu", "half_life": 0.5,
    }  # fmt: skip
    by_time = Sessions.from_lists(clicks, started_at=times, user_index=[0, -1, 0, 0])
    assert taken(kind(by_time, **options)) == pytest.approx([0.25, 0.5, 1.0], abs=0.08)
    uneven = Sessions.from_lists(clicks, started_at=[100.0, 200.0, 200.0, 900.0])
    assert taken(kind(uneven, **options)) == pytest.approx([0.25, 1.0, 1.0], abs=0.08)
    by_order = Sessions.from_lists(clicks)
    assert taken(kind(by_order, **options)) == pytest.approx([0.25, 0.5, 1.0], abs=0.08)
    assert taken(kind(by_time, **options | {"half_life": 0.0}), 5) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", [TrainingBatches, GroupBatches])
def test_shares_of_a_thinned_epoch_make_up_the_whole(kind: type[TrainingBatches]) -> None:
    sessions = Sessions.from_lists([[99, row + 1] for row in range(60)])
    options: dict[str, Any] = {
        "task": "repeat", "min_prefix": 1, "max_length": 9, "batch_size": 8, "seed": 1,
        "device": "cpu", "half_life": 0.3,
    }  # fmt: skip

    def lasts(share: tuple[int, int], epoch: int = 2) -> list[set[int]]:
        batches = kind(sessions, **options, share=share)
        return [{row[2] for row in rows_of(batch)} for batch in batches.epoch(epoch)]

    whole = lasts((0, 1))
    assert 10 < sum(map(len, whole)) < 50
    assert whole == lasts((0, 1)) != lasts((0, 1), epoch=3)
    assert whole == [a | b for a, b in zip(lasts((0, 2)), lasts((1, 2)), strict=True)]


def test_without_a_half_life_the_order_is_as_it_ever_was() -> None:
    batches = training([[1, 2]] * 7, batch_size=3, bucket_batches=1, seed=5)
    rng = np.random.default_rng([5, 2])
    order = rng.permutation(7)
    parts = [order[:3], order[3:6], order[6:]]
    expected = [parts[i].tolist() for i in rng.permutation(3)]
    assert [part.tolist() for part in batches.order(2)] == expected


def test_nothing_to_train_on_is_no_batch() -> None:
    batches = training([[1], [], [2, 2]], task="unseen")
    assert len(batches) == batches.n_sessions == 0
    assert list(batches.epoch(0)) == []


@given(
    clicks=CLICKS,
    task=TASKS,
    min_prefix=st.integers(1, 4),
    max_length=LENGTHS,
    rows=LENGTHS,
    cells=st.integers(1, 40),
)
def test_every_prefix_is_scored_once(
    clicks: list[list[int]],
    task: Task,
    min_prefix: int,
    max_length: int,
    rows: int,
    cells: int,
) -> None:
    users = [row - 1 for row in range(len(clicks))]
    sessions = Sessions.from_lists(clicks, user_index=users)
    batches = PrefixBatches(
        sessions, task=task, min_prefix=min_prefix, max_length=max_length, device="cpu"
    )
    seen_rows: list[int] = []
    longest = 0
    for picked, batch, ends, targets, seen in batches.batches(rows, cells):
        assert ends is None
        assert len(picked) <= rows
        widest = batch.items if seen is None else seen
        assert len(picked) == 1 or widest.numel() <= cells
        assert (seen is None) == (task == "repeat")
        assert batch.users is not None
        for b, row in enumerate(picked.tolist()):
            session, length, target = (int(column[row]) for column in batches.prefixes)
            prefix = clicks[session][:length]
            assert seen is None or [item for item in seen[b].tolist() if item] == prefix
            kept = prefix[-max_length:]
            pads = batch.items.shape[1] - len(kept)
            assert batch.items[b].tolist() == [PAD] * pads + kept
            assert int(batch.lengths[b]) == len(kept)
            assert batch.targets[b].tolist() == [PAD] * (batch.items.shape[1] - 1) + [target]
            assert int(targets[b]) == target
            assert int(batch.users[b]) == users[session]
            assert length >= longest  # shortest first
            longest = length
        seen_rows += picked.tolist()
    assert sorted(seen_rows) == list(range(len(batches)))


@given(
    clicks=CLICKS,
    task=TASKS,
    min_prefix=st.integers(0, 3),
    max_length=LENGTHS,
    rows=LENGTHS,
    cells=st.integers(1, 40),
)
def test_whole_sessions_are_asked_after_every_prefix(
    clicks: list[list[int]], task: Task, min_prefix: int, max_length: int, rows: int, cells: int
) -> None:
    """What lies before each end is the prefix: a session is read once for all of them."""
    users = [row - 1 for row in range(len(clicks))]
    sessions = Sessions.from_lists(clicks, user_index=users)
    batches = PrefixBatches(
        sessions, task=task, min_prefix=min_prefix, max_length=max_length, device="cpu",
        priors=torch.arange(len(clicks))[:, None],
    )  # fmt: skip
    found: list[int] = []
    for picked, batch, ends, targets, seen in batches.by_session(rows, cells):
        assert len(picked) <= rows
        last = torch.full_like(targets, batch.items.shape[1] - 1)
        row, column = (torch.arange(len(picked)), last) if ends is None else ends
        for r, number in enumerate(picked.tolist()):
            session, length, target = (int(x[number]) for x in batches.prefixes)
            prefix = clicks[session][:length]
            items = batch.items[row[r], : int(column[r]) + 1].tolist()
            assert [item for item in items if item] == prefix[-max_length:]
            assert (ends is None) == (length > max_length)
            assert int(targets[r]) == target
            assert int(batch.users[row[r]]) == users[session]
            assert int(batch.prior[row[r]]) == session
            if seen is not None:
                assert {item for item in seen[r].tolist() if item} == set(prefix)
        assert (seen is None) == (task == "repeat")
        found += picked.tolist()
    assert sorted(found) == list(range(len(batches)))


def test_read_only_arrays_make_the_same_batches() -> None:
    clicks = [[1, 2, 3], [4, 5]]
    sessions = Sessions.from_lists(clicks)
    frozen = Sessions(*(getattr(sessions, name).copy() for name in Sessions.__dataclass_fields__))
    for name in ("items", "offsets", "user_index"):
        getattr(frozen, name).flags.writeable = False  # as memory-mapped files are
    batches = PrefixBatches(frozen, task="repeat", min_prefix=1, max_length=9, device="cpu")
    assert [asked.batch.items.tolist() for asked in batches.batches(9, 99)] == [
        [[0, 1], [0, 4], [1, 2]]
    ]


def test_batch_of_lists() -> None:
    batch = batch_of([[3, 1], [2]], users=[4, -1])
    assert batch.items.tolist() == [[3, 1], [0, 2]]
    assert batch.lengths.tolist() == [2, 1]
    assert not batch.targets.any()
    assert batch.users is not None
    assert batch.users.tolist() == [4, -1]
    unknown = batch_of([[3]]).users
    assert unknown is not None
    assert unknown.tolist() == [-1]


@pytest.mark.parametrize("clicks", [[], [[1], []]])
def test_batch_of_nothing_is_refused(clicks: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one session, and every session at least one"):
        batch_of(clicks)
