"""The explorer as a page of its own, served by Voila to browsers on this machine.

Voila runs ``page.ipynb``, whose only cell asks :func:`page` for the widget; which run it is of
travels in an environment variable. A content security policy keeps the browser from asking
anybody else for anything, whatever the templates of Voila link to.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from proxysr.config import ConfigError, require
from proxysr.explorer.markup import esc

VARIABLE = "PROXYSR_EXPLORE"
SERVER = "PROXYSR_EXPLORE_SERVER"
NOTEBOOK = Path(__file__).parent / "page.ipynb"
HOST = "127.0.0.1"
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'self' ws://{host}:{port} data: blob:"
)


def page() -> widgets.Widget:
    """The explorer that the environment variable describes, or a sentence on why there is none."""
    from proxysr.explorer.app import ProxyExplorer

    options = json.loads(os.environ.get(VARIABLE, "{}"))
    try:
        if "run" not in options:
            raise ConfigError("No run is named. Start this page with `proxysr explore RUN_DIR`.")
        return ProxyExplorer(options.pop("run"), **options)
    except (ValueError, OSError) as error:
        return widgets.HTML(f"<h3>There is nothing to explore.</h3><p>{esc(error)}</p>")


def serve(
    options: Mapping[str, Any], *, port: int, theme: str = "light"
) -> subprocess.Popen[bytes]:
    """Start Voila on the page; it serves until it is terminated.

    Parameters
    ----------
    options : mapping
        Arguments of :class:`~proxysr.explorer.app.ProxyExplorer`, plain values, with ``run``.
    port : int
        Of this machine.
    theme : {"light", "dark"}

    Raises
    ------
    ConfigError
        As :func:`check_port`.
    """
    check_port(port)
    environment = os.environ | {
        VARIABLE: json.dumps(dict(options)),
        SERVER: json.dumps({"port": port, "theme": theme}),
    }
    command = [sys.executable, "-m", "proxysr.explorer.serving"]
    return subprocess.Popen(command, env=environment)


def check_port(port: int) -> None:
    """Raise ``ConfigError`` if there is no such port, or something else listens there."""
    require(1 <= port <= 65_535, f"Ports are 1 to 65535; received {port}.")
    with socket.socket() as probe:
        # as the server does: a port that was left a moment ago can be had again
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(
                f"Port {port} cannot be used ({error.strerror}). Name another with --port."
            ) from None


def main() -> None:
    """Be the server: Voila with one notebook, for this machine only."""
    from traitlets.config import Config
    from voila.app import Voila

    options = json.loads(os.environ[SERVER])
    config = Config()
    config.Voila.ip, config.Voila.port, config.Voila.port_retries = HOST, options["port"], 0
    config.Voila.open_browser, config.Voila.log_level = False, logging.ERROR
    policy = POLICY.format(host=HOST, port=options["port"])
    config.Voila.tornado_settings = {"headers": {"Content-Security-Policy": policy}}
    config.VoilaConfiguration.theme = options["theme"]
    Voila.launch_instance(argv=[str(NOTEBOOK)], config=config)


if __name__ == "__main__":
    main()
