"""``proxysr tune``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from proxysr.cli.answer import Answer, records, table
from proxysr.cli.options import add_set, add_settings, assigned, given
from proxysr.config import require
from proxysr.experiments.spaces import SPACES, read_space
from proxysr.experiments.tuning import TuneConfig, best_of, tune
from proxysr.findings import CRITERION
from proxysr.models import DEFAULT, MODELS

EXAMPLES = """\
examples:
  proxysr tune data/shop studies/shop --trials 40 --epochs 20
  proxysr tune data/shop studies/narm --model narm --set embedding_dim=64 --jobs 2
  proxysr tune data/shop studies/few --space space.yml     # a space of your own
  proxysr tune data/shop studies/db --storage postgresql://user:password@host/name

The same command, on this machine or any other that sees both folders, joins the study; run again,
it continues what was interrupted. More --trials continue a finished study. Every trial is a run in
STUDY_DIR/runs, judged by its best validation recall; test sessions are not looked at. What was
tried is in STUDY_DIR/trials.csv, and for a notebook: proxysr.experiments.trials("STUDY_DIR").

a space is a YAML or JSON file, of settings of the model or its training (proxysr train --help):
  learning_rate: {low: 0.0001, high: 0.01, log: true}
  n_proxies: [30, 100, 300]

spaces if none is given:
"""
for _name, _it in SPACES.items():
    EXAMPLES += f"  {_name}: {', '.join(_it.space)}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data_dir", metavar="DATA_DIR", help="what `proxysr prepare` wrote")
    parser.add_argument("study_dir", metavar="STUDY_DIR", help="a folder for all of the study")
    parser.add_argument(
        "--model", metavar="NAME", default=DEFAULT, help=f"{', '.join(MODELS)} [{DEFAULT}]"
    )
    parser.add_argument("--space", metavar="FILE", help="what to try [see below]")
    parser.add_argument("--epochs", metavar="N", help="most epochs of a trial [50]")
    add_set(parser, "the model or its training that all trials have")
    parser.add_argument("--storage", metavar="URL", help="database [STUDY_DIR/journal.log]")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="processes here [1]")
    add_settings(parser.add_argument_group("search"), TuneConfig)


def run(args: argparse.Namespace) -> Answer:
    """Search, and tell what was best."""
    fixed: dict[str, Any] = assigned(args.assignments)
    if args.epochs is not None:
        require("epochs" not in fixed, "--epochs and --set epochs=… are one; leave one out.")
        fixed["epochs"] = args.epochs
    found = tune(
        args.data_dir,
        args.study_dir,
        model=args.model,
        space=None if args.space is None else read_space(args.space),
        fixed=fixed,
        config=TuneConfig.from_dict(given(args, TuneConfig)),
        storage=args.storage,
        jobs=args.jobs,
    )
    states = {str(state): int(n) for state, n in found["state"].value_counts().items()}
    rows = records(found)
    best = best_of(found)
    row = None if best is None else next(r for r in rows if r["trial"] == best["trial"])
    data = {"study_dir": args.study_dir, "states": states, "best": row, "trials": rows}
    told = ", ".join(f"{n} {state}" for state, n in states.items())
    text = f"{args.study_dir}: {len(found)} trials, {told}; all in {args.study_dir}/trials.csv.\n"
    if best is None:
        return Answer(data, text + "None is complete yet.")
    settings = list(found.columns[list(found.columns).index("stopped") + 1 :])
    text += (
        f"Best on validation: {Path(best['run']).name}, {CRITERION} {best[CRITERION]:.4f} in epoch "
        f"{best['best_epoch']}:\n{table(found.loc[[best.name], settings])}\n"
        f"Next: proxysr evaluate {best['run']}"
    )
    return Answer(data, text)


def after_interrupt(args: argparse.Namespace) -> str:
    """What is there, and how to go on."""
    if (Path(args.study_dir) / "study.json").is_file():
        return "Trials and their epochs that ended are kept; the same command continues them."
    return "Nothing was written yet; the same command starts anew."
