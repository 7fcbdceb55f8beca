"""Train several named variants on the same data, and pick up what is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor
from tqdm.auto import tqdm

from proxysr.config import ConfigError, require
from proxysr.data.sessions import SessionSplit, Task, check_task
from proxysr.models import MODELS, learns, model_class
from proxysr.notebooks.inputs import run_folder
from proxysr.presets import PRESETS, preset
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import FOR_COUNTING, TrainConfig


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

    def changed(self, name: str, **model_config: Any) -> Variant:
        """The same with other settings of the model, under another name."""
        return replace(self, name=name, model_config={**self.model_config, **model_config})

    @property
    def learns(self) -> bool:
        """False of a model that only counts."""
        return learns(self.model)


def names_in(text: str) -> list[str]:
    """The parts of a text between commas: notebook parameters have no lists."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers_in(text: str) -> list[int]:
    """The whole numbers between commas."""
    try:
        return [int(part) for part in names_in(text)]
    except ValueError:
        raise ConfigError(f"Whole numbers between commas are meant; received {text!r}.") from None


def model_variants(models: str, presets: str) -> list[Variant]:
    """Models at the settings of their presets.

    Parameters
    ----------
    models : str
        Names in ``MODELS``, separated by commas; "all" for every one that needs no users.
    presets : str
        The ending of the presets' names: with "small", SASRec has the settings of "sasrec-small".
        Models that only count need no preset and have their defaults without one; empty: all
        models have their defaults.

    Raises
    ------
    ConfigError
        If a model is unknown, or learns and has no preset of that name.
    """
    variants = []
    anonymous = [name for name, model in MODELS.items() if not model.knows_users]
    for name in anonymous if models.strip() == "all" else names_in(models):
        variant = Variant(name, name)
        chosen = f"{name}-{presets}"
        needed = variant.learns  # also finds out whether there is such a model
        if presets and (needed or chosen in PRESETS):
            found = preset(chosen)
            variant = Variant(name, found.model, found.model_config, found.train)
        variants.append(variant)
    require(bool(variants), f"No model is named in {models!r}.")
    return variants


def train_variants(
    variants: Sequence[Variant],
    data_dir: str | Path,
    notebook: str,
    *,
    seeds: Sequence[int] = (0,),
    train: Mapping[str, Any] | None = None,
    train_for: Sequence[Task] = ("unseen",),
    part: str = "test",
    device: str = "auto",
    progress: bool = True,
) -> dict[str, list[RunDir]]:
    """Train each variant with each seed and evaluate it; what is there already is kept.

    Equal settings have one folder among the notebook's runs, under whatever name they go. An
    interrupted run is continued; evaluations are made again only if the run has changed.

    Parameters
    ----------
    variants : sequence of Variant
    data_dir : str or Path
        What ``proxysr prepare`` wrote.
    notebook : str
        Whose runs they are.
    seeds : sequence of int
        Models that only count are the same with every seed: they have one run.
    train : mapping, optional
        Fields of ``TrainConfig`` that are the same for all; they override those of the variants.
    train_for : sequence of {"unseen", "repeat"}
        What chooses the epoch. With one task, the runs are evaluated on both. With two, each task
        has runs of its own. What is trained on is the ``task`` of ``train``: all clicks.
    part : {"train", "valid", "test"}
        What to evaluate on.
    device : {"auto", "cpu", "cuda"}
    progress : bool
        Show one bar for all runs; bars for the epochs of each would send a front end thousands of
        messages.

    Returns
    -------
    dict
        Name of the variant to its runs.
    """
    names = [variant.name for variant in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"Variants need names of their own; {', '.join(twice)} is there twice.")
    require(bool(seeds), "At least one seed is needed; received none.")
    require(bool(train_for), "At least one task to train for is needed; received none.")
    for task in train_for:
        check_task(task)
    fingerprint = SessionSplit.load(data_dir).fingerprint()
    jobs = [
        (variant, task, seed)
        for variant in variants
        for task in train_for
        for seed in (seeds if variant.learns else seeds[:1])
    ]
    runs: dict[str, list[RunDir]] = {name: [] for name in names}
    with tqdm(jobs, desc="runs", disable=not progress) as bar:
        for variant, task, seed in bar:
            bar.set_postfix_str(f"{variant.name}, {task}, seed {seed}")
            options = {**variant.train, **(train or {}), "valid_task": task, "seed": seed}
            if not variant.learns:
                options = {name: options[name] for name in FOR_COUNTING if name in options}
            config = TrainConfig.from_dict({**options, "device": device})
            settings = model_class(variant.model).Config.from_dict(dict(variant.model_config))
            kept = {**config.to_dict(), "device": None}  # where it was trained does not matter
            folder = run_folder("", notebook, fingerprint, variant.model, settings.to_dict(), kept)
            run = train_run(
                data_dir,
                folder,
                model=variant.model,
                model_config=settings,
                train=config,
                weights=variant.weights,
                resume=(folder / "config.json").is_file(),
                progress=False,
            )
            for judged in [task] if len(train_for) > 1 else get_args(Task):
                if not _is_evaluated(run, part, judged):
                    evaluate_run(run.path, part=part, task=judged, device=device, progress=False)
            runs[variant.name].append(run)
    return runs


def _is_evaluated(run: RunDir, part: str, task: Task) -> bool:
    try:
        return bool(run.evaluation(part, task)["min_prefix"] == run.train_config.valid_min_prefix)
    except ValueError:  # not made yet, or of an epoch that is the best no more
        return False
