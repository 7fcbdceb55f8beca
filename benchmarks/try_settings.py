"""The search behind the presets of real data: every model that learns gets the same tries.

    PROXYSR_RUNS=RUNS python -m benchmarks.try_settings DATA_DIR [--out FOLDER]
        [--models NAME,...] [--task unseen|repeat] [--min-prefix N]

Three tries a model: two learning rates, and the better of the two with an L2 penalty. The rates
are the same for all but ProxySR, whose embeddings stay in the unit ball, and GRec, which does not
get beyond popular items with higher ones.
Size of the embeddings, of the batches, most epochs and patience are the same for all; what the
papers settle is theirs. A try is judged by the best R@20 of its epochs on the validation
sessions; the test sessions are not looked at. Tries are runs of notebook 02_compare, which finds
the chosen ones when it is run with the presets made of them. Runs that are there are kept.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.record import add_out, record
from proxysr import paths
from proxysr.experiments import Spec, Variant, run_spec
from proxysr.experiments.presets import PROGRAM

EPOCHS, PATIENCE, BATCH_SIZE, DIM = 15, 3, 32, 64
RATES = (2e-3, 6e-3)
RATES_OF = {"proxysr": (5e-4, 1e-3), "grec": (1e-3, 2e-3)}
PENALTY = 1e-5
SETTINGS: dict[str, dict[str, Any]] = {
    "proxysr": PROGRAM | {"embedding_dim": DIM, "n_proxies": 100, "anneal_epochs": 9},
    "mean": {},
    "gru4rec": {"dropout_hidden": 0.25},
    "narm": {"hidden_dim": 64},
    "srgnn": {},
    "sasrec": {"dropout": 0.25},
    "stamp": {"init_std": 0.05},
    "gcegnn": {"dropout": 0.5},
    "repeatnet": {"dropout": 0.5},
    "csrm": {},
    "fgnn": {"n_layers": 1, "n_heads": 4},
    "grec": {"dilations": (1, 2), "tied_items": True, "output_bias": False, "dropout": 0.3},
}


def main() -> None:
    """Try, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir")
    parser.add_argument("--models", default=",".join(SETTINGS))
    parser.add_argument("--task", default="unseen")
    parser.add_argument("--min-prefix", type=int, default=1)
    add_out(parser)
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in args.models.split(","):
        tries = [try_out(name, rate, 0.0, args) for rate in RATES_OF.get(name, RATES)]
        best = max(tries, key=lambda row: row["validation R@20"])
        rows += [*tries, try_out(name, best["learning_rate"], PENALTY, args)]
    most = max(row["validation R@20"] for row in rows)
    ratios = {f"{row['model']}, R@20 to the best": row["validation R@20"] / most for row in rows}
    record("try_settings", args.out, settings=vars(args), result=rows, ratios=ratios)


def try_out(
    name: str, learning_rate: float, weight_decay: float, args: argparse.Namespace
) -> dict[str, Any]:
    """Train a model, or find the run: a row of the table of tries."""
    settings = {"embedding_dim": DIM} | SETTINGS[name]
    train = {"batch_size": BATCH_SIZE, "learning_rate": learning_rate, "patience": PATIENCE}
    if weight_decay:
        train["weight_decay"] = weight_decay
    spec = Spec(
        args.data_dir,
        [Variant(name, name, settings, train)],
        train={"epochs": EPOCHS, "valid_min_prefix": args.min_prefix},
        train_for=(args.task,),
        part="valid",
    )
    found = run_spec(spec, paths.runs() / "02_compare", device="cpu", progress=False)
    (run,) = found.groups()[name]
    history = run.history()
    return {
        "task": args.task,
        "model": name,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "settings": settings,
        "validation R@20": round(history["R@20"].max(), 4),
        "best_epoch": run.best_epoch,
        "epochs": len(history),
        "seconds": round(history[["train_seconds", "eval_seconds"]].sum().sum()),
        "run": run.path.name,
    }


if __name__ == "__main__":
    main()
