"""``proxysr report``."""

from __future__ import annotations

import argparse

from proxysr.cli.answer import Answer
from proxysr.cli.options import add_run, add_split

EXAMPLES = """\
examples:
  proxysr report runs/shop shop.html                  # test sessions
  proxysr report runs/shop shop.html --split valid
  proxysr report runs/shop shop.html --compare runs/other --max-sessions 5000

The page is one offline file: the explorer of the run, with its sessions, interests, metrics and
their origin."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_run(parser, compare=True)
    parser.add_argument("file", metavar="FILE.html", help="a new file, or an earlier report")
    add_split(parser)
    parser.add_argument(
        "--max-sessions", type=int, default=50_000, metavar="N",
        help="most sessions to show; a sample if there are more [50000]",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Answer:
    """Compute the map and write the page."""
    from proxysr.analysis.projection import FEWEST
    from proxysr.analysis.run_view import RunView
    from proxysr.config import require
    from proxysr.explorer.report import check_place, write_report
    from proxysr.run import RunDir

    n = args.max_sessions
    require(n >= FEWEST, f"--max-sessions is at least {FEWEST}, for a map; received {n}.")
    check_place(args.file)
    compare = None if args.compare is None else RunDir(args.compare)
    view = RunView.of(args.run_dir, part=args.split, data_dir=args.data, max_drawn=n, progress=True)
    path = write_report(view, args.file, compare=compare, command=args.command_line, max_sessions=n)
    size = path.stat().st_size
    data = {"file": str(path), "bytes": size, "n_sessions": len(view.table), "notes": view.notes}
    notes = "".join(f"\n{note}" for note in view.notes)
    return Answer(data, f"{path}: {size / 1e6:.1f} MB. Open it in a browser.{notes}")
