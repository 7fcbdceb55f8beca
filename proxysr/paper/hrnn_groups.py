"""Table 6: HRNN on the same sessions in other groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proxysr.analysis.agreement import agreement
from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.items import ItemCounts, top_items
from proxysr.config import require
from proxysr.data.known import dealt_out, grouped
from proxysr.data.sessions import PARTS, Sessions, SessionSplit
from proxysr.experiments.spec import Spec, Variant
from proxysr.models.hrnn import settings_text
from proxysr.run import RunDir

NO_USER = "HRNN no user"
TRUE_USER = "HRNN ground-truth user"
PROXY = "HRNN proxy"
RANDOM = "HRNN random index"
PEEKING = "HRNN proxy of the whole session (peeks)"
"""Names as in Table 6; the last one is not in it."""


@dataclass(frozen=True)
class Grouping:
    """Sessions in groups, and whether proxies choose the group of a session to be scored."""

    split: SessionSplit
    by_prefix: bool = False


def groupings(proxysr: RunDir, data_dir: str | Path, *, seed: int = 0) -> dict[str, Grouping]:
    """The four groupings of Table 6, and the one that peeks.

    Parameters
    ----------
    proxysr : RunDir
        A run of a ProxySR; its proxies, chosen by whole training sessions, make groups of them.
    data_dir : str or Path
        Prepared data of this run; users must be known for some training sessions.
    seed : int
        Seed of the random index.

    Raises
    ------
    ConfigError
        If no training session has a known user, or the run's model chooses no proxies.
    """
    split = proxysr.split(data_dir)
    require(
        bool((split.train.user_index >= 0).any()),
        "No training session of these data has a known user to compare proxies with.",
    )
    model = proxysr.model()
    chosen = {}
    for name in PARTS:
        part = split.part(name)
        chosen[name] = np.full(len(part), -1)
        assigned = assignments_from_model(model, part)["proxy"].to_numpy()
        chosen[name][part.lengths > 0] = assigned
    dealt = {name: dealt_out(codes, seed + i) for i, (name, codes) in enumerate(chosen.items())}
    by_proxy = grouped(split, chosen, "proxy")
    return {
        NO_USER: Grouping(grouped(split, None, "no user")),
        TRUE_USER: Grouping(split),
        PROXY: Grouping(by_proxy, by_prefix=True),
        RANDOM: Grouping(grouped(split, dealt, "random")),
        PEEKING: Grouping(by_proxy),
    }


def grouping_specs(
    named: Mapping[str, Grouping], hrnn: Variant, proxysr: RunDir, folder: str | Path, **fields: Any
) -> list[Spec]:
    """HRNN on each grouping.

    Parameters
    ----------
    named : mapping
        Name to grouping, from :func:`groupings`.
    hrnn : Variant
        Settings of the HRNN.
    proxysr : RunDir
        Where groups are chosen by the clicks so far, its ProxySR chooses them.
    folder : str or Path
        Where the data of each grouping are kept.
    **fields
        Further fields of the specs.
    """
    settings = settings_text(proxysr.model_config.to_dict())
    state = proxysr.model().state_dict()
    weights = {f"grouping.{name}": tensor for name, tensor in state.items()}
    specs = []
    for name, grouping in named.items():
        variant = replace(hrnn, name=name)
        if grouping.by_prefix:
            variant = replace(variant.changed(name, proxysr=settings), weights=weights)
        data = Path(folder) / f"data-{grouping.split.fingerprint()[:8]}"
        specs.append(Spec({name: grouping.split.save(data)}, [variant], **fields))
    return specs


def groups_table(
    named: Mapping[str, Grouping], users: Sessions, *, n_permutations: int = 200, seed: int = 0
) -> pd.DataFrame:
    """What the groups of the training sessions look like.

    Parameters
    ----------
    named : mapping
    users : Sessions
        The training sessions with their true users.
    n_permutations, seed : int
        Permutations that make up chance.

    Returns
    -------
    DataFrame
        One row a grouping of training sessions: ``grouping``, ``groups``, ``grouped`` (sessions),
        ``largest`` and ``median`` (sessions of a group), ``AMI`` with the true users of sessions
        that have both, and ``chance``, what it is at most (97.5 %) if users are exchanged.
    """
    rows = []
    for name, grouping in named.items():
        codes = grouping.split.train.user_index
        sizes = np.unique(codes[codes >= 0], return_counts=True)[1]
        row: dict[str, Any] = {"grouping": name, "groups": len(sizes), "grouped": sizes.sum()}
        if len(sizes):
            in_both = (codes >= 0) & (users.user_index >= 0)
            agreed = agreement(
                codes[in_both], users.user_index[in_both], n_permutations=n_permutations, seed=seed
            )
            row |= {"largest": sizes.max(), "median": np.median(sizes)}
            row |= {"AMI": agreed.ami, "chance": agreed.null_high}
        rows.append(row)
    return pd.DataFrame(rows)


def top_items_of_groups(split: SessionSplit, *, n_groups: int = 5, k: int = 3) -> pd.DataFrame:
    """The items that set the largest groups of training sessions apart.

    Returns
    -------
    DataFrame
        One row a group, the largest first: ``group``, ``sessions``, and ``items``: titles where
        known, else ids, with their lift.
    """
    codes = split.train.user_index
    numbers, sizes = np.unique(codes[codes >= 0], return_counts=True)
    counts = ItemCounts.of(split.train, split.n_items)
    label = "title" if "title" in split.items else "item_id"
    rows = []
    for place in np.argsort(-sizes, kind="stable")[:n_groups]:
        members = np.flatnonzero(codes == numbers[place])
        best = top_items(split.train, members, split.items, k=k, counts=counts)
        named = [f"{row[label]} (×{row['lift']:.1f})" for _, row in best.iterrows()]
        group = str(split.users["user_id"].iloc[numbers[place]])
        rows.append({"group": group, "sessions": sizes[place], "items": ", ".join(named)})
    return pd.DataFrame(rows)
