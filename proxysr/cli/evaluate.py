"""``proxysr evaluate``."""

from __future__ import annotations

import argparse
from typing import get_args

import pandas as pd

from proxysr.analysis.known_history import by_clicks, gains, history_sentences
from proxysr.analysis.significance import CompareConfig
from proxysr.cli.answer import Answer, records, table
from proxysr.cli.options import add_run, add_targets
from proxysr.config import coerce, require
from proxysr.evaluation import WhoseHistory
from proxysr.run import RunDir, Which
from proxysr.running import evaluate_run

EXAMPLES = """\
examples:
  proxysr evaluate runs/shop                       # test sessions, the task that chose the epoch
  proxysr evaluate runs/shop --task repeat         # repeated clicks count as targets, too
  proxysr evaluate runs/shop --split valid --json
  proxysr evaluate runs/shop --history             # does it help to know what people did before?

With --history, sessions of people who were seen before are ranked three times, from the first click
on: without their earlier sessions, with them, and with those of somebody else, drawn at random. If
the latter help as much, it is not the person that counts. The model must use earlier sessions, as
latent_proxy does, and the log must have users.

Metrics and the rank of every target are written to RUN_DIR (metrics.json, ranks-*.parquet)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_run(parser)
    add_targets(parser, "the one that chose the epoch")
    text = "fewest clicks before a target [that of validation]"
    parser.add_argument("--min-prefix", type=int, metavar="N", help=text)
    parser.add_argument(
        "--ks",
        metavar="N,N",
        help="lengths of the list for metrics [5,10,20; with --history 20, which is always there]",
    )
    parser.add_argument(
        "--weights", choices=get_args(Which), default="best",
        help="epoch of the weights: best on validation, half-way to it, or last [best]; "
        "only evaluations of the best are written to RUN_DIR",
    )  # fmt: skip
    parser.add_argument(
        "--history",
        action="store_true",
        help="of people seen before: does that help? See below",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute [auto]"
    )


def run(args: argparse.Namespace) -> Answer:
    """Evaluate, write metrics and ranks to the run, and show the metrics."""
    if args.history:
        return with_history(args)
    result = evaluate_run(
        args.run_dir, part=args.split, task=args.task, min_prefix=args.min_prefix,
        ks=coerce(args.ks or "5,10,20", tuple[int, ...], "ks"), which=args.weights,
        data_dir=args.data, device=args.device,
    )  # fmt: skip
    data = {
        "run_dir": args.run_dir,
        "split": args.split,
        "task": result.task,
        "min_prefix": result.min_prefix,
        "weights": args.weights,
        "n_targets": result.n_targets,
        "metrics": result.metrics,
    }
    metrics = result.metrics
    rows = [
        {"k": k, "recall (R@k)": metrics[f"R@{k}"], "MRR@k": metrics[f"MRR@{k}"]}
        for k in sorted({int(name.partition("@")[2]) for name in metrics})
    ]
    text = (
        f"{args.run_dir}, {args.split}, task {result.task}: {result.n_targets:,} targets after at "
        f"least {result.min_prefix} click(s)\n{table(pd.DataFrame(rows))}"
    )
    return Answer(data, text)


def with_history(args: argparse.Namespace) -> Answer:
    """Whether a person's earlier sessions help, and more than another person's."""
    require(args.min_prefix is None, "--history ranks from the first click on: no --min-prefix.")
    ks = tuple(sorted({20, *coerce(args.ks or "20", tuple[int, ...], "ks")}))
    found = {
        history: evaluate_run(
            args.run_dir, part=args.split, task=args.task, which=args.weights, history=history,
            ks=ks, data_dir=args.data, device=args.device,
        )
        for history in get_args(WhoseHistory)
    }  # fmt: skip
    config = RunDir(args.run_dir).train_config
    ranks = by_clicks({history: [result.ranks] for history, result in found.items()}, [config.seed])
    found_by_clicks, against = gains(
        ranks, CompareConfig(metrics=tuple(f"{name}@{k}" for k in ks for name in ("R", "MRR")))
    )
    sentences = history_sentences(found_by_clicks, against)
    task = found["none"].task
    data = {
        "run_dir": args.run_dir, "split": args.split, "task": task, "weights": args.weights,
        "table": records(found_by_clicks), "findings": sentences,
    }  # fmt: skip
    columns = ["clicks", "run", "n_sessions", "n_targets", "metric", "value", "difference"]
    text = f"{args.run_dir}, {args.split}, task {task}, people seen before\n"
    text += table(found_by_clicks[columns])
    return Answer(data, "\n".join([text, "", *sentences]))
