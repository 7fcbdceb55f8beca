"""``proxysr bench``."""

from __future__ import annotations

import argparse
from typing import Any

from proxysr.bench import BenchConfig, bench, bench_models, measured_ms
from proxysr.cli.answer import Answer
from proxysr.cli.options import add_settings, given
from proxysr.config import require

EXAMPLES = """\
examples:
  proxysr bench                                          # the size of Diginetica, on the CPU
  proxysr bench --n-items 1000000 --literal-sessions 0   # does a million items fit in memory?
  proxysr bench --json > bench.json
  proxysr bench --models all --data data/diginetica      # training of each model, side by side

The limit is the time of the matrix products alone, measured in the same run. The share of it that
is reached is more informative than a rate, since rates depend on the machine. With one thread
(OMP_NUM_THREADS=1), CPU time is measured, which other programs hardly affect; with several it is
wall time, for which the machine should be idle."""


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
        result = bench_models(args.models, args.data, config)
        return Answer(result, format_models(result))
    result = bench(config)
    return Answer(result, format_report(result))


def format_report(result: dict[str, Any]) -> str:
    """The result as a few lines to read."""
    settings, training, evaluation = (result[k] for k in ("settings", "training", "evaluation"))
    lines = [
        f"N = {settings['n_items']:,} items, d = {settings['embedding_dim']}, "
        f"K = {settings['n_proxies']}, batch {settings['batch_size']}; "
        f"{result['machine']['threads']} threads, torch {result['machine']['torch']}",
        "",
        f"{'':34}{'training':>14}{'evaluation':>14}",
        f"{'':34}{'sessions/s':>14}{'prefixes/s':>14}",
    ]
    rows = [
        ("matrix products alone", "products_alone", "products_alone", ",.0f"),
        ("proxysr", "sessions_per_second", "prefixes_per_second", ",.0f"),
        ("  as a share of the products", "share_of_products", "share_of_products", ".0%"),
        ("literal, one session at a time", "literal", "literal", ",.1f"),
        ("  proxysr against literal", "speedup_over_literal", "speedup_over_literal", ",.0f"),
    ]
    for label, left, right, style in rows:
        if left in training:
            values = (format(training[left], style), format(evaluation[right], style))
            lines.append(f"{label:34}{values[0]:>14}{values[1]:>14}")
    machine, step = result["machine"], f"a step of {training['positions_per_step']:.0f} targets"
    measured = measured_ms(result)
    lines += ["", f"{step + ', ms':34}{'predicted':>14}{'measured':>14}"]
    for name, ms in result["predicted_ms"].items():
        lines.append(f"  {name:32}{ms:>14.2f}{measured[name]:>14.2f}")
    lines += [
        "",
        f"One session in 20 waits for more than {result['one_session_ms']['p95']:.1f} ms. "
        f"Products ran at {training['gflops_of_products']:.0f} GFLOP/s, memory at "
        f"{machine['memory_gb_per_second']:.0f} GB/s; "
        f"peak memory {result['peak_memory_gb']:.1f} GB.",
    ]
    return "\n".join(lines)


def format_models(result: dict[str, Any]) -> str:
    """The result as a table to read, the fastest model first."""
    settings = result["settings"]
    lines = [
        f"N = {settings['n_items']:,} items, d = {settings['embedding_dim']}, "
        f"batch {settings['batch_size']}, {settings['steps']} steps; "
        f"{settings['threads']} threads, torch {settings['torch']}",
        "",
        f"{'':12}{'targets/s':>12}{'products alone':>16}{'share':>8}{'ms a step':>12}",
    ]
    rows = sorted(result["models"].items(), key=lambda row: -row[1]["targets_per_second"])
    lines += [
        f"{name:12}{row['targets_per_second']:>12,.0f}{row['products_alone']:>16,.0f}"
        f"{row['share_of_products']:>8.0%}{row['step_ms']:>12.1f}"
        for name, row in rows
    ]
    return "\n".join(lines)
