"""The smallest change of a session that makes it choose another proxy, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from proxysr.analysis.attribution import smallest_flip
from proxysr.explorer.scene import Scene

N_REPLACEMENTS = 50
"""How many of the most common items are tried in place of each click."""


class Change(NamedTuple):
    """The changed clicks, or None if no change of one click does it; and a sentence."""

    clicks: tuple[int, ...] | None
    sentence: str


def smallest_change(scene: Scene, clicks: Sequence[int], user: int) -> Change:
    """The one click to drop, or to replace by a common item, that changes the chosen proxy."""
    common = np.argsort(-scene.counts.total[1:], kind="stable")[:N_REPLACEMENTS] + 1
    flip = smallest_flip(scene.model, list(clicks), replacements=common, user=user)
    if flip is None:
        return Change(None, "No change of a single click makes it choose another proxy.")
    what, where = f"“{scene.label(flip.item)}”", f"(click {flip.position + 1})"
    done = (
        f"Dropping {what} {where}"
        if flip.replacement is None
        else f"Replacing {what} {where} by “{scene.label(flip.replacement)}”"
    )
    return Change(
        flip.clicks,
        f"{done} makes it choose proxy {flip.after} in place of {flip.before}, "
        f"with probability {flip.probability:.2f}.",
    )
