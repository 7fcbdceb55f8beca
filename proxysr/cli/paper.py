"""``proxysr paper``."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.analysis.significance import CompareConfig
from proxysr.cli.answer import Answer, records, table
from proxysr.cli.options import add_set, assigned
from proxysr.config import ConfigError, require, unknown
from proxysr.experiments.running import ROWS_MARK, Results, run_spec
from proxysr.experiments.spec import check_train, model_variants, numbers_in, read_spec
from proxysr.files import check_own, check_writable, replacing
from proxysr.models import MODELS
from proxysr.paper.evidence import find_runs
from proxysr.paper.kept import read_kept, write_kept
from proxysr.paper.page import PAGE_MARK, results_page
from proxysr.paper.results import Log
from proxysr.paper.rows import named_by_log
from proxysr.paper.tables import TABLES, Request, run_table
from proxysr.paper.tabulated import tabulated
from proxysr.paper.verdict import METRIC
from proxysr.training import TrainConfig

EXAMPLES = """\
examples:
  proxysr paper run table2 --data data/diginetica --out runs/paper --epochs 50 --seeds 0,1,2
  proxysr paper run table3 --data data/diginetica --out runs/paper --models proxysr,sasrec --jobs 2
  proxysr paper run spec.yaml --out runs/mine                 # runs of your own, see below
  proxysr paper tables runs/paper --out results.md            # a page of what is there so far

run makes the runs of a table or figure. The same command, run again, continues what was
interrupted and tries once more what failed; what is there is kept. OUT/runs.csv has a row for each
run and task, and for one that is missing, why. Other runs go on where one fails; the exit
code is 2 then. ProxySR has the settings of the authors' program and other models their defaults, if
--presets names no others. All are judged after one click, or as many as the presets say. Data of
Diginetica are judged after 3 clicks in the paper: --set valid_min_prefix=3.

tables writes a page from the files of all runs below some folders: ours beside the paper's, with
target counts, standard deviations over seeds, paired differences and Holm's p-values; what is
missing is named. With --keep, what the tables need of each run stays in that folder, in small files
without a click in them, and the page is of all runs that were ever kept there: so they may be on
several machines. A run that is trained again takes the place of the kept one; to take one off the
page, remove its file. Without folders of runs, the page is of what is kept. With --pictures, R@20
of the models of each log is drawn, and shown on the page.

a spec is a YAML file:
  data: {shop: data/shop}                # name: what `proxysr prepare` wrote
  models:
    - cooccurrence
    - preset: sasrec-small
    - {model: proxysr, vary: {n_proxies: [10, 30]}, train: {learning_rate: 0.002}}
  train: {epochs: 20}
  valid_tasks: [unseen, repeat]          # task that chooses the epoch
  seeds: [0, 1, 2]

