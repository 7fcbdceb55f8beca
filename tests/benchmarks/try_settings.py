"""The search behind the presets of real data: every model that learns gets the same four tries.

    python tests/benchmarks/try_settings.py DATA_DIR TRIES.csv [--models NAME,...]
        [--min-prefix N] [--epochs N] [--patience N]

Two learning rates, each with two values of what matters most to the model otherwise; everything
else is equal or a default (ProxySR, whose embeddings stay in the unit ball, has lower rates). A
try is judged by the best R@20 of its epochs on the validation
sessions; the test sessions are not looked at. Rows that are in TRIES.csv already are kept.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import time
from pathlib import Path
from typing import Any

from proxysr.data.sessions import SessionSplit
from proxysr.models import create
from proxysr.training import TrainConfig, fit

COMMON = {"embedding_dim": 64}
BATCH_SIZE = 64
RATES = (3e-3, 1e-2)
PROXYSR_RATES = (1e-3, 3e-3)
PROXYSR = {"n_proxies": 100, "anneal_epochs": 5}
OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "proxysr": (
        PROXYSR | {"margin": 0.1, "init_std": 0.01},
        PROXYSR | {"margin": 0.5, "init_std": 0.1},
    ),
    "gru4rec": ({"dropout_hidden": 0.1}, {"dropout_hidden": 0.4}),
    "narm": ({"dropout_session": 0.25}, {"dropout_session": 0.5}),
    "stamp": ({"init_std": 0.002}, {"init_std": 0.05}),
    "sasrec": ({"dropout": 0.2}, {"dropout": 0.5}),
    "repeatnet": ({"dropout": 0.2}, {"dropout": 0.5}),
    "srgnn": ({"n_steps": 1}, {"n_steps": 2}),
    "fgnn": ({"n_layers": 1, "n_heads": 4}, {"n_layers": 2, "n_heads": 4}),
    "csrm": ({"dropout": 0.25}, {"dropout": 0.5}),
    "grec": ({"dilations": (1, 2)}, {"dilations": (1, 4, 1, 4)}),
    "gcegnn": ({"dropout": 0.2}, {"dropout": 0.5}),
    "mean": ({"init_std": 0.03}, {"init_std": 0.1}),
}
FIELDS = ("model", "learning_rate", "model_config", "R@20", "best_epoch", "epochs", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir")
    parser.add_argument("tries", type=Path)
    parser.add_argument("--models", default=",".join(OTHERS))
    parser.add_argument("--min-prefix", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--patience", type=int, default=2)
    args = parser.parse_args()
    split = SessionSplit.load(args.data_dir)
    done = set()
    if args.tries.is_file():
        with args.tries.open(newline="") as file:
            done = {
                (r["model"], r["learning_rate"], r["model_config"]) for r in csv.DictReader(file)
            }
    else:
        args.tries.write_text(",".join(FIELDS) + "\n")
    for name in args.models.split(","):
        rates = PROXYSR_RATES if name == "proxysr" else RATES
        for rate, other in itertools.product(rates, OTHERS[name]):
            config = json.dumps(other)
            if (name, f"{rate:g}", config) in done:
                continue
            train = TrainConfig(
                epochs=args.epochs, patience=args.patience, batch_size=BATCH_SIZE,
                learning_rate=rate, min_prefix=args.min_prefix,
            )  # fmt: skip
            model = create(name, split.n_items, COMMON | other)
            began = time.perf_counter()
            history = fit(model, split, train, progress=False)
            recall = history.frame["R@20"]
            row = (
                name, f"{rate:g}", config, f"{recall.max():.4f}", history.best_epoch,
                len(recall), f"{time.perf_counter() - began:.0f}",
            )  # fmt: skip
            with args.tries.open("a", newline="") as file:
                csv.writer(file).writerow(row)


if __name__ == "__main__":
    main()
