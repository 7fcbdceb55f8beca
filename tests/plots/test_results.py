"""Learning curves, metrics, and proxies beside labels show what they were given."""

from __future__ import annotations

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.plots.metrics import metric_bars
from proxysr.plots.proxies import MOST_PROXIES, agreement_dots, proxies_by_label
from proxysr.plots.training import learning_curves

HISTORY = pd.DataFrame(
    {
        "epoch": range(4),
        "temperature": [3.0, 0.3, 0.03, 0.01],
        "loss": [0.5, 0.4, 0.3, 0.2],
        "hinge": [0.4, 0.3, 0.2, 0.1],
        "orthog": [0.0] * 4,
        "violated": [1.0, 0.9, 0.8, 0.7],
        "R@20": [0.1, 0.2, 0.4, 0.3],
        "MRR@20": [0.01, 0.02, 0.04, 0.03],
        "proxies_in_use": [3, 20, 22, 21],
        "mean_max_pi": [0.1, 0.5, 0.9, 0.99],
    }
)


def test_every_logged_column_is_a_line() -> None:
    fig = learning_curves(HISTORY, best_epoch=2, half_epoch=1)
    lines = {line.name: list(line.y) for line in fig.data}
    assert set(lines) == set(HISTORY) - {"epoch", "orthog"}  # all zero: the term is off
    assert lines["R@20"] == [0.1, 0.2, 0.4, 0.3]
    assert lines["proxies_in_use"] == [3, 20, 22, 21]
    titles = [a.text for a in fig.layout.annotations if a.text not in ("best", "half")]
    assert len(titles) == 6
    assert titles[0].startswith("Validation: <span")


def test_best_and_half_epoch_are_marked_in_every_panel() -> None:
    fig = learning_curves(HISTORY, best_epoch=2, half_epoch=1)
    assert sorted(shape.x0 for shape in fig.layout.shapes) == [1] * 6 + [2] * 6
    once = learning_curves(HISTORY, best_epoch=0, half_epoch=0)
    assert [shape.x0 for shape in once.layout.shapes] == [0] * 6
    assert {a.text for a in once.layout.annotations} >= {"best"}
    assert "half" not in {a.text for a in once.layout.annotations}


def test_models_without_proxies_have_fewer_panels() -> None:
    fig = learning_curves(HISTORY[["epoch", "loss", "R@20"]], best_epoch=2)
    assert [line.name for line in fig.data] == ["R@20", "loss"]


def test_curves_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="need rows with an epoch; received 0 rows"):
        learning_curves(HISTORY[:0], best_epoch=0)
    with pytest.raises(ConfigError, match="none of the columns"):
        learning_curves(HISTORY[["epoch"]], best_epoch=0)


def test_metrics_of_both_tasks() -> None:
    metrics = {
        "unseen": {"R@5": 0.2, "MRR@5": 0.1, "R@20": 0.4, "MRR@20": 0.12},
        "repeat": {"R@5": 0.3, "MRR@5": 0.15, "R@20": 0.5},
    }
    fig = metric_bars(metrics, n_targets={"unseen": 1234, "repeat": 2000})
    bars = [(bar.name, list(bar.x), list(bar.y)) for bar in fig.data]
    assert bars == [
        ("next unseen item (1,234 targets)", ["R@5", "R@20"], [0.2, 0.4]),
        ("with repeats (2,000 targets)", ["R@5", "R@20"], [0.3, 0.5]),
        ("next unseen item (1,234 targets)", ["MRR@5", "MRR@20"], [0.1, 0.12]),
        ("with repeats (2,000 targets)", ["MRR@5", "MRR@20"], [0.15, None]),
    ]
    assert [bar.showlegend for bar in fig.data] == [True, True, False, False]
    assert list(fig.data[0].text) == ["0.200", "0.400"]


def test_metrics_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ConfigError, match="There are no metrics to show"):
        metric_bars({})
    with pytest.raises(ConfigError, match=r"no R@k or MRR@k among the metrics: NDCG@5"):
        metric_bars({"unseen": {"NDCG@5": 0.1}})


def test_proxies_show_as_a_staircase_of_their_main_labels() -> None:
    proxies = [7, 7, 7, 3, 3, 5, 5, 5]
    labels = ["b", "b", "a", "a", "a", "c", "c", "<i>"]
    heat = proxies_by_label(proxies, labels, label_name="planted interest").data[0]
    assert list(heat.x) == ["3 (2)", "7 (3)", "5 (3)"]
    assert list(heat.y) == ["&lt;i&gt;", "a", "b", "c"]
    assert heat.z.tolist() == [[0, 0, 0.333], [1, 0.333, 0], [0, 0.667, 0], [0, 0, 0.667]]
    assert heat.customdata.sum() == len(proxies)


def test_many_proxies_are_left_out_in_so_many_words() -> None:
    proxies = list(range(MOST_PROXIES + 5)) + list(range(MOST_PROXIES))
    fig = proxies_by_label(proxies, ["x"] * len(proxies))
    assert len(fig.data[0].x) == MOST_PROXIES
    assert fig.layout.xaxis.title.text == "proxy (number of sessions); 5 small ones left out"


def test_proxies_without_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="one a session; received 2 and 1"):
        proxies_by_label([1, 2], ["a"])


def test_agreement_stands_beside_chance() -> None:
    rows = [
        {"seed": seed, "labels": kind, "truth": truth, "ami": ami + seed / 10,
         "null_low": -0.01, "null_high": 0.02, "n_sessions": 100}
        for seed in (0, 1)
        for kind, truth, ami in [
            ("proxies", "user", 0.2), ("proxies", "<b>", 0.4), ("k", "user", 0.1)
        ]
    ]  # fmt: skip
    fig = agreement_dots(pd.DataFrame(rows))
    chance, means, seeds = fig.data[:3]
    assert list(means.y) == pytest.approx([0.25, 0.45])
    assert sorted(seeds.y) == pytest.approx([0.2, 0.3, 0.4, 0.5])
    assert list(chance.base) == pytest.approx([-0.01, -0.01])
    assert list(chance.y) == pytest.approx([0.03, 0.03])
    assert list(chance.x) == list(means.x)
    assert [trace.name for trace in fig.data if trace.showlegend is not False] == [
        "chance, 95 %", "proxies", "k",
    ]  # fmt: skip
    assert list(fig.layout.xaxis.ticktext) == ["user", "&lt;b&gt;"]
    assert len(fig.data[4].x) == 1
    with pytest.raises(ConfigError, match="no agreement to show"):
        agreement_dots(pd.DataFrame(rows)[:0])
