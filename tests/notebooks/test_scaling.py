"""Sweeps time every size once, and forecasts add up to what the cost model says."""

from __future__ import annotations

import pandas as pd
import pytest

from proxysr.bench import rows_together
from proxysr.config import ConfigError
from proxysr.costs import Machine, Sizes, one_session, ranking, training_step
from proxysr.notebooks.scaling import WHOLE, forecast, rates_table, sweep

STEP = ["forward and search", "backward", "optimizer", "constraints"]
MACHINE = Machine(gemm=5e10, memory=2e10, selection=1e8, overhead=5e-6)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return sweep(
        n_items="300, 500", embedding_dims="8", batch_sizes="4", n_proxies=4,
        steps=2, eval_sessions=10, single_sessions=3, progress=False,
    )  # fmt: skip


def test_every_combination_has_every_part_once(table: pd.DataFrame) -> None:
    sizes = table.groupby(["n_items", "embedding_dim", "n_proxies", "batch_size"])["part"]
    assert list(sizes.groups) == [(300, 8, 4, 4), (500, 8, 4, 4)]
    for _, parts in sizes:
        assert list(parts) == ["training step", *STEP, "ranking a prefix", "one session"]


def test_times_are_positive_and_a_step_is_the_sum_of_its_parts(table: pd.DataFrame) -> None:
    for times in ("predicted_ms", "measured_ms"):
        assert (table[times] > 0).all()
        wide = table.pivot(index=["n_items", "batch_size"], columns="part", values=times)
        assert wide["training step"].tolist() == pytest.approx(wide[STEP].sum(axis=1).tolist())
    assert (table["cpu_share"] > 0).all()


def test_what_is_whole_has_a_floor_and_parts_have_none(table: pd.DataFrame) -> None:
    is_whole = table["part"].isin(WHOLE)
    assert (table.loc[is_whole, "floor_ms"] > 0).all()
    assert table.loc[~is_whole, "floor_ms"].isna().all()


def test_sizes_that_are_no_numbers_or_missing_are_refused() -> None:
    with pytest.raises(ConfigError, match="Whole numbers between commas are meant; .*'many'"):
        sweep(n_items="many", embedding_dims="8", batch_sizes="4")
    with pytest.raises(ConfigError, match="At least one number each"):
        sweep(n_items="300", embedding_dims="", batch_sizes="4")
    with pytest.raises(ConfigError, match="batch_size is at least 1; received 0"):
        sweep(n_items="300", embedding_dims="8", batch_sizes="0")


def test_a_forecast_is_what_the_cost_model_says() -> None:
    sizes = [Sizes(n_items=1000), Sizes(n_items=10**6, n_proxies=3000)]
    found = forecast(sizes, {"slow": MACHINE, "fast": Machine(1e13, 1e12, 1e11, 1e-6)})
    assert len(found) == 2 * 2 * 3
    for s in sizes:
        rows = found[(found["n_items"] == s.n_items) & (found["machine"] == "slow")]
        together = s.replace(sessions=rows_together(s.n_items))
        seconds = [
            sum(MACHINE.seconds(work) for work in training_step(s).values()),
            MACHINE.seconds(ranking(together)) / together.sessions,
            MACHINE.seconds(one_session(s)),
        ]
        assert rows["predicted_ms"].tolist() == pytest.approx([1e3 * t for t in seconds])
        assert set(rows["n_proxies"]) == {s.n_proxies}
    shares = found[["products", "memory", "search", "calls"]]
    assert shares.sum(axis=1).tolist() == pytest.approx([1.0] * len(found))
    assert (shares.idxmax(axis=1) == found["bound"]).all()


def test_one_session_is_bound_by_memory_if_items_are_many_and_by_calls_if_few() -> None:
    few, many = forecast([Sizes(n_items=100), Sizes(n_items=10**6)], {"m": MACHINE}).groupby(
        "n_items"
    )
    assert few[1].set_index("part")["bound"]["one session"] == "calls"
    assert many[1].set_index("part")["bound"]["one session"] == "memory"


def test_rates_are_shown_in_units_to_read() -> None:
    assert rates_table({"m": MACHINE})["m"].tolist() == pytest.approx([50, 20, 100, 5])
