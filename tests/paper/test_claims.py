"""The paper's differences beside ours: signs, chance, and what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.analysis.significance import CompareConfig, Contender, compare
from proxysr.paper.claims import claims, tally
from proxysr.paper.rows import Row
from tests.paper.small import hits, row

CONFIG = CompareConfig(metrics=("R@20",), resamples=500)
PRINTED = {("ours", "R@20"): 0.4, ("worse", "R@20"): 0.3, ("better", "R@20"): 0.5,
           ("same", "R@20"): 0.2, ("absent", "R@20"): 0.1}  # fmt: skip


@pytest.fixture
def rows() -> list[Row]:
    rng = np.random.default_rng(0)
    ours = np.where(rng.random(400) < 0.5, 1, 100)
    worse = np.where(rng.random(400) < 0.3, 1, 100)
    same = ours.copy()
    same[:2] = 101 - same[:2]
    return [row("ours", ours), row("worse", worse), row("better", worse), row("same", same)]


def test_a_claim_holds_is_reversed_or_cannot_be_told(rows: list[Row]) -> None:
    table = claims(rows, "unseen", PRINTED, "ours", CONFIG).set_index("row")
    assert table["verdict"].to_dict() == {
        "worse": "holds", "better": "reversed", "same": "cannot be told", "absent": "no run",
    }  # fmt: skip
    assert table["printed"].round(6).to_dict() == {
        "worse": -0.1, "better": 0.1, "same": -0.2, "absent": -0.3,
    }  # fmt: skip


def test_nothing_is_said_of_a_row_that_hardly_beats_popularity(rows: list[Row]) -> None:
    worse = row("worse", [100] * 400, validation=0.19)
    table = claims([rows[0], worse, *rows[2:]], "unseen", PRINTED, "ours", CONFIG)
    assert table.set_index("row")["verdict"].to_dict() == {
        "worse": "not learnt", "better": "reversed", "same": "cannot be told", "absent": "no run",
    }  # fmt: skip


def test_differences_and_p_values_are_those_of_compare(rows: list[Row]) -> None:
    table = claims(rows, "unseen", PRINTED, "ours", CONFIG).set_index("row")
    contenders = [Contender(one.label, [one.runs[0].ranks("unseen")]) for one in rows]
    expected = compare(contenders, CONFIG, reference="ours").set_index("run")
    for name in ("worse", "better", "same"):
        assert table["here"][name] == expected["difference"][name]
        assert table["p"][name] == expected["p_holm"][name]


def test_without_the_base_nothing_is_told(rows: list[Row]) -> None:
    table = claims(rows[1:], "unseen", PRINTED, "ours", CONFIG)
    assert set(table["verdict"]) == {"no run"}


def test_rows_that_the_paper_lacks_do_not_count_in_the_correction(rows: list[Row]) -> None:
    more = [*rows, Row("of our own", rows[1].runs, "")]
    expected = claims(rows, "unseen", PRINTED, "ours", CONFIG)
    pd.testing.assert_frame_equal(claims(more, "unseen", PRINTED, "ours", CONFIG), expected)


def test_the_tally_names_the_rows(rows: list[Row]) -> None:
    table = tally([("shop", "Table 2", claims(rows, "unseen", PRINTED, "ours", CONFIG))])
    assert table.to_dict("records") == [
        {
            "data": "shop", "table": "Table 2", "metric": "R@20", "holds": "1: worse",
            "reversed": "1: better", "cannot be told": "1: same", "not learnt": "0",
            "no run": "1: absent",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_settings_those_count_that_validation_chose(order: int) -> None:
    rows = [
        row("ours", hits(200)),
        row("worse (dim 8)", hits(300), validation=0.3),  # better on test
        row("worse (dim 16)", hits(100), validation=0.4),
    ][::order]
    table = claims(rows, "unseen", PRINTED, "ours", CONFIG).set_index("row")
    assert table["here"]["worse"] == pytest.approx(-0.25)
    assert table["verdict"]["worse"] == "holds"
