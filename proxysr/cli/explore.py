"""``proxysr explore``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

from proxysr.cli.answer import Answer
from proxysr.config import ConfigError

EXAMPLES = """\
examples:
  proxysr explore runs/shop                           # then open the address that it prints
  proxysr explore runs/shop --open --theme dark
  proxysr explore runs/shop --selection lamps.csv     # sessions that were saved from the page

The page is served to browsers of this machine only, and asks nobody else for anything.
The first time, a map of the sessions is made, which takes a minute or more. Ctrl-C ends it."""
PATIENCE = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from proxysr.data.sessions import PARTS

    parser.add_argument("run_dir", metavar="RUN_DIR", help="what `proxysr train` wrote")
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data [test]")
    parser.add_argument("--data", metavar="DATA_DIR", help="the prepared data, if it has moved")
    parser.add_argument("--selection", metavar="FILE", help="saved sessions to begin with")
    parser.add_argument(
        "--max-drawn", type=int, default=50_000, metavar="N",
        help="most sessions on the map; tables count all [50000]",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8866, metavar="N", help="[8866]")
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="[light]")
    parser.add_argument("--open", action="store_true", help="open it in a browser")


def run(args: argparse.Namespace) -> Answer:
    """Serve the explorer until it is interrupted."""
    from proxysr.analysis.run_view import RunView
    from proxysr.explorer.scene import Scene
    from proxysr.explorer.selection import Selection
    from proxysr.explorer.serving import HOST, check_port, serve

    # what cannot be shown is refused, and the map is made, before there is a page to wait for
    check_port(args.port)
    selection = None if args.selection is None else Selection.load(args.selection)
    shown = {"part": args.split, "max_drawn": args.max_drawn}
    view = RunView.of(args.run_dir, **shown, data_dir=args.data, progress=True)
    if selection is not None:
        selection.in_scene(Scene(view))
    _ = view.layout
    options = {"run": str(view.run.path.resolve())} | shown
    for name, path in (("data_dir", args.data), ("selection", args.selection)):
        if path is not None:
            options[name] = str(Path(path).expanduser().resolve())
    server = serve(options, port=args.port, theme=args.theme)
    address = f"http://{HOST}:{args.port}/"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no server outlives its command
    try:
        _wait_for(address, server.poll)
        sys.stderr.write(f"The explorer of {args.run_dir} is at {address} (Ctrl-C ends it)\n")
        if args.open:
            webbrowser.open(address)
        server.wait()
    finally:
        server.terminate()
        server.wait()
    return Answer({"address": address}, "The explorer was ended.")


def after_interrupt(args: argparse.Namespace) -> str:
    """What to say after Ctrl-C."""
    return f"The explorer of {args.run_dir} is no longer served."


def _wait_for(address: str, exit_code: Callable[[], int | None]) -> None:
    """Return when something answers at ``address``voila/static; the page would start a kernel."""
    for _ in range(PATIENCE * 5):
        if exit_code() is not None:
            raise ConfigError(
                f"The server ended at once, with exit code {exit_code()}; what it said stands "
                "above. It needs Voila, which comes with: pip install 'proxysr[notebooks]'."
            )
        try:
            with urllib.request.urlopen(f"{address}voila/static/favicon.ico", timeout=1):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.2)
    raise ConfigError(f"The server did not answer at {address} within {PATIENCE} seconds.")
