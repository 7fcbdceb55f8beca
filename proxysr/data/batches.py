"""Batches on the device, gathered from flat arrays without collation in Python.

A batch of two sessions, ``[5, 2, 7]`` and ``[4, 9]``, to train on::

    items    5 2      targets  2 7      lengths  2
             0 4               0 9               1

Clicks are padded on the left, so the last column is always the latest click,
and ``targets[b, l]`` is the click that follows ``items[b, l]``. For evaluation, a batch has every
prefix that precedes a target (:class:`PrefixBatches`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxysr.data.sessions import PAD, Sessions, Task

Int64s = npt.NDArray[np.int64]


class SessionBatch(NamedTuple):
    """B sessions of at most L clicks, padded on the left with ``PAD = 0``.

    Attributes
    ----------
    items : int64 (B, L)
    lengths : int64 (B,)
        Number of clicks of each row, 1..L.
    targets : int64 (B, L)
        The click after each click; ``PAD`` where there is no target.
    users : int64 (B,), optional
        User index, -1 if unknown.
    last_items : int64 (B,), optional
        In training, the click after the last column, target or not.
    prior : (B, K), optional
        Weights of a model's proxies before the first click, from the user's earlier sessions.
    counts : (float, float), optional
        ``n_targets`` and ``n_sessions``, if they differ from those of the rows: see
        :class:`TrainingBatches`.
    """

    items: Tensor
    lengths: Tensor
    targets: Tensor
    users: Tensor | None = None
    last_items: Tensor | None = None
    prior: Tensor | None = None
    counts: tuple[float, float] | None = None

    @property
    def n_targets(self) -> float | Tensor:
        """Number of targets, the divisor of means over targets."""
        return (self.targets != PAD).sum() if self.counts is None else self.counts[0]

    @property
    def n_sessions(self) -> float:
        """Number of sessions, the divisor of means over sessions."""
        return len(self.items) if self.counts is None else self.counts[1]

    def rows(self, rows: Tensor) -> SessionBatch:
        """A batch of the sessions at ``rows``."""
        return SessionBatch(
            *(None if x is None else x[rows] for x in self._replace(counts=None))  # type: ignore[arg-type]
        )


class DeviceSessions:
    """The arrays of sessions on a device, and left-padded windows of them."""

    def __init__(self, sessions: Sessions, device: torch.device | str) -> None:
        # memory-mapped arrays are read-only; torch wants its own copy
        self.items = torch.from_numpy(np.array(sessions.items)).to(device)
        self.starts = torch.from_numpy(np.array(sessions.offsets[:-1])).to(device)
        self.users = torch.from_numpy(np.array(sessions.user_index)).to(device).long()

    def window(self, values: Tensor, first: Tensor, lengths: Tensor, width: int) -> Tensor:
        """``values[first : first + lengths]`` of each row, right-aligned in ``width`` columns."""
        column = torch.arange(width, device=values.device) - (width - lengths)[:, None]
        rows = values[(first[:, None] + column.clamp(min=0)).clamp(max=len(values) - 1)]
        return rows.masked_fill(column < 0, PAD).long()


class TrainingBatches:
    """Sessions with at least one target, in a new seeded order in every epoch.

    An epoch's batches depend on ``(seed, epoch)`` only, so a resumed run sees the
    same batches as an uninterrupted one. Sessions are shuffled, then sorted by
    length within windows of ``bucket_batches`` batches to save padding, and the
    batches are shuffled again. Of a session longer than ``max_length + 1`` clicks,
    the latest are used.

    With a ``half_life``, an epoch draws a session with probability ``0.5 ** (age / half_life)``:
    see :func:`ages`. With 0, it uses all.

    With ``share = (i, n)``, :meth:`epoch` yields the i-th of n shares of each batch, about equal in
    number and length of sessions. A share's ``n_targets`` and ``n_sessions`` are those of the whole
    batch over n, so that the mean over the shares of ``terms.sum() / batch.n_targets`` is the mean
    over all targets. A batch of fewer than n sessions is not split: each process gets all of it.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        task: Task,
        min_prefix: int,
        max_length: int,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        bucket_batches: int = 1,
        half_life: float = 0.0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        is_target = sessions.is_target(task, min_prefix)
        clicks = np.minimum(sessions.lengths, max_length + 1)
        first = sessions.offsets[1:] - clicks
        cumulative = np.zeros(len(is_target) + 1, dtype=np.int64)
        np.cumsum(is_target, out=cumulative[1:])
        n_targets = (
            cumulative[sessions.offsets[1:]] - cumulative[np.minimum(first + 1, len(is_target))]
        )
        self.rows = np.flatnonzero((n_targets > 0) & (clicks > 1))
        self.lengths = (clicks - 1)[self.rows]
        self.n_targets, self.share = n_targets[self.rows], share
        self.batch_size, self.seed, self.bucket_batches = batch_size, seed, bucket_batches
        self.chances = (
            0.5 ** (ages(sessions.started_at[self.rows]) / half_life) if half_life else None
        )
        self.data = DeviceSessions(sessions, device)
        self.first = torch.from_numpy(first).to(device)
        self.targets = torch.from_numpy(np.where(is_target, sessions.items, PAD)).to(device)

    def __len__(self) -> int:
        """Number of batches of an epoch; with a ``half_life``, the most it can have."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def n_sessions(self) -> int:
        """Number of sessions of an epoch; with a ``half_life``, the most it can have."""
        return len(self.rows)

    def order(self, epoch: int) -> list[Int64s]:
        """Entries of ``rows`` of each batch of ``epoch``."""
        rng = np.random.default_rng([self.seed, epoch])
        order = self._taken(rng.permutation(len(self.rows)), rng)
        window = self.batch_size * self.bucket_batches
        batches = []
        for start in range(0, len(order), window):
            chunk = order[start : start + window]
            chunk = chunk[np.argsort(self.lengths[chunk], kind="stable")]
            batches += [
                chunk[i : i + self.batch_size] for i in range(0, len(chunk), self.batch_size)
            ]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _taken(self, entries: Int64s, rng: np.random.Generator) -> Int64s:
        """The entries of ``rows`` that an epoch uses."""
        if self.chances is None:
            return entries
        return entries[rng.random(len(entries)) < self.chances[entries]]

    def epoch(self, epoch: int) -> Iterator[SessionBatch]:
        """The batches of one epoch, or the shares of them."""
        device = self.first.device
        share, n_shares = self.share
        for entries in self.order(epoch):
            n_targets, n_sessions = float(self.n_targets[entries].sum()), float(len(entries))
            if n_shares <= len(entries):
                n_targets, n_sessions = n_targets / n_shares, n_sessions / n_shares
                entries = entries[share::n_shares]
            width = int(self.lengths[entries].max())
            lengths = torch.from_numpy(self.lengths[entries]).to(device, non_blocking=True)
            rows = torch.from_numpy(self.rows[entries]).to(device, non_blocking=True)
            first = self.first[rows]
            yield SessionBatch(
                items=self.data.window(self.data.items, first, lengths, width),
                lengths=lengths,
                targets=self.data.window(self.targets, first + 1, lengths, width),
                users=self.data.users[rows],
                last_items=self.data.items[first + lengths].long(),
                counts=(n_targets, n_sessions),
            )


def ages(started_at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Age of each session, from 0 of the newest to 1 of the oldest: shares of the time they span.

    If a start is unknown, the order of the sessions is used instead of time.

    >>> ages(np.array([10.0, 40.0, 50.0])).tolist()
    [1.0, 0.25, 0.0]
    >>> ages(np.array([np.nan, np.nan, 50.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    known = bool(np.isfinite(started_at).all())
    time = started_at if known else np.arange(len(started_at), dtype=np.float64)
    since: npt.NDArray[np.float64] = time.max(initial=-np.inf) - time
    return since / (float(since.max(initial=0.0)) or 1.0)


def whole_sessions(
    sessions: Sessions,
    *,
    max_length: int,
    device: torch.device | str,
    rows: int = 1024,
    pairs: int = 2**21,
) -> Iterator[tuple[Int64s, SessionBatch]]:
    """Yield (rows of ``sessions``, their batch), shortest first.

    Sessions without a click are left out; of long ones, the latest ``max_length`` clicks are read.
    A batch has at most ``rows`` sessions, and fewer if these, with padding, would have more than
    ``pairs`` pairs of clicks (the memory of attention).
    """
    data = DeviceSessions(sessions, device)
    lengths = np.minimum(sessions.lengths, max_length)
    order = np.argsort(lengths, kind="stable")  # equal lengths together need no padding
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        entries = order[start : start + rows]
        size = np.arange(1, len(entries) + 1) * lengths[entries] ** 2
        entries = entries[: max(1, int(np.searchsorted(size, pairs, side="right")))]
        start += len(entries)
        length = torch.from_numpy(lengths[entries]).to(device)
        first = torch.from_numpy(sessions.offsets[entries + 1]).to(device) - length
        items = data.window(data.items, first, length, int(lengths[entries].max()))
        users = data.users[torch.from_numpy(entries).to(device)]
        yield entries, SessionBatch(items, length, torch.zeros_like(items), users)


def batch_of(
    clicks: list[list[int]], *, device: torch.device | str = "cpu", users: list[int] | None = None
) -> SessionBatch:
    """A batch to score from lists of item indices (no targets)."""
    if not clicks or not all(clicks):
        raise ValueError(
            "A batch needs at least one session, and every session at least one click."
        )
    width = max(map(len, clicks))
    items = torch.tensor([[PAD] * (width - len(row)) + list(row) for row in clicks])
    lengths = torch.tensor([len(row) for row in clicks])
    user_index = torch.tensor([-1] * len(clicks) if users is None else users)
    items = items.to(device)
    return SessionBatch(items, lengths.to(device), torch.zeros_like(items), user_index.to(device))


class PrefixBatch(NamedTuple):
    """A batch of R prefixes.

    Attributes
    ----------
    picked : int64 (R,)
        Rows of the prefixes.
    batch : SessionBatch
    ends : int64 (R,) twice, optional
        Row and column of ``batch`` of each prefix's last click; its last column if None.
    target : int64 (R,)
    seen : int64 (R, n), optional
        Items not to rank: all clicked ones with task *unseen*, including those before ``batch``.
    """

    picked: Int64s
    batch: SessionBatch
    ends: tuple[Tensor, Tensor] | None
    target: Tensor
    seen: Tensor | None


class PrefixBatches:
    """Every prefix of sessions that precedes a target, in batches.

    ``prefixes`` are all of them; ``order`` is the order of their rows: shortest first. Of
    prefixes longer than ``max_length``, the latest clicks are read.

    Parameters
    ----------
    priors : (S, K), optional
        :attr:`SessionBatch.prior` of each session.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        task: Task,
        min_prefix: int,
        max_length: int,
        device: torch.device | str,
        priors: Tensor | None = None,
    ) -> None:
        self.prefixes = sessions.prefixes(task, min_prefix)
        self.task, self.max_length, self.priors = task, max_length, priors
        self.data = DeviceSessions(sessions, device)
        self.order = np.argsort(self.prefixes.length, kind="stable")

    def __len__(self) -> int:
        """Number of prefixes."""
        return len(self.order)

    def batches(self, rows: int, cells: int) -> Iterator[PrefixBatch]:
        """Batches with one row for each prefix.

        A batch has at most ``rows`` prefixes, and fewer if these would take more than ``cells``
        clicks with padding.
        """
        return self._one_by_one(self.order, rows, cells)

    def by_session(self, rows: int, cells: int) -> Iterator[PrefixBatch]:
        """Batches with one row for each session, which serves all of its prefixes.

        A batch has at most ``rows`` prefixes, and fewer if its sessions, with padding, would have
        more than ``cells`` pairs of clicks. Prefixes of more than ``max_length`` clicks start
        later than their session: they come last, one row each.
        """
        length = self.prefixes.length
        picked = np.sort(self.order)
        picked = picked[length[picked] <= self.max_length]
        session = self.prefixes.session[picked]
        # chunks of at most ``rows`` prefixes of a session, and the longest prefix of each
        place = np.arange(len(picked)) - np.searchsorted(session, session)
        starts = np.flatnonzero(place % rows == 0)
        sizes = np.diff(starts, append=len(picked))
        widths = length[picked[starts + sizes - 1]].astype(np.int64)
        by_width = np.argsort(widths, kind="stable")
        first = 0
        while first < len(by_width):
            n_rows = np.cumsum(sizes[by_width[first:]])
            n_cells = np.arange(1, len(n_rows) + 1) * (widths[by_width[first:]] + 1) ** 2
            n = max(1, int(((n_rows <= rows) & (n_cells <= cells)).sum()))
            chunks, first = by_width[first : first + n], first + n
            yield self._whole(picked, starts[chunks], sizes[chunks], widths[chunks])
        longer = self.order[length[self.order] > self.max_length]
        yield from self._one_by_one(longer, max(1, min(rows, cells // self.max_length**2)), cells)

    def _one_by_one(self, order: Int64s, rows: int, cells: int) -> Iterator[PrefixBatch]:
        start = 0
        while start < len(order):
            picked = order[start : start + rows]
            widths = self.prefixes.length[picked].astype(np.int64).clip(min=1)
            if self.task == "repeat":
                widths = widths.clip(max=self.max_length)
            size = np.arange(1, len(picked) + 1) * widths  # grows, since the shortest are first
            picked = picked[: max(1, int(np.searchsorted(size, cells, side="right")))]
            start += len(picked)
            longest = int(widths[len(picked) - 1])
            width = min(longest, self.max_length)
            session, whole, target = self._on_device(picked)
            lengths = whole.clamp(max=width)
            first = self.data.starts[session]
            if self.task == "unseen":
                seen = self.data.window(self.data.items, first, whole, longest)
                items = seen[:, longest - width :]
            else:
                seen = None
                items = self.data.window(self.data.items, first + whole - lengths, lengths, width)
            targets = torch.full_like(items, PAD)
            targets[:, -1] = target
            batch = SessionBatch(items, lengths, targets, self.data.users[session])
            yield PrefixBatch(picked, self._with_prior(batch, session), None, target, seen)

    def _whole(
        self, prefixes: Int64s, starts: Int64s, sizes: Int64s, widths: Int64s
    ) -> PrefixBatch:
        """Sessions whose prefixes are ``sizes`` entries from ``starts`` on."""
        row = np.repeat(np.arange(len(starts)), sizes)
        picked = prefixes[starts[row] + np.arange(len(row)) - (np.cumsum(sizes) - sizes)[row]]
        session, length, target = self._on_device(picked)
        rows = torch.from_numpy(row).to(length.device)
        lengths = torch.from_numpy(widths).to(length.device)
        last_session = session[torch.from_numpy(np.cumsum(sizes) - 1).to(length.device)]
        width = int(widths.max()) + 1  # one column before the longest session, for the empty prefix
        items = self.data.window(self.data.items, self.data.starts[last_session], lengths, width)
        column = width - 1 - lengths[rows] + length
        batch = SessionBatch(items, lengths, torch.zeros_like(items), self.data.users[last_session])
        batch = self._with_prior(batch, last_session)
        seen = None
        if self.task == "unseen":
            is_later = torch.arange(width, device=items.device) > column[:, None]
            seen = items[rows].masked_fill(is_later, PAD)
        return PrefixBatch(picked, batch, (rows, column), target, seen)

    def _on_device(self, picked: Int64s) -> tuple[Tensor, Tensor, Tensor]:
        """Session, length and target of prefixes, on the device."""
        columns = (torch.from_numpy(column[picked]) for column in self.prefixes)
        session, length, target = (x.to(self.data.starts.device).long() for x in columns)
        return session, length, target

    def _with_prior(self, batch: SessionBatch, session: Tensor) -> SessionBatch:
        return batch if self.priors is None else batch._replace(prior=self.priors[session])
