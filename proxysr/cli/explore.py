"""``proxysr explore``."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from proxysr.cli.answer import Answer
from proxysr.cli.options import add_run, add_split

EXAMPLES = """\
examples:
  proxysr explore runs/shop                           # then open the printed link
  proxysr explore runs/shop --open
  proxysr explore runs/shop --compare runs/other      # compare them by interest
  proxysr explore runs/shop --selection lamps.csv     # sessions that were saved from the page

The page is served only to browsers of this machine that have the link; it makes no other network
requests. The first time, a map of the sessions is computed, which takes a minute or more; it is
kept in RUN_DIR/cache. Ctrl-C ends it. Names of interests are stored in RUN_DIR; nothing else is
written. With --json, the object has the address and is printed as soon as the page is served."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_run(parser, compare=True)
    add_split(parser)
    parser.add_argument("--selection", metavar="FILE", help="a saved selection to start with")
    parser.add_argument(
        "--max-drawn", type=int, default=50_000, metavar="N",
        help="most sessions on the map; numbers count all [50000]",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, metavar="N", help="[a free one]")
    parser.add_argument("--theme", choices=("auto", "light", "dark"), default="auto", help="[auto]")
    parser.add_argument("--open", action="store_true", help="open it in a browser")


def run(args: argparse.Namespace) -> Answer | None:
    """Serve the explorer until it is interrupted; with ``--json``, answer when it is served."""
    from proxysr.analysis.run_view import RunView
    from proxysr.explorer.scene import Scene
    from proxysr.explorer.selection import Selection
    from proxysr.explorer.server import check_port, serve

    # check everything and compute the map before serving the page
    check_port(args.port)
    selection = None if args.selection is None else Selection.load(args.selection)
    view = RunView.of(
        args.run_dir, part=args.split, max_drawn=args.max_drawn, data_dir=args.data, progress=True
    )
    scene = Scene(view, compare=args.compare, command=args.command_line)
    scene.begin(theme=args.theme)
    if selection is not None:
        rows, notes = selection.on_page(scene)
        scene.begin(rows=rows, why=f"of {Path(args.selection).name}")
        sys.stderr.writelines(f"{note}\n" for note in notes)

    def ready(link: str) -> None:
        sys.stderr.write(f"The explorer of {args.run_dir} is at {link} (Ctrl-C ends it)\n")
        sys.stderr.flush()
        if args.json:
            args.stdout.write(Answer({"address": link}, "").shown(as_json=True))
            args.stdout.flush()
        if args.open:
            webbrowser.open(link)

    serve(scene, port=args.port, ready=ready)
    return None if args.json else Answer({}, f"The explorer of {args.run_dir} is no longer served.")


def after_interrupt(args: argparse.Namespace) -> str:
    """The message after Ctrl-C before the page is served."""
    return f"The explorer of {args.run_dir} was not opened."
