"""Spec: the runs of an experiment, data × models × settings × seeds.

As a YAML file, for :func:`read_spec` and ``proxysr paper run``::

    data:                     # name: what `proxysr prepare` wrote; or one folder
      shop: data/shop
    models:                   # a model's name, or a mapping
      - cooccurrence
      - preset: sasrec-small
      - {name: wide, preset: proxysr-small, settings: {embedding_dim: 64}}
      - {model: proxysr, vary: {n_proxies: [10, 30]}}   # one for each value
    presets: small            # ending of the presets of models that are only named
    train: {epochs: 20, valid_min_prefix: 1}            # the same for all
    valid_tasks: [unseen, repeat]                       # task that chooses the epoch
    seeds: [0, 1, 2]
    part: test
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field
from torch import Tensor

from proxysr import paths
from proxysr.config import ConfigError, Settings, Whole, require, unknown
from proxysr.data.sessions import PARTS, Task, check_task
from proxysr.experiments.presets import PRESETS, preset
from proxysr.files import read_yaml
from proxysr.models import MODELS, learns, model_class
from proxysr.training import FOR_COUNTING


@dataclass(frozen=True)
class Variant:
    """A model with settings, under a name.

    Attributes
    ----------
    name : str
        What tables and figures call it.
    model : str
        Name in ``MODELS``.
    model_config, train : mapping
        Fields of the model's ``Config`` and of ``TrainConfig`` that differ from the defaults.
    weights : mapping
        What some parameters start from; they are not part of what tells two runs apart.
    """

    name: str
    model: str
    model_config: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Tensor] = field(default_factory=dict, compare=False)

    @classmethod
    def of_preset(cls, name: str, preset_name: str) -> Variant:
        """A model at the settings of a preset."""
        chosen = preset(preset_name)
        return cls(name, chosen.model, chosen.model_config, chosen.train)

    def changed(self, name: str, **model_config: Any) -> Variant:
        """The same with other settings of the model, under another name."""
        return replace(self, name=name, model_config={**self.model_config, **model_config})

    def annealed(self, epochs: int) -> Variant:
        """ProxySR that hardens its choice over at most three fifths of the epochs.

        Over fewer if its settings say so; ten if they say nothing.
        """
        if "anneal_epochs" not in model_class(self.model).Config.model_fields:
            return self
        own = self.model_config.get("anneal_epochs", 10)
        return self.changed(self.name, anneal_epochs=min(own, epochs * 3 // 5))


SAID_BY = {
    "seed": "seeds of the spec, or --seeds",
    "valid_task": "valid_tasks of the spec; a table has its own",
    "device": "--device, or device=… of run_spec",
}
"""Fields of ``TrainConfig`` that differ among the runs of a spec, or are no part of it."""


def check_train(train: Mapping[str, Any]) -> None:
    """Check that a ``train`` sets nothing that is said elsewhere and would be overridden."""
    for name, place in SAID_BY.items():
        require(name not in train, f"{name} is no part of train. It is said by {place}.")


@dataclass(frozen=True)
class Spec:
    """Runs to make: every variant on all data, for every task and seed.

    Attributes
    ----------
    data : path, or mapping of str to path
        What ``proxysr prepare`` wrote; several folders have names.
    variants : sequence of Variant
        Their names differ.
    train : mapping
        Fields of ``TrainConfig`` that are the same for all; they override those of the variants.
    valid_tasks : sequence of {"unseen", "repeat"}
        What chooses the epoch. With one task, runs are evaluated on both. With two, each task
        has runs of its own. What is trained on is the ``task`` of ``train``: all clicks.
    seeds : sequence of int
        Models that only count are the same with every seed: they have one run.
    part : {"train", "valid", "test"}
        What to evaluate on.

    Raises
    ------
    ConfigError
        If a name, task or seed is there twice, a task or the part is unknown, variants, tasks or
        seeds are missing, or a ``train`` has what would not be used.
    """

    data: str | Path | Mapping[str, str | Path]
    variants: Sequence[Variant]
    train: Mapping[str, Any] = field(default_factory=dict)
    valid_tasks: Sequence[Task] = ("unseen",)
    seeds: Sequence[int] = (0,)
    part: str = "test"

    def __post_init__(self) -> None:
        twice = _twice([variant.name for variant in self.variants])
        require(not twice, f"Variants need names of their own; {twice} is there twice.")
        require(bool(self.variants), "At least one model is needed; received none.")
        require(bool(self.seeds), "At least one seed is needed; received none.")
        require(bool(self.valid_tasks), "At least one of valid_tasks is needed; received none.")
        twice = _twice(self.seeds) or _twice(self.valid_tasks)
        require(not twice, f"Seeds and tasks are there once each; {twice} is there twice.")
        require(bool(self.folders), "At least one folder of prepared data is needed.")
        for task in self.valid_tasks:
            check_task(task)
        require(self.part in PARTS, unknown(self.part, PARTS, "part of a split"))
        check_train(self.train)
        for variant in self.variants:
            check_train(variant.train)
            if variant.model in MODELS and not learns(variant.model):
                idle = ", ".join(name for name in variant.train if name not in FOR_COUNTING)
                require(
                    not idle,
                    f"{variant.name} only counts: {idle} of its train would have no effect. "
                    "Leave it out.",
                )

    @property
    def folders(self) -> dict[str, Path]:
        """Name of the data to their folder."""
        if isinstance(self.data, Mapping):
            return {name: Path(folder) for name, folder in self.data.items()}
        return {Path(self.data).name: Path(self.data)}


def _twice(values: Sequence[Any]) -> str:
    """The values that are there more than once, between commas."""
    return ", ".join(str(value) for value, n in Counter(values).items() if n > 1)


def names_in(text: str) -> list[str]:
    """The parts of a text between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers_in(text: str) -> list[int]:
    """The whole numbers between commas."""
    try:
        return [int(part) for part in names_in(text)]
    except ValueError:
        raise ConfigError(f"Whole numbers between commas are meant; received {text!r}.") from None


