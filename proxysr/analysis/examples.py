"""Example sessions: clicks, recommendations, and the next click."""

from __future__ import annotations

import numpy as np
import pandas as pd

from proxysr.config import require
from proxysr.data.sessions import Sessions
from proxysr.recommender import Recommender


def example_recommendations(
    recommender: Recommender,
    sessions: Sessions,
    *,
    n: int = 3,
    k: int = 5,
    min_clicks: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Recommendations (of unseen items) for sessions without their last click.

    Parameters
    ----------
    recommender : Recommender
    sessions : Sessions
        Such as the test part; ``n`` of those whose last item is new to them are drawn.
    n, k : int
        Sessions, and recommendations for each.
    min_clicks : int
        Fewest clicks before the last.
    seed : int
        Seed of the draw.

    Returns
    -------
    DataFrame
        ``session_id``, ``clicks`` and ``recommended`` (titles, else ids, in order, as text), and
        ``next``: what was clicked in fact, with its place among the recommended or "–".

    Raises
    ------
    ConfigError
        If no session is long enough.
    """
    targets = sessions.prefixes("unseen", min_clicks)
    ends = targets.length == sessions.lengths[targets.session] - 1
    rows = targets.session[ends]
    require(
        len(rows) > 0,
        f"None of the {len(sessions)} sessions has {min_clicks} clicks before a last new item.",
    )
    picked = np.random.default_rng(seed).choice(rows, min(n, len(rows)), replace=False)
    ids = recommender.items["item_id"].astype(str).to_numpy()
    names = recommender.items[_shown(recommender.items)].astype(str).to_numpy()
    table = []
    for row in picked:
        *prefix, target = sessions[row] - 1
        recommended = recommender.recommend([ids[item] for item in prefix], k).items
        place = np.flatnonzero(recommended["item_id"].astype(str).to_numpy() == ids[target])
        table.append(
            {
                "session_id": sessions.session_ids[row],
                "clicks": " → ".join(names[item] for item in prefix),
                "recommended": " · ".join(recommended[_shown(recommended)].astype(str)),
                "next": f"{names[target]} ({place[0] + 1 if len(place) else '–'})",
            }
        )
    return pd.DataFrame(table)


def _shown(items: pd.DataFrame) -> str:
    """The column to show: titles where known, else ids."""
    return "title" if "title" in items else "item_id"
