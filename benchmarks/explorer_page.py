"""How fast the explorer's page is in a browser.

    python -m benchmarks.explorer_page REPORT.html [ADDRESS …] [--throttle 1 4] [--out FOLDER]

Takes reports, and addresses that ``proxysr explore`` printed; each is opened afresh in a browser
without a window. Two times are measured: milliseconds until the picture that follows is drawn, with
all that changes on the page (medians of several rounds), and those that the page's own thread
worked for it, which do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.record import add_out, record
from tests.browser.conftest import BROWSERS, FLAGS

ROUNDS = 9
LASSOS = 50
WIDTHS = (900, 1280, 2000)
APP = "document.querySelector('#explorer').__proxysr"
TIMED = """async (argument) => {
  const app = document.querySelector('#explorer').__proxysr
  const start = performance.now()
  ACTION
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
  return performance.now() - start
}"""
ACTIONS = {
    "lasso around half of the map": """app.set({ lasso: [[0, 0], [.5 + argument / 40, 0],
        [.5 + argument / 40, 1], [0, 1]], lasso_at: 100 }, 'lasso')""",
    "recolour": "app.set({ colour: ['n_clicks', 'probability', 'proxy'][argument % 3] })",
    "filter": "app.filter({ by: 'probability', low: .5 + argument / 40, high: null })",
    "choose an interest": "app.go.interest(app.leading()[argument % app.d.K])",
    "choose a session": "app.go.session(argument * 7)",
    "all sessions again": "app.reset()",
    "training half-way": "app.set({ progress: 50 + argument })",
    "flow": "app.set({ view: argument % 2 ? 'map' : 'flow' })",
    "customers": "app.set({ tab: argument % 2 ? 'sessions' : 'customers' })",
}


def worked(session: CDPSession) -> float:
    """Milliseconds that the page's thread has worked so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(x["value"] for x in metrics if x["name"] == "TaskDuration"))


def timed(page: Page, session: CDPSession, action: str) -> tuple[float, float]:
    """Milliseconds until an action is drawn, the median, and of work for it."""
    script, before = TIMED.replace("ACTION", action), worked(session)
    drawn = statistics.median(page.evaluate(script, i + 1) for i in range(ROUNDS))
    return drawn, (worked(session) - before) / ROUNDS


def quick_lassos(page: Page) -> int:
    """How many of some lassos of a few moves each, one after the other, arrive."""
    box: Any = page.get_by_test_id("map").bounding_box()
    arrived = 0
    for i in range(LASSOS):
        x, y = box["x"] + box["width"] * 0.3, box["y"] + box["height"] * (0.1 + 0.002 * i)
        before = page.evaluate(f"{APP}.stats.lassos ?? 0")
        page.mouse.move(x, y)
        page.mouse.down()
        for dx, dy in ((0.4, 0), (0.4, 0.7), (0, 0.7)):
            page.mouse.move(x + box["width"] * dx, y + box["height"] * dy)
        page.mouse.up()
        arrived += page.evaluate(f"{APP}.stats.lassos ?? 0") == before + 1
    return arrived


def what_if(page: Page) -> float | None:
    """Median milliseconds from a change to a session until what would be then is there."""
    if page.evaluate(f"{APP}.cannot('what_if')"):
        return None
    times = []
    for row in range(ROUNDS):
        page.evaluate(f"{APP}.go.session({row})")
        page.wait_for_selector("[data-testid=what-if-leader]")
        page.evaluate(
            f"""{APP}.set({{ edit: {{ proxy: null, temperature: null,
            clicks: Array.from({APP}.d.clicks({row}), (i) => {APP}.d.items.index[i]).slice(1)
              .concat({APP}.d.items.index[{row}]) }} }})"""
        )
        page.wait_for_selector("[data-testid=what-if-result][data-ms]")
        times.append(float(page.evaluate(f"{APP}.stats.what_if")))
    page.evaluate(f"{APP}.set({{ session: null, edit: null }})")
    return statistics.median(times)


def spills(page: Page) -> bool:
    """Whether something is wider than the page."""
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(page.evaluate(wide))


def measure(page: Page, address: str, throttle: float) -> dict[str, Any]:
    """Print the figures of one page, and return them."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    page.wait_for_selector("[data-drawn]", timeout=120_000)
    n, k = page.evaluate(f"[{APP}.d.n, {APP}.d.K]")
    drawn = page.evaluate(f"{APP}.stats.drawn")
    kind = page.evaluate(f"{APP}.map.kind()")
    print(f"\n{n:,} sessions, {k} proxies, {kind}, processor slowed {throttle:g} times")
    print(
        f"  {'usable after its data are there':34}{drawn:8.0f} ms {worked(session):8.0f} ms of work"
    )
    figures: dict[str, Any] = {"sessions": n, "proxies": k, "throttle": throttle, "usable": drawn}
    for name, action in ACTIONS.items():
        until, work = timed(page, session, action)
        figures[name] = {"drawn_ms": until, "work_ms": work}
        print(f"  {name:34}{until:8.0f} ms {work:8.0f} ms of work")
    page.evaluate(f"{APP}.set({{ view: 'map', progress: 100, tab: 'sessions' }}); {APP}.reset()")
    figures["lassos_that_arrive"] = quick_lassos(page) / LASSOS
    print(f"  {'quick lassos that arrive':34}{figures['lassos_that_arrive']:8.0%} of {LASSOS}")
    page.evaluate(f"{APP}.reset()")
    figures["what_if_ms"] = answered = what_if(page)
    print(
        f"  {'what if':34}" + ("   not in this file" if answered is None else f"{answered:8.0f} ms")
    )
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        fits = not spills(page)
        figures[f"fits {width} px"] = fits
        print(f"  {f'{width} px wide':34}" + ("   fits" if fits else "    spills over"))
    page.set_viewport_size({"width": 1280, "height": 800})
    return figures


def main() -> None:
    """Measure all pages, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", metavar="PAGE")
    parser.add_argument("--throttle", type=float, nargs="+", default=[1.0])
    add_out(parser)
    args = parser.parse_args()
    result: dict[str, dict[str, Any]] = {}
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for name in args.pages:
            address = name if "://" in name else Path(name).resolve().as_uri()
            for throttle in args.throttle:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                key = f"{Path(name).name}, slowed {throttle:g} times"
                result[key] = measure(page, address, throttle)
                page.close()
        browser.close()
    lasso = "lasso around half of the map"
    ratios = {
        f"{key}: lasso to 100 ms": page[lasso]["drawn_ms"] / 100 for key, page in result.items()
    }
    record("explorer_page", args.out, settings=vars(args), result=result, ratios=ratios)


if __name__ == "__main__":
    main()
