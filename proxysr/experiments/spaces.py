"""Search spaces: the grids of the paper by default, or those of a file.

A space is plain data, ``{name: [values]}`` or ``{name: {"low": …, "high": …, "log": …}}``. Names
are fields of the model's ``Config`` or of :class:`~proxysr.training.TrainConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from proxysr.config import ConfigError, Settings, coerce, plain_type, require, unknown
from proxysr.files import read_json, read_yaml
from proxysr.models import learns, model_class
from proxysr.training import FOR_COUNTING, TrainConfig

Space = dict[str, Any]

NOT_TUNED = ("valid_task", "valid_min_prefix", "seed", "device")
"""Settings that define the measurement; their values cannot be better or worse."""

DROPOUT = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
LAMBDA = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
OF_ALL: Space = {
    "learning_rate": [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01],
    "batch_size": [32, 64, 128, 256, 512],
    "weight_decay": [0.0, 0.0001, 0.001, 0.01, 0.1],
    "embedding_dim": [16, 32, 64, 128],
}
"""The grid of the paper for every model, except dropout, which has different names."""

OF_STAN: Space = {
    "n_neighbours": [50, 100, 200, 500, 1000],
    "sample_size": [1000, 2500, 5000, 10000],
    "lambda_click": [1.0, 2.0, 3.5, 7.0],
    "lambda_age": [0.1, 0.2, 0.5, 1.0, 2.0],
    "lambda_item": [1.0, 2.0, 3.5, 7.0],
}
"""What STAN and VSTAN have in common."""


@dataclass(frozen=True)
class SearchSpace:
    """A default space and where it comes from."""

    space: Space
    source: str


def _of_paper(*dropouts: str) -> SearchSpace:
    """The paper's grid for a competitor."""
    return SearchSpace(
        OF_ALL | dict.fromkeys(dropouts, DROPOUT),
        "Section 4.1.4 of the ProxySR paper, for all models; it tunes what a competitor has "
        "beyond these in the ranges of that competitor's paper, and here it keeps its default.",
    )


SPACES: dict[str, SearchSpace] = {
    "latent_proxy": SearchSpace(
        {
            "learning_rate": [0.001, 0.002, 0.005],
            "batch_size": [16, 32, 64],
            "embedding_dim": [32, 64, 128],
            "n_proxies": [1, 10, 30, 60, 100],
            "scale": [10.0, 13.0, 16.0],
            "dropout": [0.1, 0.2, 0.3, 0.4],
            "attention": [False, True],
        },
        "Chosen here, around the default settings.",
    ),
    "proxysr": SearchSpace(
        OF_ALL
        | {
            "dropout": DROPOUT,
            "n_proxies": [3, 10, 30, 100, 300, 1000, 3000],
            "lambda_dist": LAMBDA,
            "lambda_orthog": LAMBDA,
            "margin": [0.1, 0.2, 0.5, 1.0, 2.0],
        },
        "Section 4.1.4 of the paper.",
    ),
    "gru4rec": _of_paper("dropout_embedding", "dropout_hidden"),
    "narm": _of_paper("dropout_embedding", "dropout_session"),
    "stamp": _of_paper(),
    "sasrec": _of_paper("dropout"),
    "repeatnet": _of_paper("dropout"),
    "srgnn": _of_paper(),
    "fgnn": _of_paper(),
    "csrm": _of_paper("dropout_items", "dropout"),
    "grec": _of_paper("dropout"),
    "gcegnn": _of_paper("dropout", "dropout_aggregator"),
    "core": _of_paper("dropout", "dropout_session", "dropout_items"),
    "hrnn": _of_paper("dropout_user", "dropout_session", "dropout_init"),
    "mean": _of_paper(),
    "cooccurrence": SearchSpace(
        {
            "window": [1, 2, 5, 10, 50],
            "direction": ["both", "forward"],
            "step_weight": ["reciprocal", "none"],
            "self_pairs": [False, True],
            "half_life": [0.0, 0.1, 0.2, 0.5, 1.0],
        },
        "Chosen here: the options of the model, and windows from the next click to all.",
    ),
    "vsknn": SearchSpace(
        {
            "n_neighbours": [50, 100, 200, 500, 1000],
            "sample_size": [500, 1000, 2500, 5000, 10000],
            "click_weight": ["linear", "reciprocal"],
            "neighbour_weight": ["linear", "reciprocal", "none"],
        },
        "Chosen here, around the default settings.",
    ),
    "stan": SearchSpace(OF_STAN, "Chosen here, around the default settings."),
    "vstan": SearchSpace(
        OF_STAN | {"lambda_neighbour": [1.0, 3.5, 10.0], "idf_weight": [0.0, 1.0, 3.0]},
        "Chosen here, around the default settings.",
    ),
    "slist": SearchSpace(
        {
            "alpha": [0.2, 0.4, 0.6, 0.8],
            "lambda_step": [0.25, 0.5, 1.0, 2.0, 4.0],
            "lambda_click": [0.5, 1.0, 2.0, 4.0],
            "lambda_age": [0.1, 0.2, 0.5, 1.0, 2.0],
        },
        "What the authors tune, and their values; ages chosen here, as shares of time.",
    ),
}


