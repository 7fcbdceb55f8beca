"""The pictures of the explorer and the report in the README, taken in a browser without a window.

    python -m tests.browser.pictures RUN_DIR [FOLDER]

serves the explorer of the run and writes overview, what_if, map_50, map_100 and report (PNG, with
JSON on how they were made) to the folder, figures/explorer by default. RUN_DIR may begin with
$PROXYSR_RUNS.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from proxysr import paths
from proxysr.analysis.run_view import RunView
from proxysr.explorer.report import write_report
from proxysr.explorer.serving import HOST, serve
from proxysr.files import replacing, write_json
from tests.browser.conftest import BROWSERS, FLAGS, free_port, wait_until_answered
from tests.conftest import ROOT

MS = 240_000


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="tests.browser.pictures", description=__doc__)
    found.add_argument("run_dir", type=lambda text: Path(paths.placed(text)))
    found.add_argument("folder", type=Path, nargs="?", default=ROOT / "figures" / "explorer")
    return found


def main() -> None:
    args = parser().parse_args()
    try:
        view = RunView.of(args.run_dir, progress=True)
    except (ValueError, OSError) as error:
        sys.exit(f"tests.browser.pictures: {error}")
    _ = view.layout
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"tests.browser.pictures: none of {', '.join(BROWSERS)} is installed.")
    port = free_port()
    address = f"http://{HOST}:{port}/"
    server = serve({"run": str(args.run_dir.resolve())}, port=port)
    try:
        wait_until_answered(f"{address}voila/static/favicon.ico", server)
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 1560})
            page.goto(address, wait_until="commit", timeout=MS)
            pictures = explorer(page)
            report = Path(folder) / "report.html"
            write_report(view, report, command=f"proxysr report {args.run_dir.name} report.html")
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(report.as_uri())
            page.wait_for_timeout(4000)
            pictures["report"] = page.screenshot()
            browser.close()
    finally:
        server.terminate()
        server.wait()
    for name, picture in pictures.items():
        with replacing(args.folder / f"{name}.png") as temporary:
            temporary.write_bytes(picture)
        about = {
            "name": name,
            "settings": {
                "run": args.run_dir.name,
                "model_config": view.run.model_config.to_dict(),
                "train": view.run.train_config.to_dict(),
                "source": view.split.provenance["source"].get("format"),
            },
            "command": f"python -m tests.browser.pictures $PROXYSR_RUNS/{args.run_dir.name}",
            "files": [f"{name}.png"],
        }
        write_json(args.folder / f"{name}.json", about)


def explorer(page: Any) -> dict[str, bytes]:
    """Pictures of the explorer, in the order that an analyst sees them."""
    taken = {}
    page.wait_for_selector(".px-map .main-svg", timeout=MS, state="attached")
    page.wait_for_timeout(4000)
    page.locator(".px-card button[data-do=proxy]").first.click()
    page.wait_for_timeout(2500)
    page.locator(".px-rows button[data-do=session]").nth(2).click()
    page.wait_for_timeout(3500)
    taken["overview"] = page.screenshot(clip={"x": 0, "y": 0, "width": 1400, "height": 1560})
    page.locator("button >> text=Smallest change of proxy").click()
    page.wait_for_timeout(6000)
    taken["what_if"] = page.locator(".px-whatif").first.screenshot()
    page.locator(".px-card button[data-do=all]").click()
    page.wait_for_timeout(1500)
    handle = page.locator(".px-map .noUi-handle").first
    for name, key in (("map_50", "ArrowLeft"), ("map_100", "ArrowRight")):
        handle.focus()
        for _ in range(12):
            page.keyboard.press(key)
        page.wait_for_timeout(3000)
        taken[name] = page.locator(".px-map").first.screenshot()
    return taken


if __name__ == "__main__":
    main()
