"""Figure 4 of the ProxySR paper, with a number for each panel: sessions of some users on maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.agreement import Labels
from proxysr.analysis.known_users import strata_of
from proxysr.analysis.projection import MapConfig, ProjectionPair, project_pair
from proxysr.analysis.representations import representations
from proxysr.analysis.users import neighbour_purity
from proxysr.data.sessions import Sessions
from proxysr.run import RunDir, Which

SNAPSHOTS: dict[str, Which] = {"50 % of training": "half", "100 % of training": "best"}

Panel = tuple[str, str]


@dataclass(frozen=True, eq=False)
class UserMaps:
    """Maps of the same sessions by several models at two times.

    Attributes
    ----------
    pairs : dict
        Name of the model to its maps half-way and at the best epoch.
    purity : DataFrame
        By model and time: :func:`proxysr.analysis.users.neighbour_purity` of the vectors.
    """

    pairs: dict[str, ProjectionPair]
    purity: pd.DataFrame

    @property
    def panels(self) -> dict[Panel, npt.NDArray[np.float32]]:
        """Model and time to positions (n, 2)."""
        return {
            (name, when): one.positions
            for name, pair in self.pairs.items()
            for when, one in zip(SNAPSHOTS, (pair.half, pair.full), strict=True)
        }

    @property
    def notes(self) -> dict[Panel, str]:
        """Model and time to the purity and what it is by chance."""
        return {
            panel: f"{row.metric} {row.value:.2f}, by chance {row.null_low:.2f} to "
            f"{row.null_high:.2f} (p = {row.p_value:.2g})"
            for panel, row in zip(self.panels, self.purity.itertuples(), strict=True)
        }


def user_maps(
    runs: Mapping[str, RunDir],
    sessions: Sessions,
    users: Labels,
    *,
    settings: MapConfig | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> UserMaps:
    """Lay out sessions by what each model takes for general interest, and count neighbours.

    Parameters
    ----------
    runs : mapping
        Name to run; maps are kept in its folder ``cache``.
    sessions : Sessions
        Those of a few users, each with a click.
    users : sequence (n,)
        User of each session; exchanged among sessions of about the same length and time.
    settings : MapConfig, optional
    n_permutations, seed : int
    """
    vectors = {
        (name, when): representations(run.model(which), sessions, general=True)
        for name, run in runs.items()
        for when, which in SNAPSHOTS.items()
    }
    pairs = {
        name: project_pair(
            *(vectors[name, when] for when in SNAPSHOTS), config=settings, cache=run.path / "cache"
        )
        for name, run in runs.items()
    }
    purity = neighbour_purity(
        {str(panel): some for panel, some in vectors.items()},
        users,
        strata=strata_of(sessions.lengths, sessions.started_at),
        n_permutations=n_permutations,
        seed=seed,
    ).drop(columns="vectors")
    purity.index = pd.MultiIndex.from_tuples(list(vectors), names=["model", "when"])
    return UserMaps(pairs, purity)
