"""Ranks first, metrics from ranks.

Every prefix of every session is scored against all items. The rank of its target is one plus the
number of items with a higher score; nothing is sorted. Metrics are means over the targets:

>>> metrics_of(np.array([1.0, 4.0, 21.0, 2.0]), ks=(2, 20))
{'R@2': 0.5, 'MRR@2': 0.375, 'R@20': 0.75, 'MRR@20': 0.4375}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from proxysr.config import ConfigError, require, require_kind, unknown
from proxysr.data.batches import PrefixBatches
from proxysr.data.known import dealt_out, seen_before
from proxysr.data.sessions import PARTS, Sessions, SessionSplit, Task
from proxysr.distributed import gathered, rank, world_size
from proxysr.kernels.tiles import Ties, all_finite, count_ranks, leave_out
from proxysr.memory_limit import require_memory
from proxysr.models.base import SessionModel
from proxysr.models.proxy_model import ProxyModel
from proxysr.priors import learning_from_history, priors

WhoseHistory = Literal["none", "own", "another"]
"""Whose earlier sessions are read: nobody's, those of the session's user, or of another user."""

CPU_MEMORY = 32 * 2**20
"""Bytes for the scores of one batch of prefixes on a CPU."""
CUDA_MEMORY = 2**30
"""The same on a GPU."""
FEWEST_ROWS = 64
"""Fewest prefixes of a batch, however many items there are."""
BYTES_OF_A_CLICK = 32
"""Bytes that a click takes while a batch is made: several 64-bit integers."""


@dataclass(frozen=True, eq=False)
class EvalResult:
    """How a model ranked the targets of some sessions.

    Attributes
    ----------
    task : {"unseen", "repeat"}
    min_prefix : int
        Fewest clicks before a target.
    metrics : dict
        ``"R@20"``, ``"MRR@20"`` and so on, shares in [0, 1].
    ranks : DataFrame
        One row a target: ``session_id``, ``position`` (0-based, of the target in its session),
        ``target`` (item index), ``rank`` (from 1), and the model's ``choices``: ``proxy`` and
        ``probability`` of models with proxies.
    """

    task: Task
    min_prefix: int
    metrics: dict[str, float]
    ranks: pd.DataFrame

    @property
    def n_targets(self) -> int:
        """Number of targets that were ranked."""
        return len(self.ranks)


def evaluate(
    model: SessionModel,
    sessions: Sessions,
    *,
    task: Task = "unseen",
    ks: Sequence[int] = (5, 10, 20),
    min_prefix: int = 1,
    ties: Ties = "mean",
    memory: int | None = None,
    history: Sequence[Sessions] = (),
    force_proxy: Tensor | None = None,
    progress: bool = False,
    together: bool = False,
) -> EvalResult:
    """Rank every target of ``sessions`` among all items.

    With task *unseen*, repeated clicks are no targets and the items of a prefix are not
    ranked; with *repeat*, nothing is left out (ProxySR, section 4.2).

    Parameters
    ----------
    model : SessionModel
        Evaluated on the device it is on, in evaluation mode.
    sessions : Sessions
    task : {"unseen", "repeat"}
    ks : sequence of int
        Lengths of the recommendation list for the metrics.
    min_prefix : int
        Fewest clicks before a target; 0 makes first clicks targets, too, for models that can
        predict them (``starts_sessions``).
    ties : {"mean", "best", "worst"}
        Rank of a target among items of equal score; with "mean", a constant model ranks targets
        in the middle.
    memory : int, optional
        Bytes for the scores and the clicks of one batch of prefixes. A batch has at least 64
        prefixes, unless they are very long.
    history : sequence of Sessions, optional
        Earlier sessions. For each session, its user's sessions that come before it, here and in
        ``sessions``, give the prior (:func:`proxysr.priors.priors`). No priors if left out.
    force_proxy : int64 (T,) or float (T, K), optional
        For a model with proxies: the proxy to use at each target, in the order of the ranks, or
        the weights of all proxies, instead of the inferred ones (:meth:`ProxyModel.score`).
    progress : bool
        Show a progress bar on stderr.
    together : bool
        All processes of a joint training make this call; each ranks a share of the prefixes
        and gets the result for all.

    Raises
    ------
    FloatingPointError
        If a score is not finite.
    ConfigError
        If there is no target, the model does not know an item, or an argument is out of range.
    """
    require_kind(sessions, Sessions, "sessions", "split.test")
    require(not isinstance(history, Sessions), "history is a list of Sessions, such as [train].")
    for earlier in history or ():
        require_kind(earlier, Sessions, "each of history", "split.train")
    require(not isinstance(ks, int), f"ks are list lengths, such as (5, 20); received {ks}.")
    require(ties in get_args(Ties), unknown(ties, get_args(Ties), "rule for ties"))
    require(min(ks, default=0) >= 1, f"ks are list lengths from 1 on; received {list(ks)}.")
    largest = int(sessions.items.max(initial=0))
    require(
        largest <= model.n_items,
        f"The sessions hold item index {largest}, but the model knows only {model.n_items} items.",
    )
    require(
        min_prefix >= 1 or model.starts_sessions,
        f"{type(model).__name__} needs a click to start from: min_prefix is at least 1; "
        f"received {min_prefix}.",
    )
    device = device_of(model)
    prefixes = PrefixBatches(
        sessions, task=task, min_prefix=min_prefix, max_length=model.max_length, device=device,
        priors=priors(model, sessions, history) if history else None,
    )  # fmt: skip
    require(
        len(prefixes) > 0,
        f"Nothing to evaluate: none of the {len(sessions)} sessions has a target of task "
        f"{task!r} after at least {min_prefix} click(s). Try a smaller min_prefix."
        if len(sessions)
        else "Nothing to evaluate: this part of the data has no sessions. Prepare the data with a "
        "larger share for it (valid_fraction, test_fraction).",
    )
    if force_proxy is not None:
        require(
            isinstance(model, ProxyModel) and len(force_proxy) == len(prefixes),
            f"force_proxy is one proxy or row of weights for each of {len(prefixes)} targets of a "
            f"model with proxies; received {len(force_proxy)} for a {type(model).__name__}.",
        )
        force_proxy = force_proxy.to(device)
    if together:
        prefixes.order = prefixes.order[rank() :: world_size()]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            columns = rank_prefixes(model, prefixes, ties, memory, force_proxy, progress)
    finally:
        model.train(was_training)
    if together:  # a process without prefixes has fewer columns
        shares = gathered(columns)
        columns = {
            name: np.concatenate([share[name] for share in shares if name in share])
            for name in shares[0]
        }
    order = np.argsort(columns.pop("row"))
    session, length, target = prefixes.prefixes
    ranks = pd.DataFrame(
        {"session_id": sessions.session_ids[session], "position": length, "target": target}
        | {name: column[order] for name, column in columns.items()}
    )
    return EvalResult(task, min_prefix, metrics_of(ranks["rank"].to_numpy(), ks), ranks)


def evaluate_with_history(
    model: SessionModel,
    split: SessionSplit,
    history: WhoseHistory,
    *,
    part: str = "test",
    task: Task = "unseen",
    ks: Sequence[int] = (5, 10, 20),
    min_prefix: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> EvalResult:
    """Rank the targets of users who were seen before, with what they did in earlier sessions.

    Parameters
    ----------
    model : SessionModel
        One that ``uses_history``, such as ``latent_proxy``.
    split : SessionSplit
    history : {"none", "own", "another"}
        The same targets are ranked as if nobody were known, with the earlier sessions of the user,
        or with those of another one: users are dealt out at random among these sessions.
    part : {"valid", "test"}
        All sessions before it are history, and so are earlier ones of this part.
    task, ks, min_prefix, progress
        See :func:`evaluate`; without a click, there is the history alone to go by.
    seed : int
        Seed of the users that are dealt out.

    Raises
    ------
    ConfigError
        If fewer than two sessions are of users seen before, or the model does not use history.
    """
    require(history in get_args(WhoseHistory), unknown(history, get_args(WhoseHistory), "history"))
    require(part in PARTS[1:], unknown(part, PARTS[1:], "part with sessions before it"))
    learning_from_history(model)
    sessions, earlier = split.part(part), [split.part(name) for name in PARTS[: PARTS.index(part)]]
    asked = seen_before(sessions, earlier)
    require(
        split.n_users > 0,
        "No session has a user, so nobody was seen before. Prepare the log with its column of "
        "users (user=…, --user).",
    )
    require(
        asked.sum() >= 2,
        f"{asked.sum()} of {len(sessions)} sessions of {part} are of a user who was seen before; "
        "at least two are needed to tell what history gives.",
    )
    users = np.array(sessions.user_index)
    if history == "another":
        users[asked] = dealt_out(users[asked], seed)
    ranks = evaluate(
        model, replace(sessions, user_index=users), task=task, ks=ks, min_prefix=min_prefix,
        history=() if history == "none" else earlier, progress=progress,
    ).ranks  # fmt: skip
    ranks = ranks[ranks["session_id"].isin(sessions.session_ids[asked])].reset_index(drop=True)
    return EvalResult(task, min_prefix, metrics_of(ranks["rank"].to_numpy(), ks), ranks)


def rank_prefixes(
    model: SessionModel,
    prefixes: PrefixBatches,
    ties: Ties,
    memory: int | None,
    force_proxy: Tensor | None,
    progress: bool,
) -> dict[str, npt.NDArray[Any]]:
    """Columns by name: ``row`` of each prefix, ``rank`` of its target, and the model's choices."""
    device = device_of(model)
    if memory is None:
        memory = CUDA_MEMORY if device.type == "cuda" else CPU_MEMORY
    n_rows = max(FEWEST_ROWS, memory // (4 * (model.n_items + 1)))
    if device.type == "cpu":
        require_memory(
            f"Ranking prefixes among {model.n_items:,} items",
            8 * min(n_rows, len(prefixes)) * (model.n_items + 1),  # scores, and a copy to compare
            f"No fewer than {FEWEST_ROWS} are ranked at a time: prepare the data without rare "
            "items, or give evaluate() a smaller memory.",
        )
    finite = torch.ones((), dtype=torch.bool, device=device)
    columns: dict[str, list[Tensor]] = {}
    rows: list[npt.NDArray[np.int64]] = []
    batches = prefixes.by_session if model.shares_prefixes else prefixes.batches
    with tqdm(
        total=len(prefixes), desc="ranking", unit="prefix", leave=False, disable=not progress
    ) as bar:
        for row, batch, ends, target, clicked in batches(n_rows, memory // BYTES_OF_A_CLICK):
            forced = {} if force_proxy is None else {"force_proxy": force_proxy[row]}
            scores, choices = model.answer(batch, ends, **forced)
            finite &= all_finite(scores, model.n_items)
            if clicked is not None:  # task "unseen"
                leave_out(scores, clicked)
            for name, column in {"rank": count_ranks(scores, target, ties), **choices}.items():
                columns.setdefault(name, []).append(column)
            rows.append(row)
            bar.update(len(row))
    if not finite:
        raise FloatingPointError(
            f"{type(model).__name__} gave scores that are not finite; ranks would mean nothing."
        )
    all_rows = np.concatenate([np.empty(0, np.int64), *rows])
    return {"row": all_rows} | {k: torch.cat(chunks).cpu().numpy() for k, chunks in columns.items()}


def rank_of(scores: Tensor, target: Tensor, ties: Ties = "mean") -> Tensor:
    """Rank from 1 (float64) of column ``target`` (B,) in each row of ``scores`` (B, V)."""
    return count_ranks(scores[None], target, ties)


def metrics_of(ranks: npt.NDArray[np.floating[Any]], ks: Sequence[int]) -> dict[str, float]:
    """Recall and mean reciprocal rank at each k from ranks (n,); shares in [0, 1]."""
    names = [f"{metric}@{k}" for k in ks for metric in ("R", "MRR")]
    return {name: float(values_of(ranks, name).mean()) for name in names}


def values_of(ranks: npt.NDArray[np.floating[Any]], metric: str) -> npt.NDArray[np.float64]:
    """Values (n,) whose mean is ``metric``, one for each rank.

    >>> values_of(np.array([1.0, 4.0, 21.0]), "MRR@20")
    array([1.  , 0.25, 0.  ])

    Raises
    ------
    ConfigError
        If ``metric`` is not R@k or MRR@k.
    """
    form = re.fullmatch(r"(R|MRR)@([1-9][0-9]*)", metric)
    if form is None:
        raise ConfigError(f"A metric is R@k or MRR@k, such as R@20; received {metric!r}.")
    hit = ranks <= int(form[2])
    return np.where(hit, 1 / ranks if form[1] == "MRR" else 1.0, 0.0)


def device_of(model: SessionModel) -> torch.device:
    """The device of a model's first parameter, or else of its first buffer."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")
