"""The pictures of the explorer and the report in the pages, taken in a browser without a window.

    python -m tests.browser.pictures RUN_DIR [FOLDER]
    python -m tests.browser.pictures demo [FOLDER]

The first serves the explorer of the run and writes overview, what_if, map_50, map_100, flow,
matrix and report (PNG, with JSON on how they were made) to the folder, figures/explorer by default.
RUN_DIR may begin with $PROXYSR_RUNS. The second runs the demo and writes report, to figures/demo
by default.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from proxysr import paths
from proxysr.__main__ import main as proxysr
from proxysr.analysis.run_view import RunView
from proxysr.explorer.report import write_report
from proxysr.explorer.scene import Scene
from proxysr.explorer.server import Server
from proxysr.files import replacing, write_json
from tests.browser.conftest import BROWSERS, FLAGS
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
            pictures = of_explorer(browser, view)
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


def of_explorer(browser: Any, view: RunView) -> dict[str, bytes]:
    """The explorer of a run, served for as long as the pictures take."""
    with Server(Scene(view)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(server.link)
            page.wait_for_selector("[data-testid=proxysr] section", timeout=MS)
            return explorer(page, view)
        finally:
            server.shutdown()
            thread.join()


def explorer(page: Any, view: RunView) -> dict[str, bytes]:
    """Pictures of the explorer, in the order that an analyst sees them."""
    row = int(view.table["n_clicks"].iloc[view.drawn].clip(upper=8).to_numpy().argmax())
    clicks = view.sessions[int(view.drawn[row])].tolist()
    edit = {"clicks": clicks[1:], "temperature": None, "proxy": None}
    whole = {"session": None, "edit": None, "interest": None}
    taken = {}
    for name, state in (
        ("overview", {"interest": int(view.proxy_sizes.argmax())}),
        ("what_if", {"interest": None, "session": row, "edit": edit}),
        ("map_50", whole | {"progress": 50}),
        ("map_100", {"progress": 100}),
        ("flow", {"view": "flow"}),
        ("matrix", {"view": "matrix"}),
    ):
        app = "document.querySelector('#explorer').__proxysr"
        page.evaluate(f"(state) => {app}.set(state)", state)
        page.wait_for_timeout(3000)
        taken[name] = page.screenshot()
    return taken


if __name__ == "__main__":
    main()
