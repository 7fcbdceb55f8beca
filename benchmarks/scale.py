"""How time and memory grow with a catalogue: preparation, training, ranking, answers.

    OMP_NUM_THREADS=1 python -m benchmarks.scale FOLDER [--items 2000,8000,32000]
        [--sessions-per-item 10] [--proxies K] [--dim D] [--sampled M] [--batch-size B] [--steps N]
        [--ranked N] [--answers N] [--parts prepare,...] [--out FOLDER]

For each number of items N, FOLDER/N gets a log of made-up sessions, ten an item; the clicks of a
session are near each other, and some items are far more popular than others. Then, each in a
process of its own whose peak memory is told: the log becomes a split; latent_proxy makes training
steps with all items and with M drawn ones, ProxySR and GRU4Rec with M drawn ones; an untrained
latent_proxy ranks the targets of some sessions among all items, and answers sessions one by one.
``--items 10000,100000,1000000`` ends at a million items and ten million sessions.

What is in FOLDER already, logs and numbers of the same settings, is used again, so that sizes can
be measured one after the other and told together at the end. Time is taken to grow as a power of
the items; the exponent is fitted to all sizes. With one thread, times are of the processor. No
epoch is trained to its end: how well models rank is not asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from benchmarks.record import add_out, record
from proxysr.bench import peak_memory_gb
from proxysr.costs import clock
from proxysr.data import SessionSplit, open_events, prepare
from proxysr.data.batches import TrainingBatches
from proxysr.evaluation import evaluate
from proxysr.experiments.spec import names_in, numbers_in
from proxysr.files import read_json, write_json
from proxysr.models import LearnedModel, create
from proxysr.notebooks.scaling import growth_exponents
from proxysr.optimizer import RowAdam
from proxysr.plots.costs import growth_lines
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
    begun = time.perf_counter()
    split = prepare(open_events(args.folder / "log.parquet"))
    split.save(args.folder / "split")
    return {
        "ms": 1e3 * (time.perf_counter() - begun),
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
    return found | {"ms": float(np.median(durations[WARM_UP:]))}


def time_ranking(args: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds to rank so many targets among all items."""
    split, model = built(args, "latent_proxy")
    n_targets = np.cumsum(np.maximum(split.test.lengths - 1, 0))  # without repeats there are fewer
    some = split.test.select(np.arange(int(np.searchsorted(n_targets, args.ranked)) + 1))
    begun = clock()
    n = evaluate(model, some).n_targets
    return {"targets": n, "ms": 1e3 * (clock() - begun) * args.ranked / n}


def time_answers(args: argparse.Namespace) -> dict[str, Any]:
    """Sessions that are answered one by one."""
    split, model = built(args, "latent_proxy")
    recommender = Recommender(model, split.items)
    ids = split.items["item_id"].to_numpy()
    waits = []
    for row in range(WARM_UP + args.answers):
        clicks = ids[split.test[row % len(split.test)] - 1].tolist()
        begun = clock()
        recommender.recommend(clicks)
        waits.append(1e3 * (clock() - begun))
    p50, p95 = np.percentile(waits[WARM_UP:], [50, 95])
    return {"ms": float(p50), "p95_ms": float(p95)}


def built(args: argparse.Namespace, name: str) -> tuple[SessionSplit, LearnedModel]:
    """The split, and a new model for it."""
    name, _, drawn = name.partition("-")
    settings: dict[str, Any] = {"embedding_dim": args.dim}
    if drawn:
        settings["sampled_negatives"] = args.sampled
    if name != "gru4rec":
        settings["n_proxies"] = args.proxies
    if name == "proxysr":
        settings["n_negatives"] = 100
    split = SessionSplit.load(args.folder / "split")
    model = create(name, split.n_items, settings)
    assert isinstance(model, LearnedModel)
    return split, model


PARTS = {
    "prepare": time_prepare,
    "train-latent_proxy": time_training,
    "train-latent_proxy-drawn": time_training,
    "train-proxysr-drawn": time_training,
    "train-gru4rec-drawn": time_training,
    "rank": time_ranking,
    "answer": time_answers,
}
NUMBERS = {
    "sessions-per-item": 10, "proxies": 64, "dim": 64, "sampled": 1000, "batch-size": 32,
    "steps": 20, "ranked": 1000, "answers": 100,
}  # fmt: skip
"""Options and their defaults."""


def main() -> None:
    """Measure all parts at all sizes, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", default="2000,8000,32000")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--part", choices=PARTS, help="do this one in this process")
    for name, default in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    add_out(parser)
    args = parser.parse_args()
    if args.part:
        measured = PARTS[args.part](args) | {"peak_gb": peak_memory_gb()}
        print(json.dumps({k: round(v, 3) for k, v in measured.items()}))
        return
    rows = []
    for n_items in numbers_in(args.items):
        folder = args.folder / str(n_items)
        if not (folder / "log.parquet").exists():
            write_log(folder / "log.parquet", args.sessions_per_item * n_items, n_items)
        for part in names_in(args.parts):
            rows.append({"n_items": n_items, "part": part, **run(part, folder, args)})
            print(rows[-1], file=sys.stderr)
    table = pd.DataFrame(rows)
    exponents = growth_exponents(table)
    ratios = {f"exponent of {part} in the number of items": e for part, e in exponents.items()}
    record(
        "scale", args.out, settings={k: v for k, v in vars(args).items() if k != "part"},
        result=rows, ratios=ratios, figure=growth_lines(table, exponents), table=table,
    )  # fmt: skip


def run(part: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measure a part in a process of its own, unless that was done with these settings."""
    numbers = {name: getattr(args, name.replace("-", "_")) for name in NUMBERS}
    used = {"sessions-per-item": args.sessions_per_item} if part == "prepare" else numbers
    path = folder / f"{part}.json"
    if path.is_file() and (kept := read_json(path))["settings"] == used:
        return dict(kept["measured"])
    command = [sys.executable, "-m", "benchmarks.scale", str(folder), "--part", part]
    command += [f"--{name}={number}" for name, number in numbers.items()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    write_json(path, {"settings": used, "measured": measured})
    return measured


if __name__ == "__main__":
    main()
