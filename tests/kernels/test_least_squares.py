"""The solution by blocks is the plain line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from proxysr.kernels import least_squares
from proxysr.kernels.least_squares import largest_of_solution


@pytest.mark.parametrize("rows", [5, 512])
@pytest.mark.parametrize("dense", [0.5, 1e9], ids=["sparse", "dense"])
@pytest.mark.parametrize("n_kept", [4, 13])
def test_the_largest_entries_of_each_row_are_those_of_the_plain_line(
    rows: int, dense: float, n_kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "ROWS", rows)
    monkeypatch.setattr(least_squares, "DENSE", dense)
    random = np.random.default_rng(1)
    inputs = random.normal(size=(40, 13))
    gram = inputs.T @ inputs + np.eye(13)
    right = random.normal(size=(13, 13)) * (random.random((13, 13)) < 0.3)
    plain = np.linalg.inv(gram) @ right
    first, second, values = largest_of_solution(gram.copy(), csr_matrix(right), n_kept)
    assert first.tolist() == np.repeat(np.arange(13), n_kept).tolist()
    found = np.full((13, 13), -np.inf)
    found[first, second] = values
    kept = np.where(plain >= np.sort(plain)[:, -n_kept, None], plain, -np.inf)
    np.testing.assert_allclose(found, kept, atol=1e-9)


def test_what_has_no_inverse_is_refused() -> None:
    with pytest.raises(ValueError, match="could not be inverted; a larger penalty helps"):
        largest_of_solution(-np.eye(3), csr_matrix(np.eye(3)), 3)
