"""The benchmark compares like with like, and says what it measured."""

from __future__ import annotations

import json

import pytest
import torch

from proxysr.bench import BenchConfig, bench, format_report, literal_loss, measured_ms
from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch
from proxysr.models import ProxySR

TINY = BenchConfig(
    n_items=300,
    embedding_dim=8,
    n_proxies=4,
    batch_size=8,
    steps=2,
    eval_sessions=10,
    single_sessions=3,
)


def test_report_holds_the_ratios_it_prints() -> None:
    result = bench(TINY, progress=False)
    training, evaluation = result["training"], result["evaluation"]
    ratio = training["sessions_per_second"] / training["products_alone"]
    assert training["share_of_products"] == pytest.approx(ratio)
    ratio = evaluation["prefixes_per_second"] / evaluation["literal"]
    assert evaluation["speedup_over_literal"] == pytest.approx(ratio)
    assert result["peak_memory_gb"] > 0
    json.dumps(result, allow_nan=False)
    text = format_report(result)
    assert "N = 300 items" in text
    assert f"{training['share_of_products']:.0%}" in text


def test_every_part_is_printed_with_what_is_predicted_and_measured() -> None:
    result = bench(TINY.replace(literal_sessions=0), progress=False)
    measured, lines = measured_ms(result), format_report(result).splitlines()
    assert set(measured) == set(result["predicted_ms"]) | {"products alone"}
    assert "one session" in measured
    for name, ms in result["predicted_ms"].items():
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.split()[-2:] == [f"{ms:.2f}", f"{measured[name]:.2f}"]


def test_of_the_time_that_a_session_waits_the_middle_and_the_end_are_told() -> None:
    result = bench(TINY.replace(literal_sessions=0), progress=False)
    waiting = result["one_session_ms"]
    assert 0 < waiting["median"] <= waiting["p95"]
    assert measured_ms(result)["one session"] == waiting["median"]
    expected = f"One session in 20 waits for more than {waiting['p95']:.1f} ms."
    assert expected in format_report(result)


def test_literal_can_be_left_out() -> None:
    result = bench(TINY.replace(literal_sessions=0), progress=False)
    assert "literal" not in result["training"]
    assert "literal" not in format_report(result)


def test_the_literal_loss_is_the_loss() -> None:
    torch.manual_seed(0)
    config = ProxySR.Config(embedding_dim=6, n_proxies=4, n_negatives=9, init_std=0.3)
    model = ProxySR(200, config).double()
    items = torch.tensor([[0, 3, 8, 5], [7, 2, 9, 11]])
    targets = torch.tensor([[0, 8, 0, 4], [0, 0, 11, 6]])
    batch = SessionBatch(items, torch.tensor([3, 4]), targets)
    expected = literal_loss(model, batch).item()
    assert model.loss(batch).total.item() == pytest.approx(expected, abs=1e-12)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="steps is at least 1; received 0"):
        BenchConfig(steps=0)
    with pytest.raises(ConfigError, match="eval_sessions is at least 1; received 0"):
        BenchConfig(eval_sessions=0)
    with pytest.raises(ConfigError, match="single_sessions is at least 1; received 0"):
        BenchConfig(single_sessions=0)
    with pytest.raises(ConfigError, match="literal_sessions is not negative; received -1"):
        BenchConfig(literal_sessions=-1)
