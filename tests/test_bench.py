"""The benchmark compares like with like, and says what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.__main__ import main
from proxysr.bench import (
    BenchConfig,
    bench,
    bench_models,
    literal_loss,
    measured_ms,
)
from proxysr.cli.bench import format_models, format_report
from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import Sessions, SessionSplit
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


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return bench(TINY, progress=False)


def test_report_holds_the_ratios_it_prints(result: dict[str, Any]) -> None:
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


def test_every_part_is_printed_with_what_is_predicted_and_measured(result: dict[str, Any]) -> None:
    measured, lines = measured_ms(result), format_report(result).splitlines()
    assert set(measured) == set(result["predicted_ms"]) | {"products alone"}
    for name, ms in result["predicted_ms"].items():
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.split()[-2:] == [f"{ms:.2f}", f"{measured[name]:.2f}"]
    waiting = result["one_session_ms"]
    assert 0 < waiting["median"] == measured["one session"] <= waiting["p95"]
    assert f"One session in 20 waits for more than {waiting['p95']:.1f} ms." in lines[-1]


def test_the_command_measures_what_its_options_say(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(config: BenchConfig) -> dict[str, Any]:
        return result | {"settings": config.to_dict()}

    monkeypatch.setattr("proxysr.cli.bench.bench", measured)
    words = ["bench", "--n-items", "900", "--literal-sessions", "2"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["n_items"] == 900
    assert main(words) == 0
    assert "N = 900 items" in (text := capsys.readouterr().out)
    assert "matrix products alone" in text


def test_without_the_literal_implementation(result: dict[str, Any]) -> None:
    for part in ("training", "evaluation"):
        names = [name for name in result[part] if "literal" in name]
        result = result | {part: {k: v for k, v in result[part].items() if k not in names}}
        assert names == ["literal", "speedup_over_literal"]
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


def test_models_are_timed_beside_the_same_products(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sessions = Sessions.from_lists([rng.integers(1, 31, size=5).tolist() for _ in range(24)])
    items = pd.DataFrame({"item_id": [str(i) for i in range(1, 31)]})
    SessionSplit(sessions, sessions, sessions, items, pd.DataFrame({"user_id": []})).save(
        tmp_path / "data"
    )
    config = BenchConfig(embedding_dim=8, batch_size=4, steps=3)
    result = bench_models("srgnn, mean", tmp_path / "data", config, progress=False)
    assert list(result["models"]) == ["srgnn", "mean"]
    for row in result["models"].values():
        ratio = row["targets_per_second"] / row["products_alone"]
        assert row["share_of_products"] == pytest.approx(ratio)
        assert row["step_ms"] > 0
    json.dumps(result, allow_nan=False)
    text = format_models(result)
    assert "N = 30 items, d = 8, batch 4, 3 steps" in text
    assert f"{result['models']['mean']['share_of_products']:.0%}" in text


@pytest.mark.parametrize(
    ("names", "message"),
    [("vsknn", "Model 'vsknn' only counts"), ("narn", "narm")],
)
def test_models_that_cannot_be_timed_are_refused(names: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bench_models(names, "nowhere", BenchConfig(), progress=False)
