"""What a search may try: names, values, ranges, and the defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.experiments.spaces import SPACES, checked_space, default_space, read_space
from proxysr.models import MODELS, learns


@pytest.mark.parametrize("model", SPACES)
def test_default_spaces_are_known_in_range_and_sourced(model: str) -> None:
    space = default_space(model)
    assert checked_space(model, space, {}) == space
    assert SPACES[model].source.endswith(".")


def test_every_model_that_learns_has_a_space() -> None:
    assert {name for name in MODELS if learns(name)} <= set(SPACES)
    with pytest.raises(ConfigError, match="'popularity' has no settings worth a search"):
        default_space("popularity")
    with pytest.raises(ConfigError, match="'narn' is not a known model. Did you mean 'narm'"):
        default_space("narn")


def test_the_grid_of_the_paper() -> None:
    """Section 4.1.4, written out again."""
    rates = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2]
    lambdas = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    assert default_space("latent_proxy", 32)["n_proxies"] == [1, 10, 30]
    assert default_space("latent_proxy", 100) == default_space("latent_proxy")
    assert default_space("proxysr", 2)["n_proxies"] == [1]
    assert default_space("proxysr") == {
        "learning_rate": rates,
        "batch_size": [2**i for i in range(5, 10)],
        "weight_decay": [0, 1e-4, 1e-3, 1e-2, 1e-1],
        "embedding_dim": [2**i for i in range(4, 8)],
        "dropout": [i / 10 for i in range(6)],
        "n_proxies": [3, 10, 30, 100, 300, 1000, 3000],
        "lambda_dist": lambdas,
        "lambda_orthog": lambdas,
        "margin": [0.1, 0.2, 0.5, 1, 2],
    }


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("proxysr", {"learning_rat": [1]}, {}, "'learning_rat' is not a known setting of proxysr or "),
    ("proxysr", {"n_proxie": [1]}, {}, "Did you mean 'n_proxies'"),
    ("vsknn", {"learning_rate": [1]}, {}, "'learning_rate' is not a known setting of vsknn"),
    ("proxysr", {}, {}, "The search space is empty"),
    ("proxysr", {"margin": [0.1, -1]}, {}, "space, margin = -1.0: margin is positive; received"),
    ("proxysr", {"margin": ["x"]}, {}, "margin is a number; received 'x'"),
    ("proxysr", {"margin": []}, {}, "margin takes a list of values, or low and high; received"),
    ("proxysr", {"margin": 0.1}, {}, r"margin takes a list of values, or low and high; received 0"),
    ("proxysr", {"margin": [0.1, "0.1"]}, {}, "margin names a value twice"),
    ("proxysr", {"margin": [0.1]}, {"margin": 0.2}, "margin is fixed and searched at once"),
    ("proxysr", {"margin": [0.1]}, {"margn": 0.2}, "'margn' is not a known setting"),
    ("proxysr", {"seed": [1, 2]}, {}, "seed is not searched: values of valid_task, valid_min"),
    ("proxysr", {"margin": {"low": 0.1}}, {}, "The range of margin needs low and high"),
    ("proxysr", {"margin": {"low": 1, "hgh": 2}}, {}, "'hgh' is not a known part of margin's ran"),
    ("proxysr", {"margin": {"low": 2, "high": 1}}, {}, "low of margin is below high; received 2.0"),
    ("proxysr", {"margin": {"low": -1, "high": 1}}, {}, "space, margin = -1.0: margin is positive"),
    (
        "proxysr",
        {"lambda_dist": {"low": 0, "high": 1, "log": True}},
        {},
        "low of lambda_dist is positive on a log scale; received 0.0",
    ),
    ("proxysr", {"n_proxies": {"low": 1.5, "high": 3}}, {}, "low of n_proxies is a whole number"),
    ("proxysr", {"negatives": {"low": 1, "high": 3}}, {}, "negatives is no number: it takes a lis"),
    ("proxysr", {"n_users": [3]}, {"proxy_by": "encoding", "projection": False}, "n_users = 3: n"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "space", "fixed", "message"), REFUSED)
def test_what_cannot_be_tried_is_refused(
    model: str, space: dict[str, Any], fixed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_space(model, space, fixed)


def test_values_become_those_of_the_field() -> None:
    space = {
        "learning_rate": {"low": "1e-4", "high": 1, "log": "true"},
        "dilations": [[1, 2], [1, 4]],
        "kernel_size": {"low": 1, "high": 3},
    }
    assert checked_space("grec", {"learning_rate": space["learning_rate"]}, {}) == {
        "learning_rate": {"low": 1e-4, "high": 1.0, "log": True}
    }
    assert checked_space("grec", {"dilations": space["dilations"]}, {}) == {
        "dilations": ["1,2", "1,4"]
    }
    found = checked_space("grec", {"kernel_size": space["kernel_size"]}, {})
    assert found == {"kernel_size": {"low": 1, "high": 3, "log": False}}


def test_spaces_are_read_from_files(tmp_path: Path) -> None:
    wanted = {"margin": [0.1, 0.5], "learning_rate": {"low": "1e-4", "high": 0.01, "log": True}}
    (tmp_path / "space.json").write_text(json.dumps(wanted))
    (tmp_path / "space.yml").write_text(
        "margin: [0.1, 0.5]\nlearning_rate: {low: 1e-4, high: 0.01, log: true}\n"
    )
    assert read_space(tmp_path / "space.json") == read_space(tmp_path / "space.yml") == wanted


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yml", "margin: [", "a.yml is neither YAML nor JSON"),
        ("a.yml", "- 3", "a.yml has no search space: lines such as"),
        ("a.yml", "!!python/object/apply:os.getcwd []", "a.yml is neither YAML nor JSON"),
        ("a.json", "{", "a.json is damaged: it is not valid JSON"),
        ("a.json", "{}", "a.json has no search space"),
    ],
)
def test_files_that_hold_no_space_are_named(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_space(tmp_path / name)
