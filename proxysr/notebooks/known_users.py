"""Train one model with several shares of known users; each share is a data folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proxysr import paths
from proxysr.config import require
from proxysr.data.known import with_known_users
from proxysr.data.sessions import SessionSplit
from proxysr.notebooks.comparison import Variant, train_variants
from proxysr.presets import preset
from proxysr.run import RunDir


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


def known_table(data: Mapping[int, Path]) -> pd.DataFrame:
    """How much is known at each share.

    Returns
    -------
    DataFrame
        Indexed by share (percent): ``known_users``, ``of_users`` (with enough training sessions);
        ``train_sessions`` and ``test_sessions`` of known users, and each as a share of all.
    """
    rows = []
    for share, folder in data.items():
        split = SessionSplit.load(folder)
        row = {"share": share, "known_users": split.n_users}
        row["of_users"] = split.provenance["known_users"]["of_users"]
        for part in ("train", "test"):
            known = np.asarray(split.part(part).user_index) >= 0
            row |= {f"{part}_sessions": known.sum(), f"of_{part}": known.mean()}
        rows.append(row)
    return pd.DataFrame(rows).set_index("share")


def preset_variant(name: str, *, epochs: int, negatives: str = "") -> Variant:
    """ProxySR at the settings of a preset, to be trained for some epochs.

    Parameters
    ----------
    name : str
        A preset of ProxySR.
    epochs : int
        The choice hardens over three fifths of them, and at most ten.
    negatives : {"", "hardest", "all"}
        As in the preset if empty.

    Raises
    ------
    ConfigError
        If there is no such preset, or it is of another model.
    """
    chosen = preset(name)
    require(
        chosen.model == "proxysr",
        f"Only ProxySR has a bias of known users; preset {name!r} is of {chosen.model}.",
    )
    changes = {"negatives": negatives} if negatives else {}
    variant = Variant("ProxySR", chosen.model, chosen.model_config, chosen.train)
    return variant.changed("ProxySR", anneal_epochs=min(10, epochs * 3 // 5), **changes)


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
