"""Which proxy each session chose, as a table.

>>> ranks = pd.DataFrame({
...     "session_id": ["a", "a", "b"], "position": [1, 2, 1],
...     "proxy": [4, 7, 4], "probability": [0.6, 0.9, 0.8],
... })
>>> assignments_from_ranks(ranks)
  session_id  n_clicks  proxy  probability
0          a         2      7          0.9
1          b         1      4          0.8
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import pad

from proxysr.analysis.representations import whole_sessions, with_proxies
from proxysr.config import require, unknown
from proxysr.data.sessions import PAD, Sessions
from proxysr.models import SessionModel

COLUMNS = {
    "proxy": np.int64,
    "probability": np.float64,
    "runner_up": np.int64,
    "margin": np.float64,
    "entropy": np.float64,
}
"""Columns that summarise a model's choices."""


def assignments_from_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """The proxy of each session's longest prefix that was evaluated.

    Parameters
    ----------
    ranks : DataFrame
        ``EvalResult.ranks`` of a model that chooses proxies.

    Returns
    -------
    DataFrame
        ``session_id``, ``n_clicks`` (clicks that the choice was made by), ``proxy`` and
        ``probability`` (its weight, in (0, 1]); one row a session, in the order of ``ranks``.

    Raises
    ------
    ConfigError
        If the ranks are of a model that chooses no proxies.
    """
    for name in ("session_id", "position", "proxy", "probability"):
        require(
            name in ranks,
            f"The ranks have no column {name}; they have {', '.join(map(str, ranks))}. "
            "Only models with proxies, such as ProxySR, assign sessions to them.",
        )
    longest = ranks.groupby("session_id", sort=False)["position"].idxmax()
    chosen = ranks.loc[longest, ["session_id", "position", "proxy", "probability"]]
    return chosen.rename(columns={"position": "n_clicks"}).reset_index(drop=True)


@torch.inference_mode()
def assignments_from_model(
    model: SessionModel, sessions: Sessions, *, batch_size: int = 1024
) -> pd.DataFrame:
    """The proxy that each session chooses by all its clicks (at most the latest ``max_length``).

    Parameters
    ----------
    model : SessionModel
        In evaluation mode, on any device.
    sessions : Sessions
        Sessions without a click are left out.
    batch_size : int
        Sessions of a batch.

    Returns
    -------
    DataFrame
        One row a session, in the order of ``sessions``: ``session_id``, ``n_clicks``, ``proxy``
        and ``probability`` as in :func:`assignments_from_ranks`, and

        - ``runner_up``: the proxy that is second; -1 if there is only one,
        - ``margin``: probability less that of the runner-up, in [0, 1],
        - ``entropy`` of the K probabilities in nats, in [0, log K].

    Raises
    ------
    ConfigError
        If the model chooses no proxies.
    """
    model = with_proxies(model)
    clicked = sessions.lengths > 0
    columns = {name: np.empty(len(sessions), kind) for name, kind in COLUMNS.items()}
    for rows, batch in whole_sessions(model, sessions, batch_size):
        for name, column in zip(COLUMNS, summary(*model.weigh(batch)), strict=True):
            columns[name][rows] = column.cpu()
    n_clicks = np.minimum(sessions.lengths, model.max_length)
    table = {"session_id": sessions.session_ids, "n_clicks": n_clicks, **columns}
    return pd.DataFrame({name: column[clicked] for name, column in table.items()})


def summary(logits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """``proxy``, ``probability``, ``runner_up``, ``margin`` and ``entropy`` (B,) of choices.

    Parameters
    ----------
    logits, weights : (B, K)
        As of :meth:`ProxyModel.weigh`. The order of proxies is read from the logits: at a low
        temperature, all weights but the first may be too small to be told from 0.
    """
    best = logits.topk(min(2, logits.shape[1]), dim=1).indices
    likely = weights.gather(1, best)
    if len(best.T) == 1:
        best, likely = pad(best, (0, 1), value=-1), pad(likely, (0, 1))
    (proxy, runner_up), (probability, next_probability) = best.T, likely.T
    entropy = torch.special.entr(weights).sum(dim=1)
    return proxy, probability, runner_up, probability - next_probability, entropy


@torch.inference_mode()
def decisions(model: SessionModel, sessions: Sessions, *, batch_size: int = 1024) -> pd.DataFrame:
    """How many proxies each session meets, and since which click the last one leads.

    Of sessions longer than ``max_length``, the latest clicks are read, as if there were no others.

    Parameters are those of :func:`assignments_from_model`.

    Returns
    -------
    DataFrame
        One row a session that has a click, in the order of ``sessions``: ``session_id``,
        ``n_clicks`` (clicks that are read), ``proxy`` (after the last one), and

        - ``proxies_met``: different proxies that were most probable after some click, from 1,
        - ``decided_after``: the click, from 1 to ``n_clicks``, since which the last proxy is the
          most probable one without a break.

    Raises
    ------
    ConfigError
        If the model chooses no proxies.
    """
    model = with_proxies(model)
    clicked = sessions.lengths > 0
    names = ("n_clicks", "proxy", "proxies_met", "decided_after")
    columns = {name: np.empty(len(sessions), np.int64) for name in names}
    for rows, batch in whole_sessions(model, sessions, batch_size):
        best = model.path(batch).argmax(dim=2)
        is_click = batch.items != PAD
        n, last = batch.lengths, best[:, -1]
        ordered = best.masked_fill(~is_click, -1).sort(dim=1).values
        is_new = ordered.diff(dim=1, prepend=ordered.new_full((len(best), 1), -1)) != 0
        # clicks that follow the latest one after which another proxy led
        unbroken = ((best == last[:, None]) & is_click).flip(1).long().cumprod(dim=1).sum(dim=1)
        results = (n, last, is_new.sum(dim=1), n - unbroken + 1)
        for name, column in zip(names, results, strict=True):
            columns[name][rows] = column.cpu()
    table = {"session_id": sessions.session_ids, **columns}
    return pd.DataFrame({name: column[clicked] for name, column in table.items()})


def with_label(assignments: pd.DataFrame, session_info: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add a column of the session table; sessions without a value are left out.

    Parameters
    ----------
    assignments : DataFrame
        With ``session_id``.
    session_info : DataFrame
        ``session_id`` and ``column``; ids are compared as text.
    column : str
        Such as "planted_interest".

    Raises
    ------
    ConfigError
        If the column does not exist, a session is described twice, or none is described.
    """
    require(
        column in session_info,
        unknown(column, map(str, session_info), "column of the session table"),
    )
    labels = session_info.set_index(session_info["session_id"].astype(str))[column].dropna()
    twice = labels.index[labels.index.duplicated()][:1].tolist()
    require(labels.index.is_unique, f"The session table describes session {twice} more than once.")
    labelled = assignments.assign(
        **{column: assignments["session_id"].astype(str).map(labels).to_numpy()}
    ).dropna(subset=[column])
    require(
        len(labelled) > 0,
        f"No assigned session has a {column} in the session table; session ids look like "
        f"{assignments['session_id'].head(2).tolist()} here and "
        f"{session_info['session_id'].head(2).tolist()} there.",
    )
    return labelled.reset_index(drop=True)
