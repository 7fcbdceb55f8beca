r"""How fast our models and those of RecBole train, in turns and on the very same targets.

    OMP_NUM_THREADS=1 python -m benchmarks.toolkit_speed TOOLKIT_PYTHON DATA_DIR
        [--models NAME,...] [--embedding-dim 64] [--batch-size 32] [--out FOLDER]

TOOLKIT_PYTHON is the interpreter of an environment of its own, as RecBole asks for packages that
new ones have left behind. Of these, training steps need none:

    python3 -m venv toolkit
    toolkit/bin/pip install torch==2.13.0 numpy pandas scipy scikit-learn tqdm pyyaml colorlog \
        colorama texttable tensorboard
    toolkit/bin/pip install --no-deps recbole==1.2.1

A step is forward, backward and Adam on one thread, by cross-entropy over all items; batches are
made before. Ours takes a batch of sessions and predicts every click of them but the first; the
toolkit takes the same targets, each with its prefix as a row of its own. Sizes, layers, heads and
dropout are equal. The toolkit is timed twice: as it comes, with rows padded to the
longest session that is allowed, as its loader pads them, and its trainer's Adam; and helped, with
rows cut to the longest of the step and the fused Adam that ours uses.

Turns go round: ours, the toolkit, the toolkit helped, and again. The table has medians over the
turns, of the processor time a target (wall time is in the JSON, too) and how many times as
much the toolkit takes. What both fit must have about the same number of parameters.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch

from benchmarks.record import add_out, record
from benchmarks.toolkit_worker import timed_turn
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, SessionSplit
from proxysr.models import LearnedModel, create
from proxysr.models.softmax import left_aligned, prefixes, targets_of

RATE = 2e-3
WORKER = Path(__file__).with_name("toolkit_worker.py")
CONTESTANTS = ("ours", "toolkit", "toolkit helped")
LIKE = 0.02
"""Share by which the numbers of parameters may differ."""


def models(d: int) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """By our name: the toolkit's name, our settings, and the toolkit's that mean the same."""
    sized = {"embedding_size": d, "loss_type": "CE"}
    return {
        "gru4rec": (
            "GRU4Rec",
            {"dropout_embedding": 0.3},
            sized | {"hidden_size": d, "num_layers": 1, "dropout_prob": 0.3},
        ),
        "narm": (
            "NARM",
            {"hidden_dim": d, "dropout_embedding": 0.25, "dropout_session": 0.5},
            sized | {"hidden_size": d, "n_layers": 1, "dropout_probs": [0.25, 0.5]},
        ),
        "stamp": ("STAMP", {}, sized),
        "sasrec": (
            "SASRec",
            {"n_blocks": 2, "dropout": 0.5},
            {
                "n_layers": 2, "n_heads": 1, "hidden_size": d, "inner_size": d,
                "hidden_dropout_prob": 0.5, "attn_dropout_prob": 0.5, "hidden_act": "relu",
                "layer_norm_eps": 1e-5, "initializer_range": 0.02, "loss_type": "CE",
            },
        ),
        "srgnn": ("SRGNN", {"n_steps": 1}, sized | {"step": 1}),
        "repeatnet": (
            "RepeatNet",
            {"dropout": 0.5},
            sized | {"hidden_size": d, "joint_train": False, "dropout_prob": 0.5},
        ),
    }  # fmt: skip


def main() -> None:
    """Time all models, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("toolkit_python")
    parser.add_argument("data_dir")
    parser.add_argument("--models", default=",".join(models(1)))
    parser.add_argument("--embedding-dim", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32, help="sessions a step")
    parser.add_argument("--max-length", type=int, default=50, help="clicks of a prefix")
    parser.add_argument("--steps", type=int, default=20, help="steps a turn")
    parser.add_argument("--turns", type=int, default=5)
    add_out(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    split = SessionSplit.load(args.data_dir)
    rows = {}
    for name in args.models.split(","):
        rows[name] = compare(name, split, args)
        if len(rows) == 1:
            print(heading(split.n_items, rows[name]["targets_a_step"], args))
        print(line(name, rows[name]), flush=True)
    ratios = {
        f"{name}, {who} to ours": row["cpu"][who] / row["cpu"]["ours"]
        for name, row in rows.items()
        for who in CONTESTANTS[1:]
    }
    settings = vars(args) | {"n_items": split.n_items}
    record("toolkit_speed", args.out, settings=settings, result=rows, ratios=ratios)


def compare(name: str, split: SessionSplit, args: argparse.Namespace) -> dict[str, Any]:
    """Numbers of parameters, and medians of microseconds a target for all contestants."""
    toolkit_name, ours, theirs = models(args.embedding_dim)[name]
    settings = ours | {"embedding_dim": args.embedding_dim, "max_length": args.max_length}
    model = cast(LearnedModel, create(name, split.n_items, settings, seed=0))
    model.prepare(split.train)
    batches = model.batches(
        split.train, task="repeat", min_prefix=1, max_length=args.max_length,
        batch_size=args.batch_size, seed=0, device="cpu",
    )  # fmt: skip
    steps = list(islice(batches.epoch(0), args.steps))
    n_targets = sum(int((batch.targets != PAD).sum()) for batch in steps)
    job = {
        "model": toolkit_name, "settings": theirs, "rate": RATE,
        "n_items": split.n_items, "max_length": args.max_length,
    }  # fmt: skip
    with ExitStack() as stack:
        shared = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "prefixes.npz"
        arrays: dict[str, Any] = dict(pair for i, b in enumerate(steps) for pair in arrays_of(i, b))
        np.savez(shared, **arrays)
        as_it_comes, helped = (
            stack.enter_context(worker(args.toolkit_python, shared, job | {"helped": helped}))
            for helped in (False, True)
        )
        turns = {
            "ours": our_turn(model, steps),
            "toolkit": as_it_comes,
            "toolkit helped": helped,
        }
        n_ours = sum(p.numel() for p in model.parameters())
        n_theirs = next(as_it_comes)["n_parameters"]
        next(helped)
        if abs(n_ours - n_theirs) > LIKE * n_theirs:
            sys.exit(f"{name}: {n_ours:,} parameters, but the toolkit's has {n_theirs:,}.")
        found: dict[str, list[dict[str, float]]] = {who: [] for who in turns}
        for turn in range(1 + args.turns):
            for who, times in turns.items():
                seconds = next(times)
                if turn:  # the first one is for warming up
                    found[who].append(seconds)
    return {
        "parameters": {"ours": n_ours, "toolkit": n_theirs},
        "targets_a_step": n_targets / len(steps),
        **{
            kind: {
                who: 1e6 * median(t[kind] for t in all_) / n_targets for who, all_ in found.items()
            }
            for kind in ("cpu", "wall")
        },
    }


def our_turn(model: LearnedModel, steps: list[SessionBatch]) -> Iterator[dict[str, float]]:
    """Seconds of each turn."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    model.start_epoch(0)
    model.train()

    def step(batch: SessionBatch) -> None:
        optimizer.zero_grad(set_to_none=True)
        model.loss(batch).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.after_step()

    while True:
        yield timed_turn(step, steps)


@contextmanager
def worker(python: str, shared: Path, job: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """What the toolkit's process says: first of its model, then of each turn it is asked for."""
    with subprocess.Popen(
        [python, "-W", "ignore", str(WORKER), str(shared), json.dumps(job)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        asked, said = process.stdin, process.stdout
        assert asked is not None
        assert said is not None

        def answers() -> Iterator[dict[str, Any]]:
            while True:
                print("go", file=asked, flush=True)
                yield json.loads(said.readline())

        yield answers()
        asked.close()


def arrays_of(step: int, batch: SessionBatch) -> Iterator[tuple[str, np.ndarray]]:
    """The prefixes of a batch as the toolkit reads them: clicks first, padding behind."""
    ends = targets_of(batch)
    rows = prefixes(batch, ends)
    yield f"items {step}", left_aligned(rows).numpy()
    yield f"lengths {step}", rows.lengths.numpy()
    yield f"targets {step}", batch.targets[ends].numpy()


def heading(n_items: int, targets: float, args: argparse.Namespace) -> str:
    """What the table is of, and its columns."""
    return (
        f"N = {n_items:,} items, d = {args.embedding_dim}, {targets:.0f} targets a step, prefixes "
        f"of at most {args.max_length} clicks, one thread, torch {torch.__version__}\n"
        f"microseconds of processor time a target\n\n"
        f"{'':10}{'ours':>8}{'toolkit':>10}{'ratio':>7}{'helped':>10}{'ratio':>7}"
        f"{'parameters':>13}{'toolkit':>12}"
    )


def line(name: str, row: dict[str, Any]) -> str:
    """The row of a model."""
    ours, toolkit, helped = (row["cpu"][who] for who in CONTESTANTS)
    return (
        f"{name:10}{ours:8.0f}{toolkit:10.0f}{toolkit / ours:7.2f}"
        f"{helped:10.0f}{helped / ours:7.2f}"
        f"{row['parameters']['ours']:13,}{row['parameters']['toolkit']:12,}"
    )


if __name__ == "__main__":
    main()
