"""Regrouped sessions: other groups in place of users.

Groups replace ``Sessions.user_index``, for models that remember a user's earlier sessions.

>>> dealt_out(np.array([3, 3, 5, -1]), seed=0)
array([ 5,  3,  3, -1])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import require
from proxysr.data.sessions import PARTS, SessionSplit

Ints = npt.NDArray[np.integer[Any]]


def grouped(split: SessionSplit, groups: Mapping[str, Ints] | None, by: str) -> SessionSplit:
    """A copy of the split with other groups.

    Parameters
    ----------
    split : SessionSplit
    groups : mapping, optional
        Part ("train", "valid", "test") to the group (S,) of each of its sessions, a number from 0
        on or -1 where there is none. If left out, no session belongs to any.
    by : str
        What the groups are: they are named ``BY 0``, ``BY 1`` and so on, and the provenance tells.

    Raises
    ------
    ConfigError
        If a part is missing, or its groups are not one a session.
    """
    if groups is None:
        groups = {name: np.full(len(split.part(name)), -1) for name in PARTS}
    require(
        set(groups) == set(PARTS),
        f"Groups are needed for {', '.join(PARTS)}; received {', '.join(groups) or 'none'}.",
    )
    parts: dict[str, Any] = {}
    for name in PARTS:
        part, codes = split.part(name), np.asarray(groups[name])
        require(
            len(codes) == len(part),
            f"Groups are one a session; received {len(codes)} for the {len(part)} of {name}.",
        )
        parts[name] = replace(part, user_index=codes.astype(np.int32))
    n_groups = max(int(part.user_index.max(initial=-1)) for part in parts.values()) + 1
    users = pd.DataFrame({"user_id": [f"{by} {number}" for number in range(n_groups)]})
    description = {"by": by, "fingerprint": split.fingerprint()}
    provenance = {**split.provenance, "grouped": description}
    return replace(split, **parts, users=users, provenance=provenance)


def dealt_out(groups: Ints, seed: int) -> Ints:
    """The groups (S,) in random order: the same sizes without meaning."""
    return np.asarray(np.random.default_rng(seed).permutation(groups))
