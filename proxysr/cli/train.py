"""``proxysr train``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxysr.cli.answer import Answer
from proxysr.cli.options import add_set, add_settings, assigned, given, settings_help
from proxysr.config import require
from proxysr.distributed import joined
from proxysr.experiments.presets import PRESETS, preset
from proxysr.findings import CRITERION
from proxysr.models import DEFAULT, MODELS, learns
from proxysr.run import RunDir, has_epochs
from proxysr.running import train_run
from proxysr.training import FOR_COUNTING, TrainConfig

EXAMPLES = """\
examples:
  proxysr train data/shop runs/shop                       # latent_proxy at its defaults
  proxysr train data/toy runs/toy --preset proxysr-small
  proxysr train data/shop runs/shop --epochs 30 --set n_proxies=100 embedding_dim=64
  proxysr train data/shop runs/shop --resume              # continue, as if never interrupted
  proxysr train data/shop runs/shop --resume --epochs 80 --patience 9  # more than first planned
  torchrun --nproc-per-node 2 -m proxysr train data/shop runs/shop   # a process for each GPU

Options override the preset; the preset overrides the defaults shown in brackets.

presets:
"""
EXAMPLES += "".join(f"  {name:<20}  {it.description}\n" for name, it in PRESETS.items())
for _name, _model in MODELS.items():
    EXAMPLES += f"\nsettings of --model {_name}, for --set:\n{settings_help(_model.Config)}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data_dir", metavar="DATA_DIR", help="folder that `proxysr prepare` wrote")
    parser.add_argument("run_dir", metavar="RUN_DIR", help="a new folder for the run")
    parser.add_argument("--model", metavar="NAME", help=f"{', '.join(MODELS)} [{DEFAULT}]")
    parser.add_argument("--preset", metavar="NAME", help="a named set of settings, see below")
    add_set(parser, "the model", "listed below")
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN_DIR")
    add_settings(parser.add_argument_group("training"), TrainConfig)


@joined()
def run(args: argparse.Namespace) -> Answer:
    """Train, or continue training."""
    model = args.model
    settings: dict[str, Any] = assigned(args.assignments)
    options = given(args, TrainConfig)
    if args.preset is not None:
        chosen = preset(args.preset)
        require(
            model in (None, chosen.model),
            f"Preset {args.preset!r} is for model {chosen.model!r}; received --model {model}.",
        )
        model = chosen.model
        settings, options = chosen.model_config | settings, chosen.train | options
    if args.resume:
        run = RunDir(args.run_dir)
        _check_that_options_apply(run.model_name, options)
        config = run.train_config.replace(**options)
    else:
        _check_that_options_apply(model or DEFAULT, options)
        config = TrainConfig.from_dict(options)
    before = len(run.history()) if args.resume and has_epochs(run.path) else 0
    trained = train_run(
        args.data_dir, args.run_dir, model=model, model_config=settings or None, train=config,
        resume=args.resume,
    )  # fmt: skip
    return _answer(trained, before)


def after_interrupt(args: argparse.Namespace) -> str:
    """What was written, and how to continue."""
    if (Path(args.run_dir) / "config.json").is_file():
        return "Finished epochs are kept; the same command with --resume continues the training."
    return "Nothing was written yet; the same command starts again."


def _check_that_options_apply(model: str, options: Mapping[str, Any]) -> None:
    unused = [f"--{name.replace('_', '-')}" for name in options if name not in FOR_COUNTING]
    require(
        learns(model) or not unused,
        f"Model {model!r} only counts: {', '.join(unused)} would have no effect. Leave it out.",
    )


def _answer(run: RunDir, before: int) -> Answer:
    """What came of it; ``before`` is the number of epochs that were there already."""
    history, best_epoch = run.history(), run.best_epoch
    best = {name: float(history.iloc[best_epoch][name]) for name in (CRITERION, "MRR@20")}
    data = {
        "run_dir": str(run.path),
        "model": run.model_name,
        "epochs": len(history),
        "best_epoch": best_epoch,
        "half_epoch": run.half_epoch,
        "validation": best,
        "counters": run.counters,
        "findings": run.findings,
        "train_seconds": float(history.get("train_seconds", history["eval_seconds"] * 0).sum()),
    }
    text, ended = "counted once; on validation", ""
    if learns(run.model_name):
        n, config = len(history), run.train_config
        text = f"{n} epochs (0 to {n - 1}), the best on validation is epoch {best_epoch} with"
        if n < config.epochs:
            ended = (
                f"\nTraining ended before {config.epochs} epochs, as patience ({config.patience}) "
                "was used up; --resume with a larger --patience goes on."
            )
        elif n == before:
            ended = f"\nAll {n} epochs were there; --resume with larger --epochs goes on."
    metrics = f"{CRITERION} {best[CRITERION]:.4f}, MRR@20 {best['MRR@20']:.4f}"
    findings = "".join(f"\n{sentence}" for sentence in run.findings) + ended
    return Answer(
        data, f"{run.path}: {text} {metrics}.{findings}\nNext: proxysr evaluate {run.path}"
    )
