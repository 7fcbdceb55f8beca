"""What the model makes of one session, for the panels of sessions and of what-if."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from proxysr.analysis.choosing import session_batch
from proxysr.analysis.counterfactuals import recommendations_under
from proxysr.explorer.card import linked
from proxysr.explorer.markup import bar, clip, table
from proxysr.explorer.scene import Scene
from proxysr.plots.theme import ORANGE

K = 10
N_WEIGHTS = 5


class Look(NamedTuple):
    """The choice and the recommendations of a session.

    Attributes
    ----------
    weights : float32 (K,)
        pi.
    best : DataFrame
        ``rank``, ``item`` and ``score`` of the recommendations.
    """

    weights: npt.NDArray[np.float32]
    best: pd.DataFrame

    @property
    def proxy(self) -> int:
        """The proxy of most weight."""
        return int(self.weights.argmax())


def look(
    scene: Scene,
    clicks: Sequence[int],
    *,
    user: int = -1,
    temperature: float | None = None,
    proxy: int | None = None,
) -> Look:
    """What the model makes of these clicks, perhaps at another temperature or with a forced proxy.

    Parameters
    ----------
    scene : Scene
    clicks : sequence of int
        At least one item index.
    user : int
        Number of the user, -1 where unknown.
    temperature, proxy : optional
    """
    weights = weights_of(scene, clicks, user=user, temperature=temperature, proxy=proxy)
    best = recommendations_under(
        scene.model, clicks, proxy=proxy, temperature=temperature, k=K, task="unseen", user=user
    )
    return Look(weights, best)


@torch.inference_mode()
def weights_of(
    scene: Scene,
    clicks: Sequence[int],
    *,
    user: int = -1,
    temperature: float | None = None,
    proxy: int | None = None,
) -> npt.NDArray[np.float32]:
    """``pi`` (K,) of a session."""
    trace = scene.model.trace(
        session_batch(scene.model, list(map(int, clicks)), user),
        force_proxy=proxy, temperature=temperature,
    )  # fmt: skip
    return np.asarray(trace.proxy_weights[0].float().cpu().numpy())


def weights_table(scene: Scene, weights: npt.NDArray[np.float32], also: Sequence[int] = ()) -> str:
    """The proxies of most weight, and some more, with their weights."""
    order = list(np.argsort(-weights, kind="stable")[:N_WEIGHTS])
    order += [proxy for proxy in also if proxy not in order]
    top = order[0]
    lines = [
        (
            *linked(scene, proxy),
            bar(float(weights[proxy]), colour="var(--px-accent)" if proxy == top else ORANGE),
            f"{weights[proxy]:.3f}" if weights[proxy] >= 0.0005 else "< 0.001",
        )
        for proxy in map(int, order)
    ]
    return table(["", "", "", ">π"], lines, style="px-weights")


def recommended_table(
    scene: Scene,
    best: pd.DataFrame,
    *,
    target: int | None = None,
    before: pd.DataFrame | None = None,
) -> str:
    """Recommendations; the true next item is marked, or what changed since ``before``."""
    old = {} if before is None else dict(zip(before["item"], before["rank"], strict=True))
    lines = []
    for rank, item in zip(best["rank"], best["item"], strict=True):
        label = scene.label(item)
        mark = "px-hit" if item == target else ""
        line = [str(rank), clip(label, title=f"{label} ({scene.item_id(item)})", style=mark)]
        if before is not None:
            line.append(_change(old.get(item), int(rank)))
        lines.append(line)
    head = [">", ""] if before is None else [">", "", ""]
    return table(head, lines, style="px-list")


def _change(old: int | None, new: int) -> str:
    if old is None:
        return '<span class="px-new">new</span>'
    if old == new:
        return '<span class="px-weak" title="same place">=</span>'
    up = old > new
    return (
        f'<span class="{"px-up" if up else "px-down"}" title="was at {old}">'
        f"{'▲' if up else '▼'} {abs(old - new)}</span>"
    )
