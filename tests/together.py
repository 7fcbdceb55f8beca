"""What each process of tests/test_distributed.py does: trains, and writes what came of it.

``torchrun ... -m tests.together FOLDER`` trains all of ``CASES``; ``... -m tests.together`` has
one process fail.
"""

from __future__ import annotations

import json
import sys
import weakref
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from proxysr import distributed
from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions
from proxysr.evaluation import evaluate
from proxysr.models import ProxySR
from proxysr.training import (
    Checkpoint,
    History,
    TrainConfig,
    TrainState,
    fit,
    random_state_of,
    resolve_device,
)
from tests.contract.small import cycles, small, split_of

ORTHOG = {"lambda_orthog": 0.1}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "means": ("proxysr", ORTHOG, {"bucket_batches": 2}),
    "penalty": ("proxysr", {"constraints": "penalty", **ORTHOG}, {"epochs": 2}),
    "softmax": ("gru4rec", {}, {"weight_decay": 1e-3}),
    "drawn": ("proxysr", {"sampled_negatives": 20, "n_negatives": 5, **ORTHOG}, {}),
    "drawn softmax": ("gru4rec", {"sampled_negatives": 15}, {"weight_decay": 1e-3}),
    "drawn normaliser": ("latent_proxy", {"sampled_negatives": 15, "dropout": 0.0}, {}),
    "patience": ("gru4rec", {}, {"epochs": 30, "patience": 1, "learning_rate": 0.3}),
    "counting": ("popularity", {}, {}),
}
"""Model, its options, and how it is trained; dropout is 0 in all."""
SPLIT = split_of(cycles(97, seed=1), cycles(30, seed=2), cycles(30, seed=3))
"""97 training sessions: the last batch of 16 has one, too few for two processes."""
ONE_PREFIX = Sessions.from_lists([[1, 2]])
"""The second process has nothing to rank."""


def trained(
    case: str, seed: int = 0, **changes: Any
) -> tuple[History, list[Checkpoint], dict[str, torch.Tensor]]:
    """History, checkpoint of each epoch and final weights of a case, in double precision."""
    name, options, train = CASES[case]
    resume, snapshots = changes.pop("resume", None), changes.pop("snapshots", None)
    defaults = {"epochs": 3, "batch_size": 16, "learning_rate": 1e-2, "device": "cpu"}
    checkpoints: list[Checkpoint] = []

    def on_epoch(state: TrainState) -> None:
        saved = state.checkpoint()
        copies = ({k: v.clone() for k, v in x.items()} for x in (saved.model, saved.optimizer))
        checkpoints.append(Checkpoint(*copies, saved.rows))

    model = small(name, seed=seed, **options).double()
    config = TrainConfig(**(defaults | train | changes))
    history = fit(
        model, SPLIT, config,
        on_epoch=on_epoch, resume=resume, snapshots=snapshots, progress=False,
    )  # fmt: skip
    return history, checkpoints, model.state_dict()


def keep(folder: Path, name: str, history: History, last: Checkpoint, final: Any) -> None:
    """Write rows and tensors of this process."""
    tensors = {f"model.{k}": v for k, v in last.model.items()}
    tensors |= {f"optimizer.{k}": v for k, v in last.optimizer.items()}
    tensors |= {f"final.{k}": v for k, v in final.items()}
    tensors = {k: v.clone().contiguous() for k, v in tensors.items()}
    path = folder / f"{name}-{distributed.rank()}"
    save_file(tensors, path.with_suffix(".safetensors"))
    path.with_suffix(".json").write_text(json.dumps([history.rows, sorted(history.snapshots)]))


def error_of(name: str, **train: Any) -> str:
    """What ``fit`` says."""
    try:
        fit(small(name), SPLIT, TrainConfig(epochs=2, **train), progress=False)
    except (ConfigError, FloatingPointError) as error:
        return str(error)
    return "no error"


def loses_itself(self: ProxySR) -> None:
    """In place of ``after_step``: the weights of one process are no numbers any more."""
    if distributed.rank() == 1:
        self.items.data.fill_(torch.nan)


def main(folder: Path) -> None:
    """Train all cases in this process and the others."""
    for case in CASES:
        # other weights at the start in each process: those of the first one count
        history, checkpoints, final = trained(case, seed=distributed.rank())
        keep(folder, case, history, checkpoints[-1], final)
    # stopped after two epochs, and continued with the first one's snapshots
    short, saved, _ = trained("means", epochs=2)
    history, checkpoints, final = trained("means", resume=saved[-1], snapshots=short.snapshots)
    keep(folder, "continued", history, checkpoints[-1], final)
    model = small("proxysr")
    ranks = [evaluate(model, s, together=True).ranks["rank"] for s in (SPLIT.test, ONE_PREFIX)]
    told = {name: error_of(name, device="cpu") for name in ("csrm", "hrnn")}
    torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 1
    try:
        resolve_device("auto")
    except ConfigError as error:
        told["gpu"] = str(error)
    ProxySR.after_step = loses_itself  # type: ignore[method-assign]
    torch.cuda.is_available = lambda: False
    told["nan"] = error_of("proxysr", device="cpu")
    answer = {
        "told": told,
        "ranks": [column.tolist() for column in ranks],
        "random": drawn(),
    }
    (folder / f"answer-{distributed.rank()}.json").write_text(json.dumps(answer))


def drawn() -> list[float]:
    """Random numbers as the loss of an epoch draws them."""
    with random_state_of(3, 1):
        return torch.rand(3).tolist()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined():
        if len(sys.argv) > 1:
            main(Path(sys.argv[1]))
        elif distributed.rank() == 1:
            raise ValueError("Only the second process finds this.")
        distributed.gathered("waits for the other")
        group = weakref.ref(dist.group.WORLD)
    assert group() is None, "The group outlives its end."
