"""How long the explorer's kernel takes for each action, and how much it sends to the browser.

    python -m tests.benchmarks.explorer_latency RUN_DIR [--data-dir DIR] [--part train]

Places on the map are made up, since how long an action takes does not depend on them: a run of
any size can be measured without the minutes that its map would take. Medians of several
sessions and proxies are printed as milliseconds, with the bytes of all messages of an action.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest

from proxysr.analysis.run_view import RunView
from proxysr.explorer import ProxyExplorer
from tests.explorer.small import Wire, made_up_layout

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
    explorer = ProxyExplorer(view)
    print(
        f"{len(view.table):,} sessions, {len(view.drawn):,} drawn, {len(view.items):,} items, "
        f"{view.n_proxies} proxies; view {opened - start:.1f} s, "
        f"explorer {time.perf_counter() - opened:.1f} s"
    )
    store, scene = explorer.store, explorer.scene
    random = np.random.default_rng(0)
    sessions = random.choice(np.flatnonzero(scene.table["n_clicks"] >= 4), ROUNDS)
    some = random.choice(len(scene.table), min(2000, len(scene.table)), replace=False)
    popular = np.argsort(-scene.counts.total)[:ROUNDS]
    tints = ["probability", "proxy", "n_clicks"] * ROUNDS
    actions: dict[str, Callable[[int], object]] = {
        "choose a proxy": lambda i: store.choose_proxy(int(scene.by_size[i])),
        "choose a session": lambda i: store.choose_session(int(sessions[i])),
        "what if: add an item": lambda i: store.take(int(popular[i])),
        "what if: drop a click": lambda i: store.drop(0),
        "what if: force a proxy": lambda i: store.edit(proxy=int(scene.by_size[i])),
        "what if: temperature": lambda i: store.edit(temperature=0.1 * (i + 1), proxy=-1),
        "smallest change of proxy": lambda i: explorer.what_if.smallest.click(),
        "recolour": lambda i: store.change(colour=tints[i]),
        "choose 2,000 sessions": lambda i: store.choose_rows(some[i:], "are some"),
        "filter": lambda i: store.filter("probability", 0.5 + 0.01 * i, 1.0),
        "search a title": lambda i: setattr(
            explorer.toolbar.search, "value", scene.label(int(popular[i]))
        ),
        "sort the table": lambda i: explorer.sessions.sort_by("probability"),
        "move to 50 … 90 %": lambda i: store.change(progress=50 + 10 * (i % 5)),
    }
    with pytest.MonkeyPatch.context() as patch:
        wire = Wire(patch)
        for name, action in actions.items():
            if name == "sort the table":
                store.choose_all()
            times, sizes = [], []
            for i in range(ROUNDS):
                wire.clear()
                start = time.perf_counter()
                action(i)
                times.append(1000 * (time.perf_counter() - start))
                sizes.append(sum(size for *_, size in wire.sent))
            print(
                f"{name:26} {statistics.median(times):7.0f} ms (most {max(times):.0f}) "
                f"{statistics.median(sizes) / 1000:9,.0f} kB"
            )


if __name__ == "__main__":
    main()
