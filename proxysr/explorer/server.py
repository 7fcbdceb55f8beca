"""A local server for the explorer's page.

The server listens on the loopback interface only. A request needs the token of the printed link, or
the cookie that was sent with the page. Other names in ``Host`` or ``Origin`` are refused, so that
pages of other sites cannot send requests. Each connection has a thread, which ends after a time
without requests; one request at a time uses the model.
"""

from __future__ import annotations

import html
import json
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from proxysr import __version__
from proxysr.config import ConfigError, require
from proxysr.explorer import assets
from proxysr.explorer.packing import pack
from proxysr.explorer.requests import LARGEST_FILE, answer
from proxysr.explorer.scene import Scene

HOST = "127.0.0.1"
SILENCE = 20.0
"""Seconds that a connection may be silent."""
LARGEST = LARGEST_FILE + 1_000_000
"""Bytes of a request."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="explorer.css">
</head>
<body>
<div id="explorer"></div>
<noscript>This page needs JavaScript.</noscript>
<script type="module" src="explorer.js"></script>
</body>
</html>
"""


class Server(ThreadingHTTPServer):
    """Serves one scene; see :func:`serve`.

    Parameters
    ----------
    scene : Scene
    port : int
        0: a free one.

    Raises
    ------
    ConfigError
        If the port cannot be used.
    """

    request_queue_size = 64

    def __init__(self, scene: Scene, port: int = 0) -> None:
        check_port(port)
        self.scene = scene
        self.token = secrets.token_urlsafe(24)
        self.script, self.style = assets.module("server").encode(), assets.stylesheet().encode()
        super().__init__((HOST, port), Handler)
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.cookie = f"proxysr-{self.server_port}"  # cookies know no ports

    @property
    def link(self) -> str:
        """The address to open."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed and silent connections."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Server
    server_version = f"proxysr/{__version__}"
    sys_version = ""
    timeout = SILENCE

    def do_GET(self) -> None:
        """The page, its script and style, and the payload."""
        if not self._may_ask():
            return
        path, scene = urlsplit(self.path).path, self.server.scene
        if path == "/":
            title = html.escape(f"{scene.tree['meta']['title']} · proxysr explorer")
            self._send(PAGE.format(title=title).encode(), "text/html; charset=utf-8", cookie=True)
        elif path == "/explorer.js":
            self._send(self.server.script, "text/javascript; charset=utf-8")
        elif path == "/explorer.css":
            self._send(self.server.style, "text/css; charset=utf-8")
        elif path in ("/payload.json", "/payload.bin"):
            with scene.lock:
                header, blob = scene.packed()
            if path == "/payload.bin":
                self._send(blob, "application/octet-stream")
            else:
                self._send(json.dumps(header, allow_nan=False).encode(), "application/json")
        else:
            self._refuse(404, "There is nothing at this address.")

    def do_POST(self) -> None:
        """One request of the page; see :mod:`proxysr.explorer.requests`."""
        if not self._may_ask():
            return
        length = self.headers.get("Content-Length", "")
        if urlsplit(self.path).path != "/request":
            self._refuse(404, "There is nothing at this address.")
        elif not length.isdecimal():
            self._refuse(411, "A request says how long it is.")
        elif int(length) > LARGEST:
            self._refuse(413, f"A request has at most {LARGEST:,} bytes.")
        else:
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                return  # the browser went away
            try:
                request = json.loads(body)
            except (ValueError, RecursionError):
                self._refuse(400, "A request is JSON.")
                return
            content, _ = pack(answer(self.server.scene, request))
            self._send(json.dumps(content, allow_nan=False).encode(), "application/json")

    def _may_ask(self) -> bool:
        """Whether the request comes from this machine's page; else it is refused."""
        names = self.server.names
        origin = self.headers.get("Origin")
        if self.headers.get("Host", "") not in names:
            self._refuse(403, "This server answers to this machine's own name only.")
        elif origin is not None and origin.removeprefix("http://") not in names:
            self._refuse(403, "This server answers its own page only.")
        elif not self._is_known():
            self._refuse(403, "Open the link that proxysr explore printed: it has the token.")
        else:
            return True
        return False

    def _is_known(self) -> bool:
        tokens = parse_qs(urlsplit(self.path).query).get("token", [])
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        if self.server.cookie in cookies:
            tokens = [*tokens, cookies[self.server.cookie].value]
        expected = self.server.token.encode()
        return any(secrets.compare_digest(token.encode(), expected) for token in tokens)

    def _send(self, body: bytes, kind: str, *, status: int = 200, cookie: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            value = f"{self.server.cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
            self.send_header("Set-Cookie", value)
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, sentence: str) -> None:
        self._send(f"{sentence}\n".encode(), "text/plain; charset=utf-8", status=status)

    def end_headers(self) -> None:
        """Every answer has the same rules."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is logged: addresses hold the token."""


def serve(scene: Scene, *, port: int = 0, ready: Callable[[str], None] | None = None) -> str:
    """Serve a scene until it is interrupted, by Ctrl-C or SIGTERM.

    Parameters
    ----------
    scene : Scene
    port : int
        0: a free one.
    ready : function, optional
        Called with the link when it can be opened.

    Returns
    -------
    str
        The link, which is no longer valid.

    Raises
    ------
    ConfigError
        If the port cannot be used.
    """
    server = Server(scene, port)
    in_main = threading.current_thread() is threading.main_thread()
    ends = (signal.SIGTERM, signal.SIGINT) if in_main else ()  # a shell may ignore them
    earlier = {name: signal.signal(name, signal.default_int_handler) for name in ends}
    try:
        if ready is not None:
            ready(server.link)
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        for name, handler in earlier.items():
            signal.signal(name, handler)
    return server.link


def check_port(port: int) -> None:
    """Raise ``ConfigError`` if a port cannot be used; call it before a long computation."""
    require(0 <= port <= 65_535, f"Ports are 1 to 65535, 0 for a free one; received {port}.")
    with socket.socket() as probe:
        # as the server does: a port that was just closed can be used again
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(
                f"Port {port} cannot be used ({error.strerror}). Name another with --port."
            ) from None
