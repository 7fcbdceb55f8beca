"""How long, and in how much memory, a catalogue of a million items is prepared and learnt.

    OMP_NUM_THREADS=1 python -m benchmarks.scale FOLDER [--items N] [--sessions S]
        [--proxies K] [--dim D] [--sampled M] [--batch-size B] [--steps N] [--ranked N]
        [--answers N] [--parts prepare,train-proxysr,train-gru4rec,rank,answer]

writes a log of S made-up sessions (10 million) over N items (a million) to FOLDER, in parts; the
clicks of a session are near each other, and some items are far more popular than others. Then,
each in a process of its own whose peak memory is told: the log becomes a split; ProxySR and
GRU4Rec make training steps with M drawn items, M = 0 for all of them; an untrained ProxySR
ranks the targets of some sessions among all items, and answers sessions one by one.

What is in FOLDER already is used again. Prints one JSON object. With one thread, times are of the
processor. No epoch is trained to its end: how well models rank is not asked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyarrow.parquet import ParquetWriter

from proxysr.bench import peak_memory_gb
from proxysr.costs import clock
from proxysr.data import SessionSplit, open_events, prepare
from proxysr.data.batches import TrainingBatches
from proxysr.evaluation import evaluate
from proxysr.models import LearnedModel, create
from proxysr.optimizer import RowAdam
from proxysr.recommender import Recommender

TOGETHER = 500_000
MEAN_LENGTH = 6
WARM_UP = 5
"""Steps, and answers, that are not timed."""


def write_log(path: Path, n_sessions: int, n_items: int) -> None:
    """One Parquet file of sessions that walk about among neighbouring items, in order of time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    schema = pa.schema([(name, pa.int64()) for name in ("session_id", "item_id", "timestamp")])
    with ParquetWriter(part, schema) as writer:
        for first in range(0, n_sessions, TOGETHER):
            rng = np.random.default_rng([0, first])
            n = min(TOGETHER, n_sessions - first)
            lengths = 2 + rng.poisson(MEAN_LENGTH - 2, size=n)
            session = np.repeat(np.arange(first, first + n), lengths)
            place = np.arange(len(session)) - np.repeat(lengths.cumsum() - lengths, lengths)
            start = np.repeat((rng.random(n) ** 2 * n_items).astype(np.int64), lengths)
            item = (start + rng.integers(0, 20, len(session))) % n_items
            seconds = 1_600_000_000 + session + 30 * place
            writer.write_table(pa.table([session, item, seconds], schema=schema))
    part.rename(path)


def time_prepare(args: argparse.Namespace) -> dict[str, Any]:
    """Make the split of the log."""
    split = prepare(open_events(args.folder / "log.parquet"))
    split.save(args.folder / "split")
    return {
        "clicks": split.train.n_clicks + split.valid.n_clicks + split.test.n_clicks,
        "sessions": len(split.train) + len(split.valid) + len(split.test),
        "items": split.n_items,
    }


def time_training(args: argparse.Namespace) -> dict[str, Any]:
    """Some steps of a model; the first ones, which ask for memory, are not timed."""
    split, model = built(args, args.part.removeprefix("train-"))
    begun = clock()
    model.prepare(split.train)
    batches = TrainingBatches(
        split.train, task="unseen", min_prefix=1, max_length=model.max_length,
        batch_size=args.batch_size, seed=0, device="cpu",
    )  # fmt: skip
    found: dict[str, Any] = {"batches_seconds": clock() - begun}
    optimizer = RowAdam(model.parameters(), lr=1e-3, fused=True)
    durations = []
    for batch in islice(batches.epoch(0), WARM_UP + args.steps):
        begun = clock()
        optimizer.zero_grad(set_to_none=True)
        model.loss(batch).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.after_step()
        durations.append(1e3 * (clock() - begun))
    return found | {"step_ms": float(np.median(durations[WARM_UP:]))}


def time_ranking(args: argparse.Namespace) -> dict[str, Any]:
    """Targets among all items."""
    split, model = built(args, "proxysr")
    some = split.test.select(np.arange(min(args.ranked, len(split.test))))
    begun = clock()
    n_targets = evaluate(model, some).n_targets
    return {"targets": n_targets, "ms_a_target": 1e3 * (clock() - begun) / n_targets}


def time_answers(args: argparse.Namespace) -> dict[str, Any]:
    """Sessions that are answered one by one."""
    split, model = built(args, "proxysr")
    recommender = Recommender(model, split.items)
    ids = split.items["item_id"].to_numpy()
    waits = []
    for row in range(WARM_UP + args.answers):
        clicks = ids[split.test[row % len(split.test)] - 1].tolist()
        begun = clock()
        recommender.recommend(clicks)
        waits.append(1e3 * (clock() - begun))
    p50, p95 = np.percentile(waits[WARM_UP:], [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95)}


def built(args: argparse.Namespace, name: str) -> tuple[SessionSplit, LearnedModel]:
    """The split, and a new model for it."""
    settings: dict[str, Any] = {"embedding_dim": args.dim, "sampled_negatives": args.sampled}
    if name == "proxysr":
        settings |= {"n_proxies": args.proxies, "n_negatives": 100}
    split = SessionSplit.load(args.folder / "split")
    model = create(name, split.n_items, settings)
    assert isinstance(model, LearnedModel)
    return split, model


PARTS = {
    "prepare": time_prepare,
    "train-proxysr": time_training,
    "train-gru4rec": time_training,
    "rank": time_ranking,
    "answer": time_answers,
}


def main() -> None:
    """Measure all parts, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--part", choices=PARTS, help="do this one in this process")
    for name, default in {
        "items": 1_000_000, "sessions": 10_000_000, "proxies": 3000, "dim": 128, "sampled": 8192,
        "batch-size": 64, "steps": 100, "ranked": 50, "answers": 100,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    if args.part:
        begun = time.perf_counter()
        found = PARTS[args.part](args)
        found |= {"seconds": time.perf_counter() - begun, "peak_gb": peak_memory_gb()}
        found |= {"cpu_seconds": time.process_time(), "load_average": os.getloadavg()[0]}
        print(json.dumps({k: round(v, 3) for k, v in found.items()}))
        return
    log = args.folder / "log.parquet"
    if not log.exists():
        write_log(log, args.sessions, args.items)
    result: dict[str, Any] = {"settings": {k: v for k, v in vars(args).items() if k != "part"}}
    result["settings"] |= {"folder": str(args.folder), "threads": torch.get_num_threads()}
    for part in args.parts.split(","):
        if part == "prepare" and (args.folder / "split").exists():
            continue
        command = [sys.executable, "-m", "benchmarks.scale", *sys.argv[1:], "--part", part]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result[part] = json.loads(done.stdout.splitlines()[-1])
        print(part, result[part], file=sys.stderr)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
