"""Settings for the tables: every model gets the same number of tries, judged on validation.

    python -m benchmarks.tune_models DATA_DIR RUNS [--models NAME,...] [--seeds 0,1,2]
        [--min-prefix N] [--jobs N] [--out FOLDER]

A model that learns has three tries of three epochs: two learning rates, and the better of them with
another strength of what keeps it from overfitting. ProxySR's last until its choices have hardened,
and only what comes then is judged, as patience counts in training. The try with the best recall@20
on the validation sessions goes on to at most twenty epochs, of which validation chooses one; it is
the run of the first seed. A model that counts has three tries, too, judged by the mean of its
recall on both tasks. All train on every click; test sessions are ranked once, by the runs that go
on.

Runs lie in RUNS as those of `proxysr paper run`. Those that are there are kept, and interrupted
ones go on; those that are missing at the end are named, and the exit code is 2 then. What a model's
paper settles is that paper's; the size of embeddings and of batches is the same for all. HRNN is
tried only if it is named, as it needs sessions of known users.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.record import add_out, record
from proxysr.config import unknown
from proxysr.experiments import Spec, Variant, run_spec
from proxysr.experiments.running import Cell
from proxysr.experiments.spec import names_in, numbers_in
from proxysr.models import learns
from proxysr.run import RunDir, has_epochs

TRY, EPOCHS, PATIENCE, BATCH_SIZE, DIM = 3, 20, 2, 32, 64
ANNEALED = 5
"""Epochs over which ProxySR hardens its choice."""

L2: dict[str, Any] = {"weight_decay": 1e-5}
Options = Mapping[str, Any]
"""Settings of a model or of its training, by name."""

LEARNED: dict[str, tuple[Options, tuple[float, float], Options, Options]] = {
    # the paper's own settings, two learning rates, how strongly it is regularised: at first, then
    "latent_proxy": ({}, (2e-3, 4e-3), {}, {"dropout": 0.4}),
    "proxysr": ({"anneal_epochs": ANNEALED}, (5e-4, 1e-3), {}, {"dropout": 0.2}),
    "gru4rec": ({}, (2e-3, 5e-3), {"dropout_hidden": 0.25}, L2),
    "narm": ({}, (2e-3, 5e-3), {}, L2),
    "stamp": ({"init_std": 0.05}, (2e-3, 5e-3), {}, L2),
    "sasrec": ({}, (2e-3, 5e-3), {"dropout": 0.25}, {"dropout": 0.5}),
    "repeatnet": ({}, (2e-3, 5e-3), {}, L2),
    "srgnn": ({}, (2e-3, 5e-3), L2, {"weight_decay": 0.0}),
    "fgnn": ({"n_layers": 1, "n_heads": 4}, (2e-3, 5e-3), L2, {"weight_decay": 0.0}),
    "csrm": ({}, (2e-3, 5e-3), {}, L2),
    "grec": (
        {"dilations": (1, 2), "tied_items": True, "output_bias": False},
        (1e-3, 2e-3), {"dropout": 0.3}, {"dropout": 0.1},
    ),
    "gcegnn": ({}, (2e-3, 5e-3), L2, {"weight_decay": 0.0}),
    "core": ({}, (1e-3, 2e-3), {}, {"dropout": 0.2}),
    "mean": ({}, (2e-3, 5e-3), {}, L2),
    "hrnn": ({}, (2e-3, 5e-3), {}, {"dropout_session": 0.25}),
}  # fmt: skip

COUNTING: dict[str, tuple[Options, Options, Options]] = {
    "cooccurrence": ({"self_pairs": True}, {"self_pairs": True, "half_life": 0.2},
                     {"self_pairs": True, "window": 5}),
    "vsknn": ({}, {"n_neighbours": 500, "sample_size": 5000}, {"click_weight": "reciprocal"}),
    "stan": ({}, {"n_neighbours": 500, "sample_size": 5000}, {"lambda_age": 0.2}),
    "vstan": ({}, {"n_neighbours": 500, "sample_size": 5000}, {"lambda_age": 0.2}),
    "slist": ({}, {"alpha": 0.4}, {"lambda_age": 0.2}),
}  # fmt: skip


class Search:
    """The tries of models on one log."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.data = Path(args.data_dir)
        self.runs = Path(args.runs)
        self.seeds = numbers_in(args.seeds)
        self.jobs = args.jobs
        self.train = {"valid_min_prefix": args.min_prefix}
        self.rows: list[dict[str, Any]] = []

    def learned(self, name: str) -> Variant:
        """Try a model that learns; returns the settings to keep."""
        own, rates, first, second = LEARNED[name]
        tries = [variant(name, own, first, {"learning_rate": rate}) for rate in rates]
        better = max(tries, key=self.recall_of_try)
        other = variant(name, own, first, second, {"learning_rate": better.train["learning_rate"]})
        return max((better, other), key=self.recall_of_try)

    def recall_of_try(self, tried: Variant) -> float:
        """The best recall of its first epochs on validation; a row of the table."""
        hardened = tried.model_config.get("anneal_epochs", 0)
        epochs = max(TRY, hardened + 1)
        (cell,) = run_spec(self.spec(tried), self.runs, pause_after=epochs, progress=False).cells
        recalls: list[float] = []
        if has_epochs(cell.path):
            recalls = RunDir(cell.path).history()["R@20"].iloc[hardened:epochs].tolist()
        if not recalls or (cell.hole and len(recalls) < epochs - hardened):  # it failed on the way
            raise SystemExit(f"{cell.words}: {cell.hole}")
        return self.keep(tried, cell, max(recalls))

    def counting(self, name: str) -> Variant:
        """Try a model that counts; returns the settings to keep."""
        return max((variant(name, own) for own in COUNTING[name]), key=self.recall_of_counts)

    def recall_of_counts(self, tried: Variant) -> float:
        """Its mean recall of both tasks on validation; a row of the table."""
        results = run_spec(replace(self.spec(tried), part="valid"), self.runs, progress=False)
        if results.holes:
            raise SystemExit(results.holes[0])
        return self.keep(tried, results.cells[0], float(results.frame["R@20"].mean()))

    def keep(self, tried: Variant, cell: Cell, recall: float) -> float:
        """Note a try, once."""
        row = {
            "model": tried.model, "settings": {**tried.model_config, **tried.train},
            "validation R@20": round(recall, 4), "run": cell.path.name,
        }  # fmt: skip
        if row not in self.rows:
            self.rows.append(row)
            print(f"{tried.name}: {recall:.4f} {dict(row['settings'])}", flush=True)
        return recall

    def spec(self, *variants: Variant, seeds: tuple[int, ...] = (0,)) -> Spec:
        """Runs of these data; one for both tasks."""
        return Spec({self.data.name: self.data}, variants, train=self.train, seeds=seeds)


