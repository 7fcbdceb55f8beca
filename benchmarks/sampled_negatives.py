"""What drawing negatives costs in recall, on data small enough to do without.

    python -m benchmarks.sampled_negatives DATA_DIR [--models latent_proxy,proxysr,gru4rec,mean]
        [--presets third] [--epochs N] [--sampled 0,2000,500] [--power 0.75] [--out FOLDER]

trains each model, as its preset NAME-third says (but for N epochs if given), with all items (0) and
with M drawn ones, all else equal: the best validation R@20, its epoch, and the seconds of training
an epoch. The ratios are those of R@20 with drawn items to R@20 with all. The test sessions are not
looked at.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.record import add_out, record
from proxysr.data import SessionSplit
from proxysr.experiments.spec import model_variants, numbers_in
from proxysr.findings import CRITERION
from proxysr.models import create, model_class
from proxysr.training import TrainConfig, fit


def main() -> None:
    """Train, and keep what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir")
    parser.add_argument("--models", default="latent_proxy,proxysr,gru4rec,mean")
    parser.add_argument("--presets", default="third")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--sampled", default="0,2000,500")
    parser.add_argument("--power", type=float, default=0.75)
    add_out(parser)
    args = parser.parse_args()
    split = SessionSplit.load(args.data_dir)
    rows: list[dict[str, Any]] = []
    ratios: dict[str, float | None] = {}
    for variant in model_variants(args.models, args.presets):
        fewer = {} if args.epochs is None else {"epochs": args.epochs}
        train = TrainConfig.from_dict({**variant.train, "device": "cpu", **fewer})
        for sampled in numbers_in(args.sampled):
            drawn = {"sampled_negatives": sampled, "sampling_power": args.power}
            config = model_class(variant.model).Config.from_dict({**variant.model_config, **drawn})
            model = create(variant.model, split.n_items, config, seed=train.seed)
            history = fit(model, split, train, progress=False)
            row = {
                "model": variant.name,
                **drawn,
                "n_items": split.n_items,
                CRITERION: round(history.rows[history.best_epoch][CRITERION], 4),
                "epoch": history.best_epoch,
                "train_seconds_an_epoch": round(float(history.frame["train_seconds"].mean()), 1),
            }
            print(row, flush=True)
            rows.append(row)
            whole = [r for r in rows if r["model"] == variant.name and not r["sampled_negatives"]]
            if sampled and whole:
                name = f"{variant.name}, {CRITERION} with {sampled} drawn to all items"
                ratios[name] = row[CRITERION] / whole[0][CRITERION]
    record("sampled_negatives", args.out, settings=vars(args), result=rows, ratios=ratios)


if __name__ == "__main__":
    main()
