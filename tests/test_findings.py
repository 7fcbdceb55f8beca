"""Facts of the use of proxies against literal ones, and the sentences that follow from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.data.sessions import Sessions, Task
from proxysr.evaluation import evaluate
from proxysr.findings import COUNTERS, counted, findings, use_of_proxies, warnings_of
from proxysr.models import create
from proxysr.training import TrainConfig, fit
from tests.contract.small import cycles, split_of

COUNTED = {
    "cooccurrence": {"R@20": 0.4, "MRR@20": 0.1, "n_targets": 1000},
    "popularity": {"R@20": 0.1, "MRR@20": 0.02, "n_targets": 1000},
}
GOOD = {
    "R@20": 0.5, "effective_proxies": 12.34, "largest_share": 0.21, "sessions_changing": 0.66,
}  # fmt: skip


def said(row: dict[str, float], *, model: str = "proxysr", n_proxies: int | None = 30) -> list[str]:
    """Sentences where the epoch before the last one is the best."""
    rows = [{"R@20": 0.0}, row, {"R@20": 0.0}]
    return findings(rows, 1, COUNTED, model=model, n_proxies=n_proxies)


def test_facts_are_the_literal_ones() -> None:
    sessions = {7: [1, 1, 2], 3: [2], 5: [4, 4], 8: [2, 4, 2], 9: [0]}
    ranks = pd.DataFrame(
        [(session, proxy, 0.5) for session, path in sessions.items() for proxy in path],
        columns=["session_id", "proxy", "probability"],
    )
    found = use_of_proxies(ranks)
    shares = [3 / 5, 1 / 5, 1 / 5]  # of proxies 2, 4 and 0, which the sessions end with
    assert found["effective_proxies"] == pytest.approx(
        math.exp(-sum(p * math.log(p) for p in shares))
    )
    assert found["largest_share"] == 3 / 5
    assert found["sessions_changing"] == 2 / 3  # of three with several prefixes; one comes back
    assert (found["proxies_in_use"], found["mean_max_pi"]) == (4, 0.5)
    alone = use_of_proxies(ranks.drop_duplicates("session_id"))
    assert "sessions_changing" not in alone


@pytest.mark.parametrize("task", ["unseen", "repeat"])
def test_counters_are_those_of_the_models_that_count(task: Task) -> None:
    split = split_of(*(cycles(60, seed, shuffled=True) for seed in (1, 2, 3)))  # with repeats
    found = counted(split, task=task, min_prefix=2, device="cpu")
    assert list(found) == list(COUNTERS) == ["cooccurrence", "popularity"]

    def alone(name: str, **options: bool) -> dict[str, float]:
        model = create(name, split.n_items, options)
        model.prepare(split.train)
        result = evaluate(model, split.valid, task=task, ks=(20,), min_prefix=2)
        return result.metrics | {"n_targets": result.n_targets}

    assert found["popularity"] == alone("popularity")
    plain, own = (alone("cooccurrence", self_pairs=pairs) for pairs in (False, True))
    assert plain != own
    assert found["cooccurrence"] == (own if task == "repeat" else plain)


def test_nothing_is_off() -> None:
    assert said(GOOD) == [
        "On validation, R@20 of proxysr is 0.5000: it beats co-occurrence (0.4000) and popularity "
        "(0.1000).",
        "12.3 of 30 proxies are in use in effect; the largest has 21% of the sessions, and 66% of "
        "the sessions change proxy while clicked.",
    ]
    assert len(said({"R@20": 0.5}, model="mean", n_proxies=None)) == 1


@pytest.mark.parametrize(
    ("recall", "model", "sentence"),
    [
        (
            0.3, "proxysr",
            "On validation, R@20 of proxysr is 0.3000: it does not beat co-occurrence (0.4000), "
            "but beats popularity (0.1000). Try the model latent_proxy, a smaller or larger "
            "learning_rate.",
        ),
        (
            0.1, "latent_proxy",
            "On validation, R@20 of latent_proxy is 0.1000: it does not beat co-occurrence "
            "(0.4000) and popularity (0.1000). Try a smaller or larger learning_rate.",
        ),
    ],
)  # fmt: skip
def test_counting_is_better(recall: float, model: str, sentence: str) -> None:
    assert said(GOOD | {"R@20": recall}, model=model)[0] == sentence


def test_it_was_still_improving() -> None:
    rows: list[dict[str, Any]] = [{"R@20": 0.1}, {"R@20": 0.2}]
    lost, longer = findings(rows, 1, COUNTED, model="mean")
    assert "Try more epochs, the model latent_proxy" in lost
    assert findings(rows[:1], 0, COUNTED, model="mean")[1] == (
        "There was one epoch, which does not tell whether more help: train longer, such as with "
        "--resume --epochs 2."
    )
    assert longer == (
        "The best epoch is the last one (1): it was still improving, so train longer, such as "
        "with --resume --epochs 4."
    )


@pytest.mark.parametrize(
    ("effective", "largest", "n_proxies", "collapsed"),
    [
        (1.9, 0.4, 30, True),
        (2.1, 0.4, 30, True),  # less than a tenth
        (3.1, 0.4, 30, False),
        (9.0, 0.51, 30, True),
        (9.0, 0.49, 30, False),
        (1.8, 0.7, 2, False),
        (1.4, 0.7, 2, True),
        (1.8, 0.8, 2, True),
    ],
)
def test_proxies_that_collapsed_are_told_with_what_to_try(
    effective: float, largest: float, n_proxies: int, collapsed: bool
) -> None:
    row = GOOD | {"effective_proxies": effective, "largest_share": largest}
    sentence = said(row, n_proxies=n_proxies)[-1]
    assert ("They have collapsed. Try more negatives" in sentence) == collapsed
    sentence = said(row, n_proxies=n_proxies, model="latent_proxy")[-1]
    assert ("They have collapsed. Try more epochs" in sentence) == collapsed
    start = f"The proxies have collapsed: {effective:.1f} of {n_proxies} proxies are in use in"
    end = (
        f"effect; the largest has {largest:.0%} of the sessions. Try more epochs (with a larger "
        "patience), fewer proxies (n_proxies), temperature=1."
    )
    for facts in (row, {name: row[name] for name in row if name != "sessions_changing"}):
        sentences = said(facts, n_proxies=n_proxies, model="latent_proxy")
        assert warnings_of(sentences) == ([f"{start} {end}"] if collapsed else [])


def test_one_proxy_is_no_proxy_model() -> None:
    row = GOOD | {"effective_proxies": 1.0, "largest_share": 1.0}
    sentences = said(row, n_proxies=1)
    assert sentences[-1].startswith("One proxy is no proxy model")
    chooses_none = said({"R@20": 0.5}, n_proxies=1, model="latent_proxy")
    assert chooses_none[-1] == sentences[-1]
    assert warnings_of(sentences) == [sentences[-1]]


def test_equal_recall_is_not_better_however_the_mrr_is() -> None:
    sentence = said(GOOD | {"R@20": 0.4, "MRR@20": 0.2})[0]
    assert sentence == (
        "On validation, R@20 of proxysr is 0.4000: it cannot be told from co-occurrence (0.4000), "
        "but beats popularity (0.1000): with 1,000 targets, chance makes as large a difference. "
        "Try more sessions, or a larger valid_fraction."
    )
    assert "it does not beat co-occ" in said(GOOD | {"R@20": 0.4, "MRR@20": 0.05})[0]


@pytest.mark.parametrize(("n_targets", "beaten"), [(400, False), (4000, True)])
def test_so_many_targets_tell_one_recall_from_another(n_targets: int, beaten: bool) -> None:
    """0.45 and 0.40: twice the standard error of the difference is 0.070, and 0.022."""
    counted = {name: row | {"n_targets": n_targets} for name, row in COUNTED.items()}
    rows: list[dict[str, Any]] = [{"R@20": 0.45}, {"R@20": 0.0}]
    sentence = findings(rows, 0, counted, model="mean")[0]
    assert ("it beats co-occurrence (0.4000) and popularity" in sentence) == beaten
    assert ("with 400 targets, chance makes as large a difference" in sentence) != beaten


def test_counters_of_an_older_run_have_no_number_of_targets() -> None:
    counted = {
        name: {"R@20": row["R@20"], "MRR@20": row["MRR@20"]} for name, row in COUNTED.items()
    }
    rows: list[dict[str, Any]] = [{"R@20": 0.4, "MRR@20": 0.2}, {"R@20": 0.0}]
    assert "it beats co-occurrence (0.4000)" in findings(rows, 0, counted, model="mean")[0]


def test_clicks_at_random_are_not_said_to_beat_counting() -> None:
    """Nothing can be learnt; the best of several epochs may still have a higher value."""
    rng = np.random.default_rng(0)
    parts = [Sessions.from_lists(rng.integers(1, 41, size=(n, 4)).tolist()) for n in (300, 60, 60)]
    split = split_of(*parts)
    for seed in range(3):
        model = create("mean", split.n_items, {"embedding_dim": 8}, seed=seed)
        config = TrainConfig(epochs=4, seed=seed, device="cpu")
        history = fit(model, split, config, progress=False)
        assert "it beats" not in history.findings[0]


def test_where_counting_finds_all_recall_tells_nothing() -> None:
    """As among 20 items, all of which are shown."""
    rows = [{"R@20": 1.0, "MRR@20": 0.5}, {"R@20": 1.0, "MRR@20": 0.3}]
    counters = {name: {"R@20": 1.0, "MRR@20": 0.4} for name in COUNTED}
    assert findings(rows, 0, counters, model="mean")[0] == (
        "R@20 is 1 for counting, too, so it tells nothing here. On validation, MRR@20 of mean is "
        "0.5000: it beats co-occurrence (0.4000) and popularity (0.4000)."
    )
    assert "MRR@20 of mean is 0.3000: it does not beat" in findings(
        rows, 1, counters, model="mean"
    )[0]  # fmt: skip


@pytest.mark.parametrize(
    ("temperature", "tries"), [(4.0, "(n_proxies), temperature=1."), (1.0, "(n_proxies).")]
)
def test_a_temperature_is_not_proposed_where_it_is_in_force(temperature: float, tries: str) -> None:
    row = GOOD | {"largest_share": 0.9}
    told = findings(
        [row, GOOD | {"R@20": 0.1}], 0, COUNTED, model="latent_proxy", n_proxies=30,
        temperature=temperature,
    )[-1]  # fmt: skip
    assert told.endswith(f"Try more epochs (with a larger patience), fewer proxies {tries}")


@pytest.mark.parametrize(("likeliest", "vague"), [(0.02, True), (0.09, True), (0.2, False)])
def test_proxies_that_hardly_differ_are_told(likeliest: float, vague: bool) -> None:
    text = said(GOOD | {"mean_max_pi": likeliest})[-1]
    assert ("Which proxy a session is for is vague" in text) is vague
    short = text.partition("while clicked. ")[2]
    assert warnings_of(["It beats popularity.", text]) == ([short] if vague else [])
    if vague:
        assert f"has {likeliest:.1%} on average, where chance is 3.3%" in text
        assert text.endswith("Try more epochs.")
        own = said(GOOD | {"mean_max_pi": likeliest}, model="latent_proxy")[-1]
        assert own.endswith("fewer proxies (n_proxies), temperature=1.")


@pytest.mark.parametrize(("changing", "restless"), [(0.85, False), (0.95, True)])
def test_proxies_that_hold_for_no_session_are_told(changing: float, restless: bool) -> None:
    text = said(GOOD | {"sessions_changing": changing})[-1]
    assert ("is vague: nearly all change" in text) is restless
    assert text.endswith("Try the model latent_proxy.") is restless
