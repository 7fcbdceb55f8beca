"""SLIST: the linear map from the clicks of a session to the others, in closed form.

Idea
----
A matrix of items by items is chosen so that a session, as a vector of its clicks, is mapped on
itself (which items go together), and each click on those after it (which follows which). Both are
least squares with a penalty on the matrix, so one linear system gives it. Late sessions weigh
more, and so do near clicks.

Reference
---------
Minjin Choi, Jinhong Kim, Joonseok Lee, Hyunjung Shim, Jongwuk Lee: Session-aware Linear Item-Item
Models for Session-based Recommendation. WWW 2021. https://doi.org/10.1145/3442381.3450005

Where the equations are
-----------------------
Sessions as a whole (SLIS) and clicks with what follows (SLIT): :meth:`SLIST.whole` and
:meth:`SLIST.transitions`; their joint solution ``(α XᵀWX + (1 - α) SᵀWS + λ)⁻¹ (α XᵀWX + (1 - α)
SᵀWT)``: :meth:`SLIST.count`; what a session's clicks weigh: :meth:`SLIST.click_weights`.

Differences from the paper
--------------------------
- Rows of the inputs are divided by their sum, as in the authors' program.
- The diagonal of the matrix is free, as in the program. The paper bounds it in SLIS alone.
- By default a click stands alone before those after it, as in all settings that the authors
  publish (``past=click``); the paper's equations take all clicks so far (``past=clicks``).
- Ages are shares of the time that the training data span, not days.
- Of each row of the matrix, the ``n_kept`` largest entries are kept: all of them would be
  gigabytes to store for some 30,000 items, nearly all of them next to zero.

Differences from the authors' program
-------------------------------------
- Ages and what is kept, as above, and a session's time is that of its first click.
- Sessions are cut to their latest ``max_length`` clicks in training, too.
- Where ``alpha`` is 1, theirs can bound the diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from proxysr.config import Part, Positive, Whole
from proxysr.data.batches import ages
from proxysr.data.sessions import Sessions
from proxysr.kernels.least_squares import largest_of_solution
from proxysr.memory_limit import GIB, available_memory, require_memory
from proxysr.models.counting import CountingConfig, PairModel, portions


class SLISTConfig(CountingConfig):
    """Hyper-parameters of SLIST; defaults are the authors' for Diginetica."""

    alpha: Part = 0.8
    """Share α of sessions as a whole; the rest is for clicks with what follows them."""
    penalty: Positive = 10.0
    """Penalty λ on the squared entries of the matrix."""
    past: Literal["click", "clicks"] = "click"
    """What predicts the following clicks: a click alone, or all clicks so far."""
    lambda_step: Positive = 1.0
    """A click counts exp(-1/λ) of one that is a step nearer, in training."""
    lambda_click: Positive = 2.0
    """A click of the current session counts exp(-1/λ) of the click after it."""
    lambda_age: Positive = 1.7
    """Share of the training data's time by which a session counts 1/e of a new one."""
    n_kept: Whole = 1000
    """Entries of each row that are kept: the largest; 0 for all."""
    memory_gb: Positive = 10.0
    """Most memory that the matrix to be inverted and its product may take, in GiB."""


