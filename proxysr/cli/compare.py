"""``proxysr compare``."""

from __future__ import annotations

import argparse

from proxysr.analysis.significance import CompareConfig, compare_runs
from proxysr.cli.answer import Answer, records, table
from proxysr.cli.options import add_settings, add_targets, given

EXAMPLES = """\
examples:
  proxysr compare runs/cooccurrence runs/shop              # differences to the first run
  proxysr compare runs/a-1 runs/a-2 runs/b-1 runs/b-2 --group-seeds
  proxysr compare runs/a runs/b --task repeat --metrics R@5,R@20 --json

The runs need evaluations of the same targets: the same data, part, task and fewest clicks.
If an interval contains 0, or a p-value is not small, the difference may be chance.
With several rows, read the p-values corrected by Holm's method."""

SHOWN = {
    "difference_low": "low", "difference_high": "high", "p_value": "p_value", "p_holm": "p_holm",
}  # fmt: skip
"""Columns of a difference, and their names in the output."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run_dirs", metavar="RUN_DIR", nargs="+", help="evaluated runs; the first is the reference"
    )
    add_targets(parser, "the one that chose the first run's epoch")
    parser.add_argument(
        "--group-seeds",
        action="store_true",
        help="runs that differ only in their seed count as one: averages of each target",
    )
    add_settings(parser, CompareConfig)


def run(args: argparse.Namespace) -> Answer:
    """Compare."""
    config = CompareConfig.from_dict(given(args, CompareConfig))
    rows, comparison = compare_runs(
        args.run_dirs,
        part=args.split,
        task=args.task,
        group_seeds=args.group_seeds,
        config=config,
    )
    names = [run.pop("name") for run in comparison["runs"]]
    metrics = rows.pivot(index="run", columns="metric", values="value")
    metrics = metrics.loc[names, list(config.metrics)].rename_axis(columns=None).reset_index()
    others = rows[rows["run"] != names[0]]
    differences = others[["run", "metric", "difference", *SHOWN]].rename(columns=SHOWN)
    n_targets, n_sessions = (int(rows[name][0]) for name in ("n_targets", "n_sessions"))
    runs = [
        run | {"metrics": row}
        for run, row in zip(comparison["runs"], records(metrics.drop(columns="run")), strict=True)
    ]
    data = {
        "split": comparison["part"],
        "task": comparison["task"],
        "min_prefix": comparison["min_prefix"],
        "n_targets": n_targets,
        "n_sessions": n_sessions,
        "settings": config.to_dict(),
        "runs": runs,
        "differences": records(differences),
    }
    percent = f"{100 * config.confidence:g} %"
    shown = differences.rename(
        columns={
            "low": f"{percent} from", "high": "to", "p_value": "p", "p_holm": "p (Holm)",
        }
    )  # fmt: skip
    text = (
        f"{comparison['part']}, task {comparison['task']}: {n_targets:,} targets of "
        f"{n_sessions:,} sessions after at least {comparison['min_prefix']} click(s)\n"
        f"{table(metrics)}\n\nDifferences to {names[0]}:\n{table(shown)}"
    )
    return Answer(data, text)
