"""The explorer in a real browser: choose on the map, read the table, change a session, export."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from proxysr.explorer.serving import serve

from proxysr.explorer.selection import Selection
from proxysr.runs import RunDir
from tests.browser.conftest import PATIENCE, ended, free_port, wait_until_answered

MS = 1000 * PATIENCE


def tour(page: Any, target: Path) -> None:
    """What an analyst does, and sees."""
    page.wait_for_selector(".px-map .main-svg", state="attached", timeout=MS)
    ready = "!!document.querySelector('.px-map .js-plotly-plot')?._ev?._events?.plotly_click"
    page.wait_for_function(ready, timeout=MS)
    seen = page.locator
    assert "30 sessions." in seen(".px-sessions").inner_text()

    outline(page)
    seen(".px-sessions >> text=that lie in the outline on the map").wait_for(timeout=MS)
    assert "SELECTION" in seen(".px-card").inner_text().upper()

    session = seen(".px-rows button[data-do=session]").first
    name = session.inner_text()
    session.click()
    seen(f".px-session h3:text-is('{name}')").wait_for(timeout=MS)
    assert "What comes next" in seen(".px-session").inner_text()

    result = seen(".px-whatif .px-outcome .px-two")
    before = result.inner_text()
    seen(".px-whatif button[data-do=drop]").first.click()
    seen(".px-whatif h3 >> text=recommendations are new").wait_for(timeout=MS)
    after = result.inner_text()
    assert before != after
    seen(".px-whatif select").select_option(index=3)
    seen(".px-whatif h3 >> text=→").wait_for(timeout=MS)
    assert "1.000" in result.inner_text()

    seen(".px-export input").fill(str(target))
    seen(".px-export button >> text=Save").click()
    seen(".px-export >> text=Saved").wait_for(timeout=MS)
    n = int(seen(".px-sessions .px-quiet").first.inner_text().split()[0])
    assert len(Selection.load(target).session_ids) == n


def outline(page: Any) -> None:
    """Draw around the middle of the map."""
    box = page.locator(".px-map .nsewdrag").first.bounding_box()
    x, y, width, height = (box[name] for name in ("x", "y", "width", "height"))
    corners = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.6), (0.1, 0.6), (0.1, 0.12)]
    page.mouse.move(x + width * 0.1, y + height * 0.1)
    page.mouse.down()
    for across, down in corners:
        page.mouse.move(x + width * across, y + height * down, steps=5)
    page.mouse.up()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1400, "height": 1900})
    yield opened
    opened.close()


def test_as_a_page_of_voila(page: Any, run: RunDir, own_folders: Path, tmp_path: Path) -> None:
    port = free_port()
    server = serve({"run": str(run.path), "part": "train"}, port=port)
    address = f"http://127.0.0.1:{port}/"
    fetched: list[str] = []
    page.on("requestfinished", lambda request: fetched.append(request.url))
    try:
        wait_until_answered(f"{address}voila/static/none", server)
        page.goto(address, wait_until="commit", timeout=MS)
        tour(page, tmp_path / "selection.csv")
    finally:
        ended(server)
    own = (address, "data:", "blob:", f"ws://127.0.0.1:{port}/")
    assert [url for url in fetched if not url.startswith(own)] == [], "nobody else is asked"
    assert len(fetched) > 3


def test_in_jupyterlab(page: Any, run: RunDir, own_folders: Path, tmp_path: Path) -> None:
    code = (
        "from proxysr.explorer import ProxyExplorer\n"
        f"ProxyExplorer({str(run.path)!r}, part='train')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "explore.ipynb")
    port = free_port()
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--allow-root",
            "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--ServerApp.log_level=40",
            "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={tmp_path}",
        ],
        env=os.environ.copy(),
    )  # fmt: skip
    try:
        wait_until_answered(f"http://127.0.0.1:{port}/api", server)
        page.goto(
            f"http://127.0.0.1:{port}/lab/tree/explore.ipynb", wait_until="commit", timeout=MS
        )
        page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady"
            " && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'",
            timeout=MS,
        )
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        tour(page, tmp_path / "selection.parquet")
    finally:
        ended(server)
