"""How long an analyst waits for what the explorer asks of a trained model.

    python tests/benchmarks/analysis_latency.py RUN_DIR DATA_DIR

prints one JSON object: for each question the processor time of one thread and the time on the
clock, in milliseconds (the best of three, but for the last), and the load of the machine.
Sessions are those of training, repeated to a million for the last.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.attribution import contributions, smallest_flip
from proxysr.analysis.counterfactuals import rank_of, recommendations_under
from proxysr.analysis.items import ItemCounts, top_items
from proxysr.analysis.profiles import proxy_table
from proxysr.analysis.representations import proxy_vectors
from proxysr.data.sessions import SessionSplit
from proxysr.run import RunDir

SESSIONS, MANY = 50_000, 1_000_000


def measure(call: Callable[[], Any], times: int = 3) -> list[float]:
    """Least processor time of this thread and least time on the clock, in ms."""
    found = []
    for _ in range(times):
        cpu, clock = time.thread_time(), time.perf_counter()
        call()
        found.append((time.thread_time() - cpu, time.perf_counter() - clock))
    return [round(1000 * least, 1) for least in map(min, zip(*found, strict=True))]


def main(run_dir: str, data_dir: str) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    model, split = RunDir(run_dir).model(), SessionSplit.load(data_dir)
    sessions = split.train.select(np.arange(min(SESSIONS, len(split.train))))
    table = assignments_from_model(model, sessions)
    counts = ItemCounts.of(sessions, split.n_items)
    largest = np.flatnonzero(table["proxy"] == table["proxy"].mode()[0])
    half = np.arange(0, len(sessions), 2)
    vectors, proxy = proxy_vectors(model), int(table["proxy"].mode()[0])
    clicks = next(s.tolist() for s in map(sessions.__getitem__, range(len(sessions))) if len(s) > 6)
    frequent = np.argsort(-counts.total)[:1000]

    def profile(rows: Any) -> None:
        top_items(sessions, rows, split.items, counts=counts)

    def what_if() -> None:
        edited = [*clicks[:-1], int(frequent[0])]
        contributions(model, edited)
        recommendations_under(model, edited, k=20)
        rank_of(model, edited, int(frequent[1]), task="repeat")

    profile(largest)  # the first call imports SciPy
    questions: dict[str, Callable[[], Any]] = {
        "counts of all items, once": lambda: ItemCounts.of(sessions, split.n_items),
        "table of proxies": lambda: proxy_table(table, proxies=vectors),
        f"profile of the largest proxy, {len(largest)} sessions": lambda: profile(largest),
        f"profile of {len(half)} sessions": lambda: profile(half),
        "what-if: contributions, 20 items, a rank": what_if,
        "recommendations under a forced proxy": lambda: recommendations_under(
            model, clicks, proxy=proxy, k=20
        ),
        f"flip of {len(clicks)} clicks among 1000 items": lambda: smallest_flip(
            model, clicks, replacements=frequent
        ),
        f"flip of {len(clicks)} clicks among all items": lambda: smallest_flip(model, clicks),
    }
    result: dict[str, Any] = {name: measure(call) for name, call in questions.items()}
    many = split.train.select(np.arange(MANY) % len(split.train))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result[f"assignment of {MANY} sessions"] = measure(
        lambda: assignments_from_model(model, many), times=1
    )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["more memory for it, MiB"] = round((after - before) / 1024)
    result |= {
        "items": split.n_items,
        "proxies": len(vectors),
        "load average": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
