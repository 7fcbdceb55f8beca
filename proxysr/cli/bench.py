"""``proxysr bench``."""

from __future__ import annotations

import argparse

from proxysr.bench import BenchConfig, bench, format_report
from proxysr.bench_models import bench_models, format_models, learned_models
from proxysr.cli.answer import Answer
from proxysr.cli.options import add_settings, given
from proxysr.config import require

EXAMPLES = """\
examples:
  proxysr bench                                          # the size of Diginetica, on the CPU
  proxysr bench --n-items 1000000 --literal-sessions 0   # does a million items fit in memory?
  proxysr bench --json > bench.json
  proxysr bench --models all --data data/diginetica      # training of each model, side by side

The limit is what the matrix products alone would take, measured in the same run; the share of it
that is reached says more than a rate, since rates depend on the machine. With
one thread (OMP_NUM_THREADS=1) times are those of the processor, so that other programs hardly
count; with several it is wall time, for which the machine should have nothing else to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    models = parser.add_argument_group("several models")
    models.add_argument(
        "--models", metavar="all|NAME,...",
        help="time training steps of these models instead, with the embedding size, batch size, "
        "steps and seed below, on prepared data",
    )  # fmt: skip
    models.add_argument("--data", metavar="DIR", help="prepared data for --models")
    add_settings(parser.add_argument_group("what to measure"), BenchConfig)


def run(args: argparse.Namespace) -> Answer:
    """Measure."""
    config = BenchConfig.from_dict(given(args, BenchConfig))
    require(
        (args.models is None) == (args.data is None),
        "--models and --data go together: which models to time, and on which prepared data.",
    )
    if args.models is not None:
        result = bench_models(
            learned_models(args.models), args.data, embedding_dim=config.embedding_dim,
            batch_size=config.batch_size, steps=config.steps, seed=config.seed,
        )  # fmt: skip
        return Answer(result, format_models(result))
    result = bench(config)
    return Answer(result, format_report(result))
