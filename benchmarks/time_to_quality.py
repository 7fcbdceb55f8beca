"""Minutes of training until a model is better than counting, and until it is as good as the paper.

    python -m benchmarks.time_to_quality [DATA_DIR] [--models latent_proxy,proxysr,gru4rec,sasrec]
        [--presets small] [--task unseen] [--min-prefix 1] [--published diginetica] [--epochs 20]
        [--minutes 60] [--toolkit-python toolkit/bin/python] [--toolkit-alone] [--fresh]
        [--out FOLDER]

Each model is trained on DATA_DIR, or on made-up sessions if none is named, and evaluated on the
validation sessions after each epoch. The clock runs while it is prepared and trained, not while it
is evaluated; with one thread it is that of the processor, so that other programs hardly count.
Models that only count are the lines to pass; so is R@20 of ProxySR as published, where
``--published`` names the data set of the paper. That one was measured on test sessions. A model is
trained to the end of its epochs or its patience, or until ``--minutes`` are over. What each model
came to is kept in FOLDER/time_to_quality/NAME.json, and used again if data and settings are the
same.

With ``--toolkit-python``, an interpreter with RecBole (:mod:`benchmarks.toolkit_speed` says how to
get one), its GRU4Rec, SASRec, NARM and SR-GNN are trained beside ours of the same name, each target
with its prefix as a row. Embedding size, step size, targets a step and the fused Adam are those of
ours; layers and dropout are those of :mod:`benchmarks.toolkit_speed`, and may differ from the
preset of ours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.record import add_out, record
from benchmarks.toolkit_speed import arrays_of, models, worker
from proxysr.config import Settings
from proxysr.costs import clock
from proxysr.data import SessionSplit
from proxysr.data.batches import PrefixBatches, TrainingBatches
from proxysr.data.sources import SOURCES
from proxysr.evaluation import evaluate
from proxysr.experiments.spec import Variant, model_variants, names_in
from proxysr.files import read_json, write_json
from proxysr.findings import CRITERION
from proxysr.models import create, model_class
from proxysr.models.softmax import left_aligned
from proxysr.paper.printed import published_results
from proxysr.plots.training import quality_over_minutes
from proxysr.training import TrainConfig, TrainState, fit

TOOLKIT = {"gru4rec": "GRU4Rec", "sasrec": "SASRec", "narm": "NARM", "srgnn": "SRGNN"}
MAX_LENGTH = 50
"""Clicks of a prefix that the toolkit's models read."""


class TimeOver(Exception):  # noqa: N818 - no error
    """A model has been trained for as long as was asked for."""


