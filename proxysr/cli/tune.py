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
it continues an interrupted study, and with more --trials a finished one. Every trial is a run in
STUDY_DIR/runs, judged by its best validation recall; test sessions are not used. All trials are
in STUDY_DIR/trials.csv, and for a notebook: proxysr.experiments.trials("STUDY_DIR").

a space is a YAML or JSON file with settings of the model or its training (proxysr train --help):
  learning_rate: {low: 0.0001, high: 0.01, log: true}
  n_proxies: [30, 100, 300]

spaces if none is given:
"""
for _name, _it in SPACES.items():
    EXAMPLES += f"  {_name}: {', '.join(_it.space)}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data_dir", metavar="DATA_DIR", help="folder that `proxysr prepare` wrote")
    parser.add_argument("study_dir", metavar="STUDY_DIR", help="a folder for the study")
    parser.add_argument(
        "--model", metavar="NAME", default=DEFAULT, help=f"{', '.join(MODELS)} [{DEFAULT}]"
    )
    parser.add_argument("--space", metavar="FILE", help="settings to search [see below]")
    parser.add_argument("--epochs", metavar="N", help="most epochs of a trial [50]")
    add_set(parser, "the model or its training, the same in all trials")
    parser.add_argument("--storage", metavar="URL", help="database [STUDY_DIR/journal.log]")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="processes here [1]")
    add_settings(parser.add_argument_group("search"), TuneConfig)


def run(args: argparse.Namespace) -> Answer:
    """Search, and show the best trial."""
    fixed: dict[str, Any] = assigned(args.assignments)
    if args.epochs is not None:
        require("epochs" not in fixed, "--epochs and --set epochs=… are one; leave one out.")
        fixed["epochs"] = args.epochs
    trials = tune(
        args.data_dir,
        args.study_dir,
        model=args.model,
        space=None if args.space is None else read_space(args.space),
        fixed=fixed,
        config=TuneConfig.from_dict(given(args, TuneConfig)),
        storage=args.storage,
        jobs=args.jobs,
    )
    states = {str(state): int(n) for state, n in trials["state"].value_counts().items()}
    rows = records(trials)
    best = best_of(trials)
    row = None if best is None else next(r for r in rows if r["trial"] == best["trial"])
    data = {"study_dir": args.study_dir, "states": states, "best": row, "trials": rows}
    by_state = ", ".join(f"{n} {state}" for state, n in states.items())
    text = (
        f"{args.study_dir}: {len(trials)} trials, {by_state}; all in {args.study_dir}/trials.csv.\n"
    )
    if best is None:
        return Answer(data, text + "None could be completed; the table says why.")
    settings = list(trials.columns[list(trials.columns).index("stopped") + 1 :])
    text += (
        f"Best on validation: {Path(best['run']).name}, {CRITERION} {best[CRITERION]:.4f} in epoch "
        f"{best['best_epoch']}:\n{table(trials.loc[[best.name], settings])}\n"
        f"Next: proxysr evaluate {best['run']}"
    )
    return Answer(data, text)


def after_interrupt(args: argparse.Namespace) -> str:
    """What was written, and how to continue."""
    if (Path(args.study_dir) / "study.json").is_file():
        return "Finished trials and epochs are kept; the same command continues the study."
    return "Nothing was written yet; the same command starts again."
