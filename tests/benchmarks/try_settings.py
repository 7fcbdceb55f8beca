"""The search behind the presets of real data: every model that learns gets the same tries.

    PROXYSR_RUNS=RUNS python tests/benchmarks/try_settings.py DATA_DIR TRIES.csv
        [--models NAME,...] [--task unseen|repeat] [--min-prefix N]

Two tries a model: two learning rates, ProxySR's lower since its embeddings stay in the unit ball.
Size of the embeddings, of the batches, most epochs and patience are the same for all; what the
papers settle is theirs. A try is judged by the best R@20 of its epochs on the validation
sessions; the test sessions are not looked at. Tries are runs of notebook 02_compare, which finds
the chosen ones when it is run with the presets made of them. Runs that are there are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.notebooks.comparison import Variant, train_variants

EPOCHS, PATIENCE, BATCH_SIZE, DIM = 15, 3, 32, 64
RATES = (2e-3, 6e-3)
PROXYSR_RATES = (5e-4, 1e-3)
SETTINGS: dict[str, dict[str, Any]] = {
    "proxysr": {"n_proxies": 100, "anneal_epochs": 9},
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
    "grec": {"dilations": (1, 2)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir")
    parser.add_argument("tries", type=Path)
    parser.add_argument("--models", default=",".join(SETTINGS))
    parser.add_argument("--task", default="unseen")
    parser.add_argument("--min-prefix", type=int, default=1)
    args = parser.parse_args()
    for name in args.models.split(","):
        for rate in PROXYSR_RATES if name == "proxysr" else RATES:
            settings = {"embedding_dim": DIM} | SETTINGS[name]
            train = {"batch_size": BATCH_SIZE, "learning_rate": rate, "patience": PATIENCE}
            (run,) = train_variants(
                [Variant(name, name, settings, train)],
                args.data_dir,
                "02_compare",
                train={"epochs": EPOCHS, "min_prefix": args.min_prefix},
                train_for=(args.task,),
                part="valid",
                device="cpu",
                progress=False,
            )[name]
            history = run.history()
            row = {
                "task": args.task,
                "model": name,
                "learning_rate": rate,
                "settings": settings,
                "validation R@20": round(history["R@20"].max(), 4),
                "best_epoch": run.best_epoch,
                "epochs": len(history),
                "seconds": round(history[["train_seconds", "eval_seconds"]].sum().sum()),
                "run": run.path.name,
            }
            known = pd.read_csv(args.tries) if args.tries.is_file() else pd.DataFrame()
            table = pd.concat([known, pd.DataFrame([row])]).drop_duplicates("run", keep="last")
            table.to_csv(args.tries, index=False)


if __name__ == "__main__":
    main()
