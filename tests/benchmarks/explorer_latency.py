"""How long an analyst waits for the explorer, on the side that computes.

    python -m tests.benchmarks.explorer_latency RUN_DIR [--data-dir DIR] [--part train]

Places on the map are made up, since nothing here depends on them: a run of any size can be measured
without the minutes that its map would take. Printed are seconds and bytes of the payload and of the
report, and for each kind of request the median of several, with the longest, in milliseconds.
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

from proxysr.analysis.run_view import RunView
from proxysr.explorer import write_report
from proxysr.explorer.requests import answer
from proxysr.explorer.scene import Scene
from tests.explorer.small import made_up_layout

ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir")
    parser.add_argument("--data-dir")
    parser.add_argument("--part", default="train")
    parser.add_argument("--max-drawn", type=int, default=50_000)
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
    print(
        f"{len(view.table):,} sessions, {len(scene.rows):,} shown, {len(view.items):,} items, "
        f"{view.n_proxies} proxies; view {opened - start:.1f} s, payload {made - opened:.1f} s, "
        f"{(len(json.dumps(header)) + len(blob)) / 1e6:.1f} MB"
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        size = write_report(view, Path(folder) / "report.html").stat().st_size
        print(f"report {time.perf_counter() - start:.1f} s, {size / 1e6:.1f} MB")
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
        print(f"{kind:10} {statistics.median(times):7.0f} ms (most {max(times):.0f})")


if __name__ == "__main__":
    main()