def main(words: list[str] | None = None) -> Path:
    """Train all models, keep what came of it and draw it; returns the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", nargs="?")
    parser.add_argument("--models", default="latent_proxy,proxysr,gru4rec,sasrec")
    parser.add_argument("--counters", default="popularity,cooccurrence,vsknn")
    parser.add_argument("--presets", default="small", help="'' for the defaults of each model")
    parser.add_argument("--task", default="unseen", choices=("unseen", "repeat"))
    parser.add_argument("--min-prefix", type=int, default=1, help="clicks before a target")
    parser.add_argument("--published", help="data set of the paper, such as diginetica")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0, help="most, for each model")
    parser.add_argument("--toolkit-python", help="interpreter of an environment with RecBole")
    parser.add_argument("--toolkit-alone", action="store_true", help="none of our models")
    parser.add_argument("--fresh", action="store_true", help="use nothing that was kept")
    add_out(parser)
    args = parser.parse_args(words)
    if args.toolkit_alone and not args.toolkit_python:
        parser.error("--toolkit-alone needs --toolkit-python, the interpreter that has it.")
    split = SessionSplit.load(args.data_dir) if args.data_dir else SOURCES["synthetic"].prepare("-")
    bars = counting(split, args)
    best = max(bars, key=bars.__getitem__)
    published = published_recall(args.published, args.task)
    rows: list[dict[str, Any]] = []
    for variant in model_variants(args.models, args.presets):
        jobs: dict[str, Any] = {} if args.toolkit_alone else {variant.name: ours}
        jobs |= {TOOLKIT[variant.model]: toolkit} if variant.model in TOOLKIT else {}
        for name, train in jobs.items():
            if train is toolkit:
                name = f"RecBole {name}"
                if not args.toolkit_python:
                    rows.append({"model": name, "epochs": [], "note": "not installed"})
                    continue
            epochs = kept_or(train, name, variant, split, args)
            rows.append(
                {"model": name, "epochs": epochs}
                | {"minutes_to_pass_counting": minutes_until(bars[best], epochs)}
                | {"minutes_to_pass_published": minutes_until(published, epochs)}
            )
            print(", ".join(f"{k}: {v}" for k, v in rows[-1].items() if k != "epochs"), flush=True)
    lines = dict(bars)
    if published is not None:
        lines["ProxySR as published (test)"] = published
    table = pd.DataFrame(
        [{"model": row["model"], **epoch} for row in rows for epoch in row["epochs"]]
    )
    own = next((row for row in rows if row["model"] == "latent_proxy"), {})
    ratios = {
        f"{row['model']} to latent_proxy, minutes to pass {best}": quotient(
            row.get("minutes_to_pass_counting"), own.get("minutes_to_pass_counting")
        )
        for row in rows
    }
    return record(
        "time_to_quality", args.out,
        settings=vars(args) | {"n_items": split.n_items, "train_sessions": len(split.train)},
        result={"lines": lines, "best_counter": best, "models": rows},
        ratios=ratios, figure=quality_over_minutes(table, lines, CRITERION), table=table,
    )  # fmt: skip


def counting(split: SessionSplit, args: argparse.Namespace) -> dict[str, float]:
    """Validation R@20 of models that only count."""
    recalls = {}
    for name in names_in(args.counters):
        own_pairs = {"self_pairs": args.task == "repeat"} if name == "cooccurrence" else {}
        model = create(name, split.n_items, own_pairs)
        model.prepare(split.train)
        found = evaluate(model, split.valid, task=args.task, ks=(20,), min_prefix=args.min_prefix)
        recalls[name] = found.metrics[CRITERION]
    return recalls


def published_recall(dataset: str | None, task: str) -> float | None:
    """R@20 of ProxySR in the paper, on test sessions; None if no data set is named."""
    if dataset is None:
        return None
    t = published_results()
    chosen = (t["dataset"] == dataset) & (t["task"] == task) & (t["metric"] == CRITERION)
    return float(t.loc[chosen & (t["model"] == "proxysr"), "value"].item())


def minutes_until(bar: float | None, epochs: list[dict[str, float]]) -> float | None:
    """Minutes after the first epoch that passes the bar; None if none does, or there is no bar."""
    if bar is None:
        return None
    return next((row["minutes"] for row in epochs if row[CRITERION] > bar), None)


def quotient(a: float | None, b: float | None) -> float | None:
    """``a / b``, if both are there."""
    return None if a is None or not b else a / b


def kept_or(
    train: Any, name: str, variant: Variant, split: SessionSplit, args: argparse.Namespace
) -> list[dict[str, float]]:
    """The epochs of a model: those that were kept, if data and settings are the same."""
    path = args.out / "time_to_quality" / f"{name.replace(' ', '_')}.json"
    settings = {
        "data": split.fingerprint(), "model": variant.model, "model_config": variant.model_config,
        "train": variant.train, "task": args.task, "min_prefix": args.min_prefix,
        "epochs": args.epochs, "minutes": args.minutes,
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    if path.is_file() and not args.fresh:
        kept = read_json(path)
        if kept["settings"] == settings:
            return list(kept["epochs"])
    epochs = list(train(variant, split, args))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"settings": settings, "epochs": epochs})
    return epochs


def config_of(variant: Variant, settings: Settings, args: argparse.Namespace) -> TrainConfig:
    """How a variant is trained."""
    changed = {"epochs": args.epochs, "valid_task": args.task, "device": "cpu"}
    changed |= {"valid_min_prefix": args.min_prefix}
    config = TrainConfig.from_dict({**variant.train, **changed})
    return config.resolved(model_class(variant.model), settings)


def ours(variant: Variant, split: SessionSplit, args: argparse.Namespace) -> list[dict[str, float]]:
    """Train one of our models: a row an epoch."""
    variant = variant.annealed(args.epochs)
    settings = model_class(variant.model).Config.from_dict(variant.model_config)
    settings = model_class(variant.model).resolved(settings, split.train)
    model = create(variant.model, split.n_items, settings, seed=0)
    rows: list[dict[str, float]] = []
    minutes, last, last_wall = 0.0, clock(), time.perf_counter()

    def keep(state: TrainState) -> None:
        nonlocal minutes, last, last_wall
        latest, now, wall = state.history.rows[-1], clock(), time.perf_counter()
        training = 1 - latest["eval_seconds"] / (wall - last_wall)  # its share of the time
        minutes += training * (now - last) / 60
        last, last_wall = now, wall
        rows.append({"minutes": minutes, CRITERION: latest[CRITERION]})
        if minutes >= args.minutes:
            raise TimeOver

    with suppress(TimeOver):
        fit(model, split, config_of(variant, settings, args), on_epoch=keep, progress=False)
    return rows


def toolkit(
    variant: Variant, split: SessionSplit, args: argparse.Namespace
) -> Iterator[dict[str, float]]:
    """Train the toolkit's model of that name: a row an epoch, without patience."""
    ours = model_class(variant.model).Config.from_dict(variant.model_config)
    config = config_of(variant, ours, args)
    name, _, settings = models(ours.to_dict()["embedding_dim"])[variant.model]
    batches = TrainingBatches(
        split.train, task=config.task, min_prefix=config.min_prefix, max_length=MAX_LENGTH,
        batch_size=config.batch_size, seed=0, device="cpu",
    )  # fmt: skip
    arrays: dict[str, Any] = dict(
        pair for i, b in enumerate(batches.epoch(0)) for pair in arrays_of(i, b)
    )
    arrays |= validation_arrays(split, args.task, args.min_prefix)
    job = {
        "model": name, "settings": settings, "rate": config.learning_rate, "helped": True,
        "n_items": split.n_items, "max_length": MAX_LENGTH, "threads": torch.get_num_threads(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "prefixes.npz"
        np.savez(shared, **arrays)
        with worker(args.toolkit_python, shared, job) as answers:
            next(answers)
            minutes = 0.0
            for _ in range(args.epochs):
                answer = next(answers)
                minutes += answer["cpu" if torch.get_num_threads() == 1 else "wall"] / 60
                yield {"minutes": minutes, CRITERION: answer["recall"]}
                if minutes >= args.minutes:
                    return


def validation_arrays(split: SessionSplit, task: Any, min_prefix: int) -> dict[str, Any]:
    """Validation prefixes as the toolkit reads them, and the items that are not to be ranked."""
    prefixes = PrefixBatches(
        split.valid, task=task, min_prefix=min_prefix, max_length=MAX_LENGTH, device="cpu"
    )
    arrays = {}
    for i, (_, batch, _, target, seen) in enumerate(prefixes.batches(1024, 2**18)):
        arrays[f"valid items {i}"] = left_aligned(batch).numpy()
        arrays[f"valid lengths {i}"] = batch.lengths.numpy()
        arrays[f"valid targets {i}"] = target.numpy()
        arrays[f"valid seen {i}"] = (batch.items[:, :0] if seen is None else seen).numpy()
    return arrays


if __name__ == "__main__":
    main()
