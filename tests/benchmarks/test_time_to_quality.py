"""Time to quality, small: all models are there, and what was kept is used again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import time_to_quality
from proxysr.config import ConfigError
from proxysr.files import read_json
from proxysr.plots.training import quality_over_minutes
from proxysr.testing.planted import planted_split


def test_models_are_timed_until_they_pass_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.plots.saving._picture", lambda fig, path: False)
    planted_split().save(tmp_path / "data")
    words = [str(tmp_path / "data"), "--out", str(tmp_path), "--epochs", "2", "--presets", "small"]
    words += ["--models", "latent_proxy,gru4rec", "--counters", "popularity", "--published"]
    about = read_json(time_to_quality.main([*words, "diginetica"]))
    result = about["result"]
    assert result["lines"]["ProxySR as published (test)"] == 0.4069
    assert result["best_counter"] == "popularity"
    latent, gru, recbole = result["models"]
    assert [row["model"] for row in (latent, gru)] == ["latent_proxy", "gru4rec"]
    assert recbole["note"] == "not installed"
    assert len(latent["epochs"]) == len(gru["epochs"]) == 2
    assert 0 < latent["epochs"][0]["minutes"] < latent["epochs"][1]["minutes"]
    assert about["ratios"]["latent_proxy to latent_proxy, minutes to pass popularity"] in (1, None)
    monkeypatch.setattr(time_to_quality, "fit", None)  # nothing is trained again
    assert read_json(time_to_quality.main([*words, "diginetica"]))["result"] == result


def test_the_first_epoch_above_a_bar_counts() -> None:
    epochs = [{"minutes": m, "R@20": r} for m, r in ((1.0, 0.1), (2.0, 0.3), (3.0, 0.2))]
    assert time_to_quality.minutes_until(0.2, epochs) == 2.0
    assert time_to_quality.minutes_until(0.3, epochs) is None
    assert time_to_quality.minutes_until(None, epochs) is None


def test_without_an_epoch_there_is_no_picture() -> None:
    with pytest.raises(ConfigError, match="1 to 7 models can be told apart; received 0"):
        quality_over_minutes(pd.DataFrame(), {}, "R@20")


def test_the_toolkit_alone_needs_the_toolkit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        time_to_quality.main(["--toolkit-alone"])
    assert "--toolkit-alone needs --toolkit-python" in capsys.readouterr().err
