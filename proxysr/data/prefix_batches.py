"""Batches for evaluation: every prefix that precedes a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxysr.data.batches import DeviceSessions, SessionBatch
from proxysr.data.sessions import PAD, Sessions, Task


class Prefixes(NamedTuple):
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

    picked: npt.NDArray[np.int64]
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

    def batches(self, rows: int, cells: int) -> Iterator[Prefixes]:
        """Batches with one row for each prefix.

        A batch has at most ``rows`` prefixes, and fewer if these would take more than ``cells``
        clicks with padding.
        """
        return self._one_by_one(self.order, rows, cells)

    def by_session(self, rows: int, cells: int) -> Iterator[Prefixes]:
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

    def _one_by_one(
        self, order: npt.NDArray[np.int64], rows: int, cells: int
    ) -> Iterator[Prefixes]:
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
            yield Prefixes(picked, self._with_prior(batch, session), None, target, seen)

    def _whole(
        self,
        prefixes: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
        widths: npt.NDArray[np.int64],
    ) -> Prefixes:
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
        seen = None
        if self.task == "unseen":
            seen = items[rows].masked_fill(
                torch.arange(width, device=items.device) > column[:, None], PAD
            )
        return Prefixes(picked, self._with_prior(batch, last_session), (rows, column), target, seen)

    def _on_device(self, picked: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Session, length and target of prefixes, on the device."""
        columns = (torch.from_numpy(column[picked]) for column in self.prefixes)
        session, length, target = (x.to(self.data.starts.device).long() for x in columns)
        return session, length, target

    def _with_prior(self, batch: SessionBatch, session: Tensor) -> SessionBatch:
        return batch if self.priors is None else batch._replace(prior=self.priors[session])
