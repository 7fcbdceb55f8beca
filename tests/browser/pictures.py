"""The pictures of the explorer and the report in the pages, taken in a browser without a window.

    python -m tests.browser.pictures RUN_DIR [FOLDER]
    python -m tests.browser.pictures demo [FOLDER]

The first serves the explorer of the run and writes overview, what_if, map_50, map_100 and report
(PNG, with JSON on how they were made) to the folder, figures/explorer by default. RUN_DIR may begin
with $PROXYSR_RUNS. The second runs the demo and writes report, to figures/demo by default.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from proxysr.explorer.serving import HOST, serve

from proxysr import paths
from proxysr.__main__ import main as proxysr
from proxysr.analysis.run_view import RunView
from proxysr.explorer.report import write_report
from proxysr.files import replacing, write_json
from tests.browser.conftest import BROWSERS, FLAGS, free_port, wait_until_answered
from tests.conftest import ROOT

MS = 240_000
DEMO = "demo"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="tests.browser.pictures", description=__doc__)
    found.add_argument("run_dir", type=lambda text: Path(paths.placed(text)))
    found.add_argument("folder", type=Path, nargs="?")
    return found


def main() -> None:
    args = parser().parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"tests.browser.pictures: none of {', '.join(BROWSERS)} is installed.")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        if args.run_dir == Path(DEMO):
            made = Path(folder) / DEMO
            if code := proxysr([DEMO, str(made)]):
                sys.exit(code)
            view = RunView.of(made / "shop")
            write(view, {"report": of_report(browser, made / "report.html")}, args)
        else:
            try:
                view = RunView.of(args.run_dir, progress=True)
            except (ValueError, OSError) as error:
                sys.exit(f"tests.browser.pictures: {error}")
            _ = view.layout
            pictures = of_explorer(browser, args.run_dir)
            report = Path(folder) / "report.html"
            write_report(view, report, command=f"proxysr report {args.run_dir.name} report.html")
            write(view, pictures | {"report": of_report(browser, report)}, args)
        browser.close()


def write(view: RunView, pictures: dict[str, bytes], args: argparse.Namespace) -> None:
    """Write the pictures, each with how it was made."""
    demo = args.run_dir == Path(DEMO)
    target = args.folder or ROOT / "figures" / (DEMO if demo else "explorer")
    named = DEMO if demo else f"$PROXYSR_RUNS/{args.run_dir.name}"
    for name, picture in pictures.items():
        with replacing(target / f"{name}.png") as temporary:
            temporary.write_bytes(picture)
        about = {
            "name": name,
            "settings": {
                "run": args.run_dir.name,
                "model_config": view.run.model_config.to_dict(),
                "train": view.run.train_config.to_dict(),
                "source": view.split.provenance["source"].get("format"),
            },
            "command": f"python -m tests.browser.pictures {named}",
            "files": [f"{name}.png"],
        }
        write_json(target / f"{name}.json", about)


def of_report(browser: Any, file: Path) -> bytes:
    """A report, as it opens."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(file.absolute().as_uri())
    page.wait_for_timeout(4000)
    return bytes(page.screenshot())


def of_explorer(browser: Any, run_dir: Path) -> dict[str, bytes]:
    """The explorer of a run, served for as long as the pictures take."""
    port = free_port()
    address = f"http://{HOST}:{port}/"
    server = serve({"run": str(run_dir.resolve())}, port=port)
    try:
        wait_until_answered(f"{address}voila/static/favicon.ico", server)
        page = browser.new_page(viewport={"width": 1400, "height": 1560})
        page.goto(address, wait_until="commit", timeout=MS)
        return explorer(page)
    finally:
        server.terminate()
        server.wait()


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
