"""What drawing negatives costs in recall, on data small enough to do without.

    python -m tests.benchmarks.sampled_negatives DATA_DIR [--models proxysr,gru4rec]
        [--sampled 0,2048,512] [--power 0.75] [--epochs N] [--batch-size B]
        [--learning-rate X] [--dim D] [--task unseen|repeat] [--set NAME=VALUE ...]

trains each model with all items (0) and with M drawn ones, all else equal, and prints a line of
JSON for each: the best validation R@20, its epoch, and the seconds of training an epoch. The test
sessions are not looked at. ``--set`` changes settings of all models, such as ``n_negatives=50``.
"""

from __future__ import annotations

import argparse
import json
import os

from proxysr.data import SessionSplit
from proxysr.models import create, model_class
from proxysr.training import CRITERION, TrainConfig, fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir")
    parser.add_argument("--models", default="proxysr,gru4rec")
    parser.add_argument("--sampled", default="0,2048,512")
    parser.add_argument("--power", type=float, default=0.75)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--task", default="unseen")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    split = SessionSplit.load(args.data_dir)
    train = TrainConfig(
        epochs=args.epochs, batch_size=args.batch_size, learning_rate=args.learning_rate,
        task=args.task, device="cpu",
    )  # fmt: skip
    for name in args.models.split(","):
        for sampled in map(int, args.sampled.split(",")):
            settings = {"embedding_dim": args.dim, "sampling_power": args.power}
            settings |= dict(setting.split("=", 1) for setting in args.set)
            config = model_class(name).Config.from_dict(settings | {"sampled_negatives": sampled})
            history = fit(create(name, split.n_items, config), split, train, progress=False)
            best = history.rows[history.best_epoch]
            row = {
                "model": name,
                "sampled_negatives": sampled,
                "n_items": split.n_items,
                CRITERION: round(best[CRITERION], 4),
                "epoch": history.best_epoch,
                "train_seconds_an_epoch": round(float(history.frame["train_seconds"].mean()), 1),
                "load_average": os.getloadavg()[0],
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
