"""Findings: sentences on the result of training, such as whether the model beats counting.

Each sentence makes one statement, with its numbers, and says what to try if something is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from proxysr.data.sessions import SessionSplit, Task
from proxysr.evaluation import evaluate
from proxysr.models import create

CRITERION, SECOND = "R@20", "MRR@20"
"""What models and epochs are chosen by, and what decides between equal ones."""

VAGUE = 3
"""The likeliest proxy of a session has at least that many times its share by chance."""
ONE_PROXY = "One proxy is no proxy model"
COLLAPSED = "They have collapsed."
UNCLEAR = "Which proxy a session is for is vague"
RESTLESS = 0.9
"""Share of sessions that change proxy above which a proxy says little about a session."""

COUNTERS = {"cooccurrence": "co-occurrence", "popularity": "popularity"}
"""Models that only count and take seconds, by name; every other model should beat them."""

Metrics = dict[str, float]


def worth(row: Mapping[str, float]) -> tuple[float, float]:
    """What the metrics of validation are compared by: recall, then MRR."""
    return row[CRITERION], row.get(SECOND, 0.0)


def counted(
    split: SessionSplit, *, task: Task, min_prefix: int, device: torch.device | str
) -> dict[str, Metrics]:
    """Metrics of the :data:`COUNTERS` on the validation sessions, and ``n_targets``, by name.

    With task "repeat", co-occurrence also counts pairs of an item with itself. All processes of a
    joint training make this call.
    """
    settings: dict[str, dict[str, Any]] = {"cooccurrence": {"self_pairs": task == "repeat"}}
    metrics = {}
    for name in COUNTERS:
        model = create(name, split.n_items, settings.get(name)).to(device)
        model.prepare(split.train)
        found = evaluate(
            model, split.valid, task=task, ks=(20,), min_prefix=min_prefix, together=True
        )
        metrics[name] = {**found.metrics, "n_targets": found.n_targets}
    return metrics


def use_of_proxies(ranks: pd.DataFrame) -> Metrics:
    """How an evaluation's prefixes use the proxies.

    Parameters
    ----------
    ranks : DataFrame
        A row a prefix: ``session_id``, ``proxy`` and its ``probability``, in the order of time.

    Returns
    -------
    dict
        ``proxies_in_use``: number of proxies that any prefix chose. ``effective_proxies``:
        exponential of the entropy of the proxies' shares of sessions (by their last prefixes);
        ``largest_share``: the largest of these shares. ``sessions_changing``: share of the sessions
        with several prefixes whose proxy changes; missing if there are no such sessions.
        ``mean_max_pi``: mean probability.

    >>> use = use_of_proxies(pd.DataFrame({"session_id": [1, 1, 2, 2], "proxy": [3, 5, 4, 4],
    ...     "probability": [0.5, 1.0, 1.0, 0.5]}))
    >>> use["proxies_in_use"], round(use["effective_proxies"], 4), use["sessions_changing"]
    (3, 2.0, 0.5)
    """
    sessions = ranks.groupby("session_id", sort=False)["proxy"]
    shares = sessions.last().value_counts(normalize=True).to_numpy()
    use = {
        "proxies_in_use": ranks["proxy"].nunique(),
        "effective_proxies": float((shares**-shares).prod()),
        "largest_share": float(shares.max()),
        "mean_max_pi": float(ranks["probability"].mean()),
    }
    several = sessions.nunique()[sessions.size() > 1]
    return use | ({"sessions_changing": float((several > 1).mean())} if len(several) else {})


def findings(
    rows: Sequence[Mapping[str, float]],
    best_epoch: int,
    counters: Mapping[str, Metrics],
    *,
    model: str,
    n_proxies: int | None = None,
    temperature: float | None = None,
) -> list[str]:
    """Sentences on a finished training.

    Parameters
    ----------
    rows : sequence of mapping
        The history: one row an epoch, with ``R@20``, ``MRR@20`` and the columns of
        :func:`use_of_proxies`.
    best_epoch : int
    counters : mapping
        Result of :func:`counted`.
    model : str
        Its name in ``MODELS``.
    n_proxies : int, optional
        Number of the model's proxies, if it has any.
    temperature : float, optional
        That of their posterior in training, if the model has one.
    """
    best, last = rows[best_epoch], len(rows) - 1
    texts = [_compared(best, counters, model, improving=best_epoch == last)]
    if best_epoch == last:
        known = f"The best epoch is the last one ({last}): it was still improving, so "
        known = known if last else "There was one epoch, which does not tell whether more help: "
        texts.append(f"{known}train longer, such as with --resume --epochs {2 * len(rows)}.")
    if n_proxies == 1 or (n_proxies is not None and "effective_proxies" in best):
        texts.append(_about_proxies(best, n_proxies, model, temperature))
    return texts


def warnings_of(sentences: Sequence[str]) -> list[str]:
    """Short forms of the findings on proxies that do not tell sessions apart.

    >>> warnings_of(["On validation, it beats popularity (0.1).", "1.2 of 8 proxies are in use, "
    ...     "and 2% of the sessions change proxy. They have collapsed. Try more epochs."])
    ['The proxies have collapsed: 1.2 of 8 proxies are in use. Try more epochs.']
    """
    texts = [sentence for sentence in sentences if sentence.startswith(ONE_PROXY)]
    for sentence in sentences:
        _, vague, more = sentence.partition(UNCLEAR)
        texts += [vague + more] if vague else []
        facts, collapsed, tries = sentence.partition(COLLAPSED)
        if collapsed:
            facts = facts.partition(", and ")[0].rstrip(". ")
            texts.append(f"The proxies have collapsed: {facts}.{tries}")
    return texts


def _compared(
    own: Mapping[str, float], counters: Mapping[str, Metrics], model: str, *, improving: bool
) -> str:
    """Whether it is better than counting."""
    all_found = own[CRITERION] == 1 and any(row[CRITERION] == 1 for row in counters.values())
    metric = SECOND if all_found else CRITERION
    shown = {name: f"{COUNTERS[name]} ({row[metric]:.4f})" for name, row in counters.items()}
    behind = [shown[name] for name, row in counters.items() if worth(own) <= worth(row)]
    level = [
        shown[name] for name, row in counters.items()
        if shown[name] not in behind and not all_found and _by_chance(own[CRITERION], row)
    ]  # fmt: skip
    ahead = [text for text in shown.values() if text not in (*behind, *level)]
    start = f"On validation, {metric} of {model} is {own[metric]:.4f}: it "
    if all_found:
        start = f"{CRITERION} is 1 for counting, too, so it tells nothing here. {start}"
    if not (behind or level):
        return f"{start}beats {' and '.join(ahead)}."
    beaten = f", but beats {ahead[0]}" if ahead else ""
    if not behind:
        n_targets = max(int(row["n_targets"]) for row in counters.values())
        return (
            f"{start}cannot be told from {' and '.join(level)}{beaten}: with {n_targets:,} "
            "targets, chance makes as large a difference. Try more sessions, or a larger "
            "valid_fraction."
        )
    tries = ["more epochs"] if improving else []
    tries += ["the model latent_proxy"] if model != "latent_proxy" else []
    return (
        f"{start}does not beat {' and '.join(behind)}{beaten}. "
        f"Try {', '.join([*tries, 'a smaller or larger learning_rate'])}."
    )


def _by_chance(recall: float, counter: Metrics) -> bool:
    """Whether a recall is ahead by less than twice the standard error of the difference.

    Both are shares of the same targets, taken to be independent. As models tend to find the same
    ones, and one session's are alike, this is a rough measure, and errs on the careful side.
    """
    if "n_targets" not in counter:  # counted by an older version, and kept in a run that goes on
        return False
    other = counter[CRITERION]
    variance = (recall * (1 - recall) + other * (1 - other)) / counter["n_targets"]
    return recall - other <= 2 * math.sqrt(variance)


def _about_proxies(
    row: Mapping[str, float], n_proxies: int, model: str, temperature: float | None
) -> str:
    """Whether the proxies tell sessions apart."""
    if n_proxies == 1:
        return f"{ONE_PROXY}: all sessions have the same. Try a larger n_proxies."
    effective, largest = row["effective_proxies"], row["largest_share"]
    text = f"{effective:.1f} of {n_proxies} proxies are in use in effect; the largest has "
    text += f"{largest:.0%} of the sessions"
    if "sessions_changing" in row:
        text += f", and {row['sessions_changing']:.0%} of the sessions change proxy while clicked"
    # of two or three proxies, one may well have half of the sessions
    few = effective < min(max(2.0, n_proxies / 10), (n_proxies + 1) / 2)
    is_own = model == "latent_proxy"
    parting = "more epochs (with a larger patience), fewer proxies (n_proxies)"
    parting += ", temperature=1" if temperature != 1 else ""
    if few or largest > max(0.5, 1.5 / n_proxies):
        tries = (
            "more negatives (n_negatives, negatives), a larger init_std, a smaller "
            "init_std_selector, the model latent_proxy"
        )
        return f"{text}. {COLLAPSED} Try {parting if is_own else tries}."
    if row.get("sessions_changing", 0.0) > RESTLESS:
        return (
            f"{text}. {UNCLEAR}: nearly all change, so groups of sessions are those of their last "
            f"clicks. Try {parting if is_own else 'the model latent_proxy'}."
        )
    chance, likeliest = 1 / n_proxies, row.get("mean_max_pi", 1.0)
    if likeliest < min(VAGUE * chance, 0.5):
        return (
            f"{text}. {UNCLEAR}: the likeliest one has {likeliest:.1%} on average, where chance is "
            f"{chance:.1%}, so groups of sessions mean little. Try "
            f"{parting if is_own else 'more epochs'}."
        )
    return f"{text}."
