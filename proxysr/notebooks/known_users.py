"""Train one model with several shares of known users; each share is a data folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxysr import paths
from proxysr.config import require
from proxysr.data.known import with_known_users
from proxysr.data.sessions import SessionSplit
from proxysr.notebooks.comparison import Variant, train_variants
from proxysr.runs import RunDir


def data_of_shares(
    data_dir: str | Path,
    shares: Sequence[int],
    notebook: str,
    *,
    min_sessions: int = 10,
    seed: int = 0,
) -> dict[int, Path]:
    """A folder with the prepared data for each share of known users.

    Parameters
    ----------
    data_dir : str or Path
        What ``proxysr prepare`` wrote, with users.
    shares : sequence of int
        Percentages of the users with at least ``min_sessions`` training sessions, 0 among them.
    notebook : str
        Among whose runs the folders are.
    min_sessions, seed
        See :func:`proxysr.data.known.with_known_users`.

    Returns
    -------
    dict
        Percentage, ascending, to folder.

    Raises
    ------
    ConfigError
        If 0 is not among the shares, one is out of range, or there are no users to be known.
    """
    require(
        0 in shares and len(set(shares)) > 1,
        "Shares are held against 0 %, so 0 and at least one more are needed; received "
        f"{', '.join(map(str, shares)) or 'none'}.",
    )
    split = SessionSplit.load(data_dir)
    found: dict[int, Path] = {}
    for share in sorted(set(shares)):
        some = with_known_users(split, share / 100, min_sessions=min_sessions, seed=seed)
        folder = paths.runs() / notebook / f"data-{some.fingerprint()[:8]}"
        found[share] = some.save(folder)
    return found


def train_shares(
    variant: Variant, data: Mapping[int, Path], notebook: str, **options: Any
) -> dict[int, list[RunDir]]:
    """Train a variant on the data of each share, with a bias for each of its known users.

    Parameters
    ----------
    variant : Variant
        Of a model with ``n_users``, such as ProxySR.
    data : mapping
        Share to folder, see :func:`data_of_shares`.
    notebook : str
    **options
        As of :func:`proxysr.notebooks.comparison.train_variants`.

    Returns
    -------
    dict
        Share to runs, one for each seed.
    """
    runs: dict[int, list[RunDir]] = {}
    for share, folder in data.items():
        name = f"{share} % known"
        known = variant.changed(name, n_users=SessionSplit.load(folder).n_users)
        runs[share] = train_variants([known], folder, notebook, **options)[name]
    return runs