tables and figures:
"""
for _name, _make in TABLES.items():
    EXAMPLES += f"  {_name}: {(_make.__doc__ or '').splitlines()[0]}\n"

OF_TABLES = ("data", "models", "presets", "min_sessions")
OF_RUNS = (*OF_TABLES, "seeds", "epochs")
"""Options that only some uses have."""
OF_PAGES = ("reference", "metrics", "resamples", "keep", "pictures")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("run", "tables"), help="make runs, or a page of them")
    parser.add_argument(
        "what", metavar="WHAT", nargs="*", help="run: a table or a spec; tables: folders of runs"
    )
    parser.add_argument("--out", metavar="PATH", help="run: folder of the runs; tables: the page")
    runs = parser.add_argument_group("run")
    runs.add_argument("--data", metavar="DIR", help="what `proxysr prepare` wrote")
    runs.add_argument("--models", metavar="NAMES", help="of table2 and table3 [all]")
    runs.add_argument("--presets", metavar="ENDING", help="settings MODEL-ENDING for all models")
    runs.add_argument("--seeds", metavar="N,N", help="[0,1,2,3,4, or those of the spec]")
    runs.add_argument("--epochs", metavar="N", help="most epochs of each run")
    runs.add_argument(
        "--min-sessions", metavar="N", type=int, help="of table4: fewest of a known user [10]"
    )
    add_set(runs, "the training that all runs have")
    runs.add_argument("--jobs", metavar="N", type=int, default=1, help="processes [1]")
    runs.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="[auto]")
    page = parser.add_argument_group("tables")
    page.add_argument(
        "--reference", metavar="MODEL", help="what others are compared with [proxysr]"
    )
    page.add_argument(
        "--keep", metavar="FOLDER", help="where what is needed of each run stays; see below"
    )
    page.add_argument("--pictures", metavar="FOLDER", help="draw R@20 of each log's models, too")
    page.add_argument("--metrics", metavar="NAMES", help="between commas [R@20,MRR@20]")
    page.add_argument("--resamples", metavar="N", help="for intervals and p-values [10000]")


def run(args: argparse.Namespace) -> Answer:
    """Make the runs, or the page."""
    require(
        args.out is not None,
        "--out is needed: "
        + ("the folder of the runs." if args.action == "run" else "the page, such as results.md."),
    )
    return _runs(args) if args.action == "run" else _page(args)


def _runs(args: argparse.Namespace) -> Answer:
    require(
        len(args.what) == 1,
        f"One table or spec at a time; received {', '.join(args.what) or 'none'}.",
    )
    (what,) = args.what
    foreign = [name for name in OF_PAGES if getattr(args, name) is not None]
    require(not foreign, f"--{', --'.join(foreign)}: only tables takes that.")
    train: dict[str, Any] = assigned(args.assignments)
    if args.epochs is not None:
        require("epochs" not in train, "--epochs and --set epochs=… are one; leave one out.")
        train["epochs"] = args.epochs
    checked = TrainConfig.from_dict(train)  # what is misspelt is told before hours of training
    train = {name: getattr(checked, name) for name in train}
    check_train(train)
    out = Path(args.out)
    check_own(out / "runs.csv", ROWS_MARK, "the rows of a spec's runs", "folder")
    check_writable(out / "runs.csv")
    if what in TABLES:
        results = _of_table(what, args, train, out)
    else:
        if Path(what).suffix not in (".yaml", ".yml"):
            raise ConfigError(
                unknown(what, TABLES, "table or figure") + " A spec is a file that ends in .yaml."
            )
        named = [
            f"--{name.replace('_', '-')}" for name in OF_TABLES if getattr(args, name) is not None
        ]
        require(not named, f"{', '.join(named)}: the spec says that, so leave it out.")
        spec = read_spec(what)
        seeds = spec.seeds if args.seeds is None else numbers_in(args.seeds)
        spec = replace(spec, train={**spec.train, **train}, seeds=seeds)
        results = run_spec(spec, out, jobs=args.jobs, device=args.device)
    return _answer(results, what, out)


def _of_table(what: str, args: argparse.Namespace, train: dict[str, Any], out: Path) -> Results:
    require(args.data is not None, "--data is needed: what `proxysr prepare` wrote.")
    options: dict[str, Any] = {"train": train, "jobs": args.jobs, "device": args.device}
    if args.models is not None:
        model_variants(args.models)  # a misspelt one is told before hours of training
        options["models"] = args.models
    if args.min_sessions is not None:
        require(
            what == "table4",
            f"{what} knows no users: --min-sessions is for table4. Leave it out, or name table4.",
        )
        require(
            args.min_sessions >= 1, f"--min-sessions is at least 1; received {args.min_sessions}."
        )
        options["min_sessions"] = args.min_sessions
    if args.presets is not None:
        options["presets"] = args.presets
    if args.seeds is not None:
        options["seeds"] = numbers_in(args.seeds)
    return run_table(what, Request(Path(args.data), out, **options))


def _answer(results: Results, what: str, out: Path) -> Answer:
    frame = results.frame
    with replacing(out / "runs.csv") as temporary:
        frame.to_csv(temporary, index=False)
    holes = list(dict.fromkeys(results.holes))
    if holes:
        raise ValueError(
            f"{len(holes)} of {len(results.cells)} runs of {what} are missing; {out / 'runs.csv'} "
            f"has all, and the same command tries again. {'; '.join(holes[:3])}"
            + ("; …" if len(holes) > 3 else "")
        )
    columns = ["data", "variant", "valid_task", "task", "n_targets", "R@20", "MRR@20"]
    keys = ["data", "variant", "valid_task", "task"]
    means = frame[columns].groupby(keys, sort=False, as_index=False).mean(numeric_only=True)
    means["n_targets"] = means["n_targets"].astype(int)
    means.insert(4, "seeds", frame.groupby(keys, sort=False).size().to_numpy())
    text = (
        f"{what}: {len(results.cells)} runs in {out}, all in {out / 'runs.csv'}; means over the "
        f"seeds:\n{table(means)}\nNext: proxysr paper tables {out} --out results.md"
    )
    return Answer({"out": str(out), "runs": records(frame)}, text)


def _page(args: argparse.Namespace) -> Answer:
    foreign = [name.replace("_", "-") for name in OF_RUNS if getattr(args, name) is not None]
    require(not foreign, f"--{', --'.join(foreign)}: only run takes that.")
    options = {"metrics": args.metrics, "resamples": args.resamples}
    named = {name: value for name, value in options.items() if value is not None}
    config = CompareConfig.from_dict(named)
    require(
        args.what or args.keep is not None,
        "Name folders with runs, or --keep, the folder of what is kept of them.",
    )
    out = Path(args.out)
    check_own(out, PAGE_MARK, "a page of results")
    check_writable(out, "file")
    reference = args.reference or "proxysr"
    require(reference in MODELS, unknown(reference, MODELS, "model"))
    given = [word for k in OF_PAGES if getattr(args, k) for word in (f"--{k}", getattr(args, k))]
    command = shlex.join(["proxysr", "paper", "tables", *args.what, "--out", args.out, *given])
    kept = {} if args.keep is None else {one.key: one for one in read_kept(args.keep)}
    found, holes = find_runs(args.what)
    new = {one.key: one for one in found}
    shown = named_by_log(list({**kept, **new}.values()))
    if not shown:
        raise ValueError(
            f"No evaluated run lies in {', '.join([*args.what, *filter(None, [args.keep])])}. "
            + (f"Found, but left out: {holes[0]}" if holes else "Make some: `proxysr paper run`.")
        )
    logs = tabulated(shown, reference=reference, config=config)
    pictures = {} if args.pictures is None else _pictures(logs, Path(args.pictures), command)
    page = results_page(
        logs, reference=reference, command=command, confidence=config.confidence, holes=holes,
        pictures={name: os.path.relpath(path, out.parent) for name, path in pictures.items()},
    )  # fmt: skip
    if args.keep is not None:
        write_kept(args.keep, [one for one in shown if one.key in new])
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    tables = [f"{log.name}: {table.title}" for log in logs for table in log.tables]
    text = "\n".join([f"{out}: {len(tables)} tables.", *(f"  {name}" for name in tables)])
    return Answer({"out": str(out), "tables": tables, "left_out": holes}, text)


def _pictures(logs: Sequence[Log], folder: Path, command: str) -> dict[str, Path]:
    """Draw R@20 of the models of each log; returns the pictures by the log's name."""
    # here, as they take a second to import
    from proxysr.plots.comparison import metric_dots
    from proxysr.plots.saving import save_figure

    pictures = {}
    for log in logs:
        of_task: dict[str, pd.DataFrame] = {}  # the first table of each
        for one in log.tables:
            if one.values is not None:
                of_task.setdefault(one.values["task"].iloc[0], one.values)
        shown = pd.concat(of_task.values(), ignore_index=True) if of_task else pd.DataFrame()
        if METRIC in set(shown.get("metric", ())):
            fig = metric_dots(shown, METRIC, title=f"Which model finds most on {log.name}?")
            name = re.sub(r"[^A-Za-z0-9_-]+", "-", log.name)
            saved = save_figure(
                fig, name, table=shown, folder=folder, settings={"log": log.name}, command=command
            )
            if saved.png is not None:
                pictures[log.name] = saved.png
    return pictures


def after_interrupt(args: argparse.Namespace) -> str:
    """What is there, and how to go on."""
    return "Runs and their epochs that ended are kept; the same command continues them."