class SLIST(PairModel):
    """The model; see the module's docstring."""

    Config = SLISTConfig
    config: SLISTConfig

    def count(self, train: Sessions) -> None:
        """Solve for the matrix.

        Raises
        ------
        ConfigError
            If it takes more memory than is allowed, or than there is.
        """
        c, n = self.config, self.n_items
        self.check_memory()
        gram = np.zeros((n, n), self.dtype)
        right: Any = self._matrix(np.zeros(0, int), np.zeros(0, int), np.zeros(0), n)
        for inputs, outputs, weights in self.equations(train):
            weighted = inputs.multiply(weights.astype(self.dtype)[:, None]).T.tocsr()
            product = (weighted @ inputs).tocoo()
            gram[product.row, product.col] += product.data
            right = right + weighted @ outputs
        gram[np.diag_indices(n)] += c.penalty
        first, second, values = largest_of_solution(gram, right, min(c.n_kept or n, n))
        self.keep(first + 1, second + 1, values)

    @property
    def dtype(self) -> Any:
        """Numbers of the matrix: NumPy's name for those of the buffers."""
        return np.dtype(str(self.counts.dtype).removeprefix("torch."))

    def check_memory(self) -> None:
        """Raise ``ConfigError`` if the matrix is larger than ``memory_gb``, or than there is."""
        needed, allowed = 2 * self.n_items**2 * self.dtype.itemsize, self.config.memory_gb * GIB
        left = available_memory()
        most = allowed if left is None else min(allowed, left)
        require_memory(
            f"SLIST inverts a matrix of {self.n_items:,} x {self.n_items:,} items, which",
            needed,
            f"memory_gb allows {self.config.memory_gb:g}. Prepare the data without rare items "
            f"({isqrt(int(most / (2 * self.dtype.itemsize))):,} would fit), raise memory_gb where "
            "the machine has more, or count pairs with cooccurrence.",
            most,
        )

    def equations(self, train: Sessions) -> Iterator[tuple[Any, Any, Any]]:
        """Yields inputs and outputs (sparse, one column an item) and weights of some rows."""
        c = self.config
        lengths = np.minimum(train.lengths, c.max_length)
        weights = np.exp(-ages(train.started_at) / c.lambda_age)
        sizes = torch.from_numpy(lengths * lengths)
        for portion in portions(sizes):
            rows = np.arange(portion.start, portion.stop)
            starts, counts = train.offsets[rows + 1] - lengths[rows], lengths[rows]
            if c.alpha > 0:
                yield self.complete_sessions(train, starts, counts, c.alpha * weights[rows])
            if c.alpha < 1:
                yield self.transitions(train, starts, counts, (1 - c.alpha) * weights[rows])

    def complete_sessions(
        self, train: Sessions, starts: Any, lengths: Any, weights: Any
    ) -> tuple[Any, Any, Any]:
        """Rows of complete sessions: inputs and outputs are the items of a session."""
        row, place = _ranges(lengths)
        items = train.items[starts[row] + place]
        outputs = self._matrix(row, items, np.ones(len(row)), len(lengths))
        outputs.data[:] = 1  # an item clicked twice is one item
        return _shares(outputs), outputs, weights

    def transitions(
        self, train: Sessions, starts: Any, lengths: Any, weights: Any
    ) -> tuple[Any, Any, Any]:
        """One row a click, except the last of a session: the click, and the clicks after it."""
        session, last = _ranges(np.maximum(lengths - 1, 0))
        row, place = _ranges(lengths[session])  # a pair for every click of the session
        distance = place - last[row]
        weight = np.exp(-np.where(distance > 0, distance - 1, -distance) / self.config.lambda_step)
        items = train.items[starts[session][row] + place]
        before = distance == 0 if self.config.past == "click" else distance <= 0
        inputs, outputs = (
            self._matrix(row[mask], items[mask], weight[mask], len(session))
            for mask in (before, distance > 0)
        )
        return _shares(inputs), outputs, weights[session]

    def _matrix(self, row: Any, items: Any, values: Any, n_rows: int) -> Any:
        """A sparse matrix (n_rows, n_items); equal entries are added up."""
        from scipy.sparse import csr_matrix

        shape = (n_rows, self.n_items)
        return csr_matrix((values.astype(self.dtype), (row, np.asarray(items) - 1)), shape=shape)

    def click_weights(self, recency: Tensor, lengths: Tensor) -> Tensor:
        """Weights (n,) of clicks that ``recency`` clicks follow, in sessions of ``lengths``."""
        return torch.exp(-recency / self.config.lambda_click)


def _ranges(sizes: Any) -> tuple[Any, Any]:
    """For concatenated lists of these sizes: the list of each entry, and its place in it."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _shares(matrix: Any) -> Any:
    """The rows of a sparse matrix, divided by their sums."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return matrix.multiply((1 / np.where(sums == 0, 1, sums))[:, None].astype(sums.dtype)).tocsr()
