"""How long an analyst waits for the explorer, on the side that computes.

    python -m benchmarks.explorer_latency RUN_DIR [--data-dir DIR] [--part train]

Places on the map are made up, since nothing here depends on them: a run of any size can be measured
without the minutes that its map would take. Measured are seconds and bytes of the payload and of
the report, and of each kind of request the median of several, and the longest, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import add_out, record
from proxysr.analysis.run_view import RunView
from proxysr.explorer import write_report
from proxysr.explorer.requests import answer
from proxysr.explorer.scene import Scene
from tests.explorer.small import made_up_layout

ROUNDS = 9


def main() -> None:
    """Measure, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir")
    parser.add_argument("--data-dir")
    parser.add_argument("--part", default="train")
    parser.add_argument("--max-drawn", type=int, default=50_000)
    add_out(parser)
    args = parser.parse_args()
    start = time.perf_counter()
    view = RunView.of(
        args.run_dir, part=args.part, data_dir=args.data_dir, max_drawn=args.max_drawn
    )
    made_up_layout(view)
    opened = time.perf_counter()
    scene = Scene(view)
    made = time.perf_counter()
    header, blob = scene.packed()
    result: dict[str, Any] = {
        "sessions": len(view.table),
        "shown": len(scene.rows),
        "items": len(view.items),
        "proxies": view.n_proxies,
        "view_seconds": opened - start,
        "payload_seconds": made - opened,
        "payload_mb": (len(json.dumps(header)) + len(blob)) / 1e6,
    }
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        size = write_report(view, Path(folder) / "report.html").stat().st_size
        result |= {"report_seconds": time.perf_counter() - start, "report_mb": size / 1e6}
    random = np.random.default_rng(0)
    sessions = random.choice(np.flatnonzero(scene.tree["sessions"]["n_clicks"] >= 4), ROUNDS)
    some = random.choice(len(scene.rows), min(2000, len(scene.rows)), replace=False).tolist()
    popular = np.argsort(-view.item_counts.total)[:ROUNDS].tolist()
    clicks = [scene.clicks(row) for row in sessions]
    asked: dict[str, Callable[[int], dict[str, Any]]] = {
        "session": lambda i: {"row": int(sessions[i])},
        "next": lambda i: {"row": int(sessions[i]), "after": 2},
        "what_if": lambda i: {"clicks": [*clicks[i], popular[i]]},
        "smallest": lambda i: {"clicks": clicks[i]},
        "items": lambda i: {"text": view.label(popular[i])[:4]},
        "save": lambda i: {"rows": some[i:], "format": ("csv", "json", "parquet")[i % 3]},
    }
    for kind, arguments in asked.items():
        times = []
        for i in range(ROUNDS):
            start = time.perf_counter()
            found = answer(scene, {"id": i, "kind": kind, **arguments(i)})
            times.append(1000 * (time.perf_counter() - start))
            assert "answer" in found, found["error"]
        result[f"{kind}, ms"] = statistics.median(times)
        result[f"{kind}, longest, ms"] = max(times)
    for key, value in result.items():
        print(f"{key:24} {value:12,.1f}")
    # bars of the explorer: 200 ms for what-if, 10 MB for a report
    ratios = {"what_if to 200 ms": result["what_if, ms"] / 200, "report to 10 MB": size / 1e7}
    record("explorer_latency", args.out, settings=vars(args), result=result, ratios=ratios)


if __name__ == "__main__":
    main()