def variant(name: str, *options: Options) -> Variant:
    """A model with settings, those of its training among them."""
    chosen = {k: v for part in options for k, v in part.items()}
    if not learns(name):
        return Variant(name, name, chosen)
    train = {"batch_size": BATCH_SIZE, "epochs": EPOCHS, "patience": PATIENCE}
    train |= {k: chosen.pop(k) for k in ("learning_rate", "weight_decay") if k in chosen}
    return Variant(name, name, {"embedding_dim": DIM} | chosen, train)


def main() -> None:
    """Try, let the best go on, and keep what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", metavar="DATA_DIR")
    parser.add_argument("runs", metavar="RUNS")
    of_sessions = [name for name in LEARNED if name != "hrnn"]
    parser.add_argument("--models", default=",".join([*COUNTING, *of_sessions]))
    parser.add_argument("--seeds", default="0", help="of the runs that go on")
    parser.add_argument("--min-prefix", type=int, default=1, help="clicks before a target")
    parser.add_argument("--jobs", type=int, default=1, help="processes for several seeds")
    add_out(parser)
    args = parser.parse_args()
    names = names_in(args.models)
    for name in names:  # before hours of tries
        if name not in {*COUNTING, *LEARNED}:
            parser.error(unknown(name, [*COUNTING, *LEARNED], "model with tries"))
    if not names:
        parser.error("--models names no model.")
    search = Search(args)
    chosen, holes = [], []
    for name in names:
        chosen.append(search.learned(name) if name in LEARNED else search.counting(name))
        results = run_spec(
            search.spec(chosen[-1], seeds=tuple(search.seeds)), search.runs, jobs=search.jobs
        )
        print(results.frame[["variant", "seed", "task", "R@20", "MRR@20", "hole"]], flush=True)
        holes += results.holes
    most = max(row["validation R@20"] for row in search.rows)
    record(
        "tune_models", args.out, settings=vars(args),
        result={
            "tries": search.rows,
            "chosen": [{"model": v.model, "settings": {**v.model_config, **v.train}}
                       for v in chosen],
            "missing": holes,
        },
        ratios={f"{row['model']}, {row['run']}: R@20 to the best": row["validation R@20"] / most
                for row in search.rows},
    )  # fmt: skip
    if holes:
        sys.stderr.write("".join(f"Missing: {hole}\n" for hole in holes))
        sys.exit(2)


if __name__ == "__main__":
    main()