def default_space(model: str, n_sessions: int | None = None) -> Space:
    """The space of a model if none is given.

    Parameters
    ----------
    model : str
        Name in ``MODELS``.
    n_sessions : int, optional
        Sessions to train on; there cannot be more proxies, so larger numbers are left out.

    Raises
    ------
    ConfigError
        If there is no such model, or it has nothing to tune.
    """
    model_class(model)
    require(model in SPACES, f"Model {model!r} has no settings worth a search. Train it instead.")
    space = dict(SPACES[model].space)
    if n_sessions is not None and "n_proxies" in space:
        space["n_proxies"] = [k for k in space["n_proxies"] if k <= n_sessions] or [1]
    return space


def read_space(path: str | Path) -> Space:
    """A space from a JSON or YAML file; :func:`checked_space` checks its names and values."""
    path = Path(path)
    space = read_json(path) if path.suffix == ".json" else read_yaml(path)
    require(
        isinstance(space, dict) and len(space) > 0,
        f"{path} has no search space: lines such as 'margin: [0.1, 0.5]' are expected.",
    )
    return {str(name): values for name, values in space.items()}


def split_settings(model: str, values: Mapping[str, Any]) -> tuple[Settings, TrainConfig]:
    """Settings of the model and of its training from one mapping of names.

    Raises
    ------
    ConfigError
        If a name is unknown, would change nothing, or a value is out of range.
    """
    cls = model_class(model)
    own, train = _names(cls.Config), _names(TrainConfig)
    if not learns(model):
        train &= set(FOR_COUNTING)
    for name in values:
        if name not in own | train:
            raise ConfigError(unknown(name, own | train, f"setting of {model} or its training"))
    return (
        cls.Config.from_dict({k: v for k, v in values.items() if k in own}),
        TrainConfig.from_dict({k: v for k, v in values.items() if k not in own}),
    )


def checked_space(model: str, space: Mapping[str, Any], fixed: Mapping[str, Any]) -> Space:
    """The space with values of the right type, each tried beside the first ones of the others.

    Raises
    ------
    ConfigError
        If a name is unknown or fixed, or a value is out of range.
    """
    require(len(space) > 0, "The search space is empty: there is nothing to try.")
    config, train = split_settings(model, fixed)
    for name in space:
        if name not in _names(type(config)):  # an unknown name is told with what is near
            split_settings(model, {name: getattr(train, name, None)})
        require(name not in fixed, f"{name} is fixed and searched at once; leave one of them out.")
        require(
            name not in NOT_TUNED,
            f"{name} is not searched: values of {', '.join(NOT_TUNED)} are no better or worse "
            "than others, or not comparable. Fix it with --set.",
        )
    fields = TrainConfig.model_fields | type(config).model_fields
    typed = {name: _typed(name, values, fields[name]) for name, values in space.items()}
    first = {name: _values(values)[0] for name, values in typed.items()}
    for name, values in typed.items():
        for value in _values(values):
            try:
                split_settings(model, {**fixed, **first, name: value})
            except ConfigError as error:
                raise ConfigError(f"Search space, {name} = {value}: {error}") from None
    return typed


def distributions(space: Space) -> dict[str, Any]:
    """The space as Optuna's distributions."""
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    def of(values: Any) -> BaseDistribution:
        if isinstance(values, list):
            return CategoricalDistribution(values)
        low, high, log = values["low"], values["high"], values["log"]
        kind = IntDistribution if isinstance(low, int) else FloatDistribution
        return kind(low, high, log=log)

    return {name: of(values) for name, values in space.items()}


def _typed(name: str, values: Any, field: FieldInfo) -> Any:
    """A list or a range with values of the field's type."""
    if isinstance(values, Mapping):
        return _range(name, values, field)
    require(
        isinstance(values, (list, tuple)) and len(values) > 0,
        f"{name} takes a list of values, or low and high; received {values!r}.",
    )
    typed = [_plain(coerce(value, field.annotation, name)) for value in values]
    require(len(set(typed)) == len(typed), f"{name} names a value twice: {list(values)}.")
    return typed


def _range(name: str, values: Mapping[str, Any], field: FieldInfo) -> dict[str, Any]:
    kind, _ = plain_type(field)
    require(kind in (int, float), f"{name} is no number: it takes a list of values, not a range.")
    for key in values:
        if key not in ("low", "high", "log"):
            raise ConfigError(unknown(str(key), ("low", "high", "log"), f"part of {name}'s range"))
    require("low" in values and "high" in values, f"The range of {name} needs low and high.")
    low, high = (coerce(values[key], kind, f"{key} of {name}") for key in ("low", "high"))
    log = coerce(values.get("log", False), bool, f"log of {name}")
    require(low < high, f"low of {name} is below high; received {low} and {high}.")
    require(not log or low > 0, f"low of {name} is positive on a log scale; received {low}.")
    return {"low": low, "high": high, "log": log}


def _plain(value: Any) -> Any:
    """A list as text, which a setting reads back: a study keeps numbers and text."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def _values(values: Any) -> list[Any]:
    return [values["low"], values["high"]] if isinstance(values, Mapping) else list(values)


def _names(cls: type[Settings]) -> set[str]:
    return set(cls.model_fields)
