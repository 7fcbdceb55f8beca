"""``proxysr bench``."""

from __future__ import annotations

import argparse

from proxysr.bench import BenchConfig, bench, format_report
from proxysr.cli.answer import Answer
from proxysr.cli.options import add_settings, given

EXAMPLES = """\
examples:
  proxysr bench                                          # the size of Diginetica, on the CPU
  proxysr bench --n-items 1000000 --literal-sessions 0   # does a million items fit in memory?
  proxysr bench --json > bench.json

The limit is what the matrix products alone would take, measured in the same run; the share of it
that is reached says more than a rate, since rates depend on the machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_settings(parser.add_argument_group("what to measure"), BenchConfig)


def run(args: argparse.Namespace) -> Answer:
    """Measure."""
    result = bench(BenchConfig.from_dict(given(args, BenchConfig)))
    return Answer(result, format_report(result))
