"""``proxysr evaluate``."""

from __future__ import annotations

import argparse
from typing import get_args

import pandas as pd

from proxysr.cli.answer import Answer, table
from proxysr.cli.options import add_run, add_targets
from proxysr.config import coerce
from proxysr.run import Which
from proxysr.running import evaluate_run

EXAMPLES = """\
examples:
  proxysr evaluate runs/shop                       # test sessions, the task that chose the epoch
  proxysr evaluate runs/shop --task repeat         # repeated clicks count as targets, too
  proxysr evaluate runs/shop --split valid --json

Metrics and the rank of every target are written to RUN_DIR (metrics.json, ranks-*.parquet)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_run(parser)
    add_targets(parser, "the one that chose the epoch")
    text = "fewest clicks before a target [that of validation]"
    parser.add_argument("--min-prefix", type=int, metavar="N", help=text)
    parser.add_argument(
        "--ks", default="5,10,20", metavar="N,N", help="lengths of the list for metrics [5,10,20]"
    )
    parser.add_argument(
        "--weights", choices=get_args(Which), default="best",
        help="epoch of the weights: best on validation, half-way to it, or last [best]; "
        "only evaluations of the best are written to RUN_DIR",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute [auto]"
    )


def run(args: argparse.Namespace) -> Answer:
    """Evaluate, write metrics and ranks to the run, and show the metrics."""
    result = evaluate_run(
        args.run_dir, part=args.split, task=args.task, min_prefix=args.min_prefix,
        ks=coerce(args.ks, tuple[int, ...], "ks"), which=args.weights, data_dir=args.data,
        device=args.device,
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
