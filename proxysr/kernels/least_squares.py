"""Least squares for an item-by-item matrix: an inverse in place, then blocks of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 512
"""Rows of the solution that are computed at a time."""
DENSE = 25
"""A dense product is faster than a sparse one if more than one entry in so many is not zero."""

Entries = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.floating]]
"""Rows, columns and values (m,) of entries of a matrix, row after row."""


def largest_of_solution(gram: Any, right: Any, n_kept: int) -> Entries:
    """The ``n_kept`` largest entries of each row of ``B``, where ``gram @ B = right``.

    The plain line: ``np.linalg.inv(gram) @ right.toarray()``, which takes three full matrices.

    Parameters
    ----------
    gram : (n, n)
        Symmetric and positive definite; overwritten.
    right : sparse (n, n)
    n_kept : int
        At most n.

    Raises
    ------
    ValueError
        If ``gram`` is not positive definite.
    """
    n = len(gram)
    inverse = inverted(gram)
    is_dense = right.nnz > n**2 / DENSE
    right = right.toarray() if is_dense else right.T.tocsr()
    parts = []
    for start in range(0, n, ROWS):
        block = inverse[start : start + ROWS]
        rows = block @ right if is_dense else (right @ block.T).T
        columns = np.argpartition(-rows, n_kept - 1, axis=1)[:, :n_kept]
        row = np.repeat(np.arange(start, start + len(rows)), n_kept)
        parts.append((row, columns.ravel(), np.take_along_axis(rows, columns, 1).ravel()))
    first, second, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return first, second, values


def inverted(matrix: Any) -> Any:
    """``np.linalg.inv`` of a symmetric positive definite matrix; the matrix is overwritten."""
    from scipy.linalg.lapack import get_lapack_funcs

    factor, invert = get_lapack_funcs(("potrf", "potri"), (matrix,))
    # the transpose of a symmetric matrix in C order is the same in LAPACK's order
    half, failed = factor(matrix.T, lower=True, overwrite_a=True)
    if not failed:
        half, failed = invert(half, lower=True, overwrite_c=True)
    if failed:
        raise ValueError("The matrix could not be inverted; a larger penalty helps.")
    for start in range(0, len(half), ROWS):  # LAPACK fills one half
        stop = start + ROWS
        half[start:stop, stop:] = half[stop:, start:stop].T
        square = half[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T
    return half.T