def model_variants(models: str | Sequence[str], presets: str = "") -> list[Variant]:
    """Models at the settings of their presets.

    Parameters
    ----------
    models : str or sequence of str
        Names in ``MODELS``, as text separated by commas; "all" for every one that needs no users.
    presets : str
        The ending of the presets' names: with "small", SASRec has the settings of "sasrec-small".
        Models that only count need no preset and have their defaults without one; empty: all
        models have their defaults.

    Raises
    ------
    ConfigError
        If a model is unknown, or learns and has no preset of that name.
    """
    names = names_in(models) if isinstance(models, str) else list(models)
    if names == ["all"]:
        names = [name for name, model in MODELS.items() if not model.needs_users]
    require(bool(names), f"No model is named in {models!r}.")
    variants = []
    for name in names:
        needs_preset = learns(name)  # also finds out whether there is such a model
        chosen = f"{name}-{presets}"
        if presets and (needs_preset or chosen in PRESETS):
            variants.append(Variant.of_preset(name, chosen))
        else:
            variants.append(Variant(name, name))
    return variants


# -- a spec as a file ------------------------------------------------------------------------


class _SpecFile(Settings):
    """The keys of a spec's file."""

    data: Any
    models: Any
    presets: str = ""
    train: dict[str, Any] = Field(default_factory=dict)
    valid_tasks: tuple[str, ...] = ("unseen",)
    seeds: tuple[Whole, ...] = (0,)
    part: Literal["train", "valid", "test"] = "test"


MODEL_KEYS = ("name", "model", "preset", "settings", "train", "vary")


def read_spec(path: str | Path) -> Spec:
    """A spec from a YAML file; folders in it may begin with ``$PROXYSR_DATA``.

    Raises
    ------
    ConfigError
        If a key, a model or a preset is unknown; the message names the file and what is near.
    """
    found = read_yaml(Path(path))
    require(
        isinstance(found, dict) and "data" in found and "models" in found,
        f"{path} is no spec: it needs 'data' and 'models' at least.",
    )
    try:
        file = _SpecFile.from_dict(found)
        require(
            isinstance(file.data, str | dict), "data is a folder, or a mapping of names to folders."
        )
        models = [file.models] if isinstance(file.models, str | dict) else file.models
        require(isinstance(models, list), "models is a list of names or mappings.")
        variants = [one for entry in models for one in _variants(entry, file.presets)]
        folders = {"": file.data} if isinstance(file.data, str) else file.data
        for folder in folders.values():
            require(
                isinstance(folder, str) and folder != "",
                f"A folder of data is text, such as data/shop; received {folder!r}.",
            )
        placed = {str(k): Path(paths.placed(v)).expanduser() for k, v in folders.items()}
        data = placed[""] if isinstance(file.data, str) else placed
        tasks = cast(tuple[Task, ...], file.valid_tasks)
        return Spec(data, variants, file.train, tasks, file.seeds, file.part)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _variants(entry: Any, presets: str) -> list[Variant]:
    """What one entry of ``models`` stands for."""
    if isinstance(entry, str):
        return model_variants(entry, presets)
    require(isinstance(entry, dict), f"An entry of models is a name or a mapping; it is {entry!r}.")
    for key in entry:
        if key not in MODEL_KEYS:
            raise ConfigError(unknown(str(key), MODEL_KEYS, "key of an entry of models"))
    for key, value in entry.items():
        if key in ("name", "model", "preset"):
            require(
                isinstance(value, str) and value != "",
                f"{key} of an entry of models is text; received {value!r}.",
            )
        else:
            require(
                isinstance(value, dict) and all(isinstance(name, str) for name in value),
                f"{key} of a model is a mapping of settings; received {value!r}.",
            )
    if "preset" in entry:
        base = Variant.of_preset(entry.get("name", entry["preset"]), entry["preset"])
        require(
            entry.get("model", base.model) == base.model,
            f"Preset {entry['preset']!r} is of {base.model}, not of {entry.get('model')!r}.",
        )
    else:
        require("model" in entry, f"An entry of models names a model or a preset; it is {entry!r}.")
        model_class(entry["model"])
        base = replace(model_variants(entry["model"], presets)[0])
        base = replace(base, name=entry.get("name", base.name))
    base = replace(base, train={**base.train, **entry.get("train", {})})
    base = base.changed(base.name, **entry.get("settings", {}))
    grid: dict[str, list[Any]] = entry.get("vary", {})
    for name, values in grid.items():
        require(
            isinstance(values, list) and values != [],
            f"vary of {name} is a list of values, one or more; received {values!r}.",
        )
    if not grid:
        return [base]
    return [
        base.changed(
            f"{base.name}, {', '.join(f'{k} {v}' for k, v in zip(grid, values, strict=True))}",
            **dict(zip(grid, values, strict=True)),
        )
        for values in itertools.product(*grid.values())
    ]
