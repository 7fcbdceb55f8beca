"""The page in its three hosts: one file, the local server, and JupyterLab."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from proxysr.explorer.report import write_report
from proxysr.explorer.scene import Scene
from proxysr.explorer.server import Server
from tests.browser.conftest import PATIENCE, ended, free_port, wait_until_answered
from tests.explorer.shop import Shop

MS = 1000 * PATIENCE
APP = "document.querySelector('[data-testid=proxysr]').parentElement.__proxysr"


class Opened:
    """An open page, and what it asked of a network and complained about.

    Attributes
    ----------
    tree : dict
        The payload that it should show.
    """

    def __init__(self, browser: Any, tree: dict[str, Any], **options: Any) -> None:
        options = {"viewport": {"width": 1400, "height": 900}, "reduced_motion": "reduce"} | options
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(MS)
        self.tree = tree
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))

    def go(self, address: str) -> Opened:
        """Open an address and wait until it has drawn."""
        self.page.goto(address, wait_until="commit")
        self.page.wait_for_selector("[data-drawn]")
        return self

    def app(self, expression: str) -> Any:
        """What the page's own state says, such as ``state.interest``."""
        return self.page.evaluate(f"{APP}.{expression}")

    def until(self, expression: str) -> None:
        """Wait until the page's own state is so."""
        self.page.wait_for_function(f"() => {APP}.{expression}")

    def part(self, testid: str) -> Any:
        """A part of the page."""
        return self.page.get_by_test_id(testid)

    def text(self, testid: str) -> str:
        """The words of a part."""
        return str(self.part(testid).inner_text())

    @property
    def rows(self) -> list[int]:
        """Rows that are listed."""
        return list(self.page.evaluate(f"Array.from({APP}.rows)"))

    def dot(self, row: int) -> tuple[float, float]:
        """Where a session's dot is in the window."""
        box = self.part("map").bounding_box()
        x, y = self.app(f"map.placeOf({row})")
        return box["x"] + x, box["y"] + y

    def lasso(self, corners: list[tuple[float, float]], steps: int = 4) -> None:
        """Draw around a part of the map, given in shares of its width and height."""
        self.part("map").scroll_into_view_if_needed()
        box = self.part("map").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in [*places[1:], places[0]]:
            self.page.mouse.move(*place, steps=steps)
        self.page.mouse.up()

    def slowed(self, times: float) -> None:
        """Give the page a slower processor."""
        session = self.context.new_cdp_session(self.page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": times})

    def close(self, allowed: tuple[str, ...] = ()) -> None:
        """Close it; nobody else was asked, and nothing was complained about."""
        self.context.close()
        own = ("file:", "data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:")
        foreign = [url for url in self.asked if not url.startswith(own)]
        assert foreign == [], f"asked for {foreign}"
        said = [text for text in self.said if not any(word in text for word in allowed)]
        assert said == [], f"complained: {said}"


@contextmanager
def serving(scene: Scene) -> Iterator[Server]:
    """The local server, in a thread."""
    server = Server(scene)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def as_report(browser: Any, shop: Shop, folder: Path, **options: Any) -> Iterator[Opened]:
    """One file, without a network."""
    file = write_report(shop.scene.view, folder / "report.html", compare=shop.other)
    opened = Opened(browser, shop.scene.tree, **options)
    opened.context.set_offline(True)
    yield opened.go(file.as_uri())
    opened.close()


@contextmanager
def as_server(browser: Any, shop: Shop, _: Path, **options: Any) -> Iterator[Opened]:
    """A page of the local server."""
    with serving(shop.scene) as server:
        opened = Opened(browser, shop.scene.tree, **options)
        yield opened.go(server.link)
        opened.close()


Host = Callable[..., Any]
HOSTS: dict[str, Host] = {"report": as_report, "server": as_server}


@contextmanager
def in_jupyterlab(browser: Any, shop: Shop, folder: Path) -> Iterator[Opened]:
    """A cell of a notebook in JupyterLab."""
    code = (
        "from proxysr.explorer import ProxyExplorer\n"
        f"explorer = ProxyExplorer({str(shop.run.path)!r}, part='train')\nexplorer"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "explore.ipynb")
    port = free_port()
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--allow-root",
            "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--ServerApp.log_level=40",
            "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}",
        ],
        env=os.environ.copy(),
    )  # fmt: skip
    try:
        wait_until_answered(f"http://127.0.0.1:{port}/api", server)
        opened = Opened(browser, shop.scene.tree)
        address = f"http://127.0.0.1:{port}/lab/tree/explore.ipynb"
        opened.page.goto(address, wait_until="commit")
        opened.page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady"
            " && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
        )
        opened.page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        opened.page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        opened.page.wait_for_selector("[data-drawn]")
        yield opened
        opened.context.close()
        own = (f"http://127.0.0.1:{port}/", f"ws://127.0.0.1:{port}/", "data:", "blob:")
        assert [url for url in opened.asked if not url.startswith(own)] == []
    finally:
        ended(server)
