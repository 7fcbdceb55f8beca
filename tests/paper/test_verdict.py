"""Who leads a table: by which rows, and what is said of chance."""

from __future__ import annotations

import pytest

from proxysr.analysis.significance import CompareConfig, compare
from proxysr.paper.rows import Row
from proxysr.paper.verdict import (
    Differences,
    Standing,
    leaders,
    more_than_chance,
    standing,
    verdict,
)
from tests.paper.small import evidence, hits, row

OWN = "ours (window 3)"


def standing_of(rows: list[Row], metric: str = "R@20") -> Standing:
    """With what a comparison of that metric says."""
    config = CompareConfig(metrics=(metric,), resamples=300)
    table = compare([one.contender("unseen") for one in rows], config, reference=OWN)
    by_row: Differences = {(one["run"], one["metric"]): one for one in table.to_dict("records")}
    return standing("shop", "unseen", rows, OWN, by_row)


@pytest.fixture
def rows() -> list[Row]:
    """The reference, another setting of its model that is better on test, and two models."""
    return [
        row(OWN, hits(240), model="cooccurrence"),
        row("ours (window 9)", hits(260), model="cooccurrence"),
        row("theirs", hits(120), model="mean"),
        row("theirs (wide)", hits(160), model="mean"),
        row("others", hits(40), model="popularity"),
    ]


def test_other_settings_of_the_reference_s_model_are_no_other_model(rows: list[Row]) -> None:
    found = standing_of(rows)
    assert found.leads
    assert found.clear is True
    assert found.recalls == {OWN: 0.6, "theirs (wide)": 0.4, "others": 0.1}
    first = leaders([found], "ours").iloc[0]
    assert first["highest R@20"] == f"{OWN}, 0.6000"
    assert first["second"] == "theirs (wide), 0.4000"
    assert "highest R@20 in 1 of 1 tables" in verdict([found], "ours")
    assert "; in 1 it is ahead of every other model by more than chance" in verdict([found], "ours")


def test_every_setting_of_another_model_counts(rows: list[Row]) -> None:
    found = standing_of([*rows, row("theirs (deep)", hits(280), model="mean")])
    assert not found.leads
    assert found.clear is False
    assert "in 0 it is ahead of every other model" in verdict([found], "ours")
    assert "It is behind theirs (deep) on shop, unseen." in verdict([found], "ours")
    assert found.others == "1 + 1"


def test_what_was_not_tested_is_not_said(rows: list[Row]) -> None:
    """Neither where differences are of another metric, nor where there are none."""
    untested = standing_of(rows, "R@10")
    assert untested.clear is None
    assert standing("shop", "unseen", rows, OWN, {}).clear is None
    text = verdict([untested], "ours")
    assert text == (
        "**ours has the highest R@20 in 1 of 1 tables of models, on 1 data set, with 2 other "
        "models each.**"
    )
    both = verdict([untested, standing_of(rows)], "ours")
    assert "; in 1 it is ahead of every other model" in both
    assert "correction; not tested in 1 of them)" in both


def test_a_row_that_is_level_is_neither_behind_nor_ahead(rows: list[Row]) -> None:
    near = row("near", [1] * 242 + [100] * 158, model="popularity")
    found = standing_of([*rows[:-1], near])
    assert (found.ahead, found.level, found.clear) == ([], ["near"], False)
    text = verdict([found], "ours")
    assert "It cannot be told from near on shop, unseen." in text
    assert "behind" not in text


def test_a_difference_that_seeds_explain_is_chance() -> None:
    """Three seeds at 50, 55 and 60 % vary by 5 %; one of 48 % may be of the same kind."""
    seeds = [hits(200), hits(220), hits(240)]
    several = Row("ours", [evidence(ranks, model="mean") for ranks in seeds])
    for n, expected in ((190, False), (150, True)):
        one = row("one", hits(n), model="narm")
        difference = {"metric": "R@20", "difference": n / 400 - 0.55, "p_holm": 0.001}
        assert more_than_chance(difference, one, several, "unseen") is expected
        assert more_than_chance(difference | {"p_holm": 0.05}, one, several, "unseen") is False
    counting = row("count", hits(190), model="cooccurrence")  # it does not vary
    difference = {"metric": "R@20", "difference": 190 / 400 - 0.55, "p_holm": 0.001}
    assert more_than_chance(difference, counting, several, "unseen") is True
    assert more_than_chance(difference, counting, row("x", hits(9)), "unseen") is True
