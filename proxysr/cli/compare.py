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
An interval that holds 0, or a p-value that is not small, means that the difference may be luck.
With several rows, the p-values to read are those corrected by Holm's method."""


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
    found, facts = compare_runs(
        args.run_dirs,
        part=args.split,
        task=args.task,
        group_seeds=args.group_seeds,
        config=config,
    )
    metrics, differences = found.metrics, found.differences
    runs = [
        known | {"metrics": row}
        for known, row in zip(facts["runs"], records(metrics.drop(columns="run")), strict=True)
    ]
    data = {
        "split": facts["part"],
        "task": facts["task"],
        "min_prefix": facts["min_prefix"],
        "n_targets": found.n_targets,
        "n_sessions": found.n_sessions,
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
        f"{facts['part']}, task {facts['task']}: {found.n_targets:,} targets of "
        f"{found.n_sessions:,} sessions after at least {facts['min_prefix']} click(s)\n"
        f"{table(metrics)}\n\nDifferences to {metrics['run'][0]}:\n{table(shown)}"
    )
    return Answer(data, text)
