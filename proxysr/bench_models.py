"""How fast each model trains, beside the products that a softmax over all items needs, in one run.

Every target is compared with every item, and the gradient goes back to both: three matrix products
of ``2 V D`` operations a target. A model that trains by them can't be faster, so its rate
is shown as a share of theirs. ProxySR searches its negatives and needs fewer; its share
may be more than 1.
If PyTorch has one thread, all are times of the processor, so that other programs do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from tqdm.auto import tqdm

from proxysr.config import ConfigError, require
from proxysr.costs import clock
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, SessionSplit
from proxysr.kernels.sizes import TILE
from proxysr.models import MODELS, LearnedModel, create, learns, model_class
from proxysr.optimizer import RowAdam

WARM_UP = 2


def learned_models(names: str) -> list[str]:
    """Names of models that learn, from ``"all"`` or ``"NAME,..."``."""
    if names == "all":
        return [name for name in MODELS if learns(name)]
    return [name.strip() for name in names.split(",")]


def bench_models(
    names: Sequence[str],
    data: str | Path,
    *,
    embedding_dim: int = 128,
    batch_size: int = 64,
    steps: int = 30,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Time training steps of some models on the CPU, all with the same sessions.

    Parameters
    ----------
    names : sequence of str
        Models that learn; settings other than ``embedding_dim`` are their defaults.
    data : path
        A folder that ``proxysr prepare`` wrote.
    embedding_dim, batch_size, steps, seed : int
        Size d, sessions of a step, steps to time after a few others, seed of weights and batches.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    dict
        ``settings``, and by name of the model in ``models``: ``targets_per_second``,
        ``products_alone`` (the same of the products), ``share_of_products`` and ``step_ms``.
    """
    for name in names:
        if not learns(name):
            raise ConfigError(f"Model {name!r} only counts: it has no training steps to time.")
    split = SessionSplit.load(data)
    found = {}
    with tqdm(total=len(names), desc="bench", leave=False, disable=not progress) as bar:
        for name in names:
            knows = set(model_class(name).Config.model_fields)
            sized = {"embedding_dim": embedding_dim} if "embedding_dim" in knows else {}
            model = cast(LearnedModel, create(name, split.n_items, sized, seed=seed))
            model.prepare(split.train)
            batches = model.batches(
                split.train, task="unseen", min_prefix=1, max_length=model.max_length,
                batch_size=batch_size, seed=seed, device="cpu",
            )  # fmt: skip
            require(
                len(batches) > WARM_UP,
                f"{len(batches)} batches are too few to time a step: {WARM_UP} are for warming up.",
            )
            found[name] = _time(model, islice(batches.epoch(0), steps + WARM_UP), embedding_dim)
            bar.update()
    return {
        "settings": {
            "data": str(data),
            "n_items": split.n_items,
            "embedding_dim": embedding_dim,
            "batch_size": batch_size,
            "steps": steps,
            "seed": seed,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        "models": found,
    }


def _time(model: LearnedModel, batches: Iterator[SessionBatch], dim: int) -> dict[str, float]:
    optimizer = RowAdam(model.parameters(), lr=2e-4, fused=True)
    model.start_epoch(0)
    model.train()
    targets, steps, spent, products = 0, 0, 0.0, 0.0
    for step, batch in enumerate(batches):
        started = clock()
        optimizer.zero_grad(set_to_none=True)
        model.loss(batch).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.after_step()
        seconds = clock() - started
        if step >= WARM_UP:
            n = int((batch.targets != PAD).sum())
            # after each step, so that both are timed under the same load of the machine
            products += _product_seconds(n, model.n_items + 1, dim)
            spent, targets, steps = spent + seconds, targets + n, steps + 1
    return {
        "targets_per_second": targets / spent,
        "products_alone": targets / products,
        "share_of_products": products / spent,
        "step_ms": 1e3 * spent / steps,
    }


@torch.inference_mode()
def _product_seconds(rows: int, n_items: int, dim: int) -> float:
    """Time of the scores of some rows and of both gradients, in tiles that stay in the cache."""
    vectors, items, tile = (
        torch.randn(rows, dim),
        torch.randn(n_items, dim),
        torch.zeros(rows, TILE),
    )
    for_vectors, for_items = torch.zeros(rows, dim), torch.zeros(n_items, dim)
    started = clock()
    for some, its_own in zip(torch.split(items, TILE), torch.split(for_items, TILE), strict=True):
        scores = tile[:, : len(some)]
        torch.mm(vectors, some.T, out=scores)
        for_vectors.addmm_(scores, some)
        torch.mm(scores.T, vectors, out=its_own)
    return clock() - started


def format_models(result: dict[str, Any]) -> str:
    """The result as a table to read, the fastest model first."""
    settings = result["settings"]
    lines = [
        f"N = {settings['n_items']:,} items, d = {settings['embedding_dim']}, "
        f"batch {settings['batch_size']}, {settings['steps']} steps; "
        f"{settings['threads']} threads, torch {settings['torch']}",
        "",
        f"{'':12}{'targets/s':>12}{'products alone':>16}{'share':>8}{'ms a step':>12}",
    ]
    rows = sorted(result["models"].items(), key=lambda row: -row[1]["targets_per_second"])
    lines += [
        f"{name:12}{row['targets_per_second']:>12,.0f}{row['products_alone']:>16,.0f}"
        f"{row['share_of_products']:>8.0%}{row['step_ms']:>12.1f}"
        for name, row in rows
    ]
    return "\n".join(lines)
