"""How fast, as shares of what this machine's matrix products allow, in one run.

On the same random sessions are timed: the model as it is trained and evaluated here; a literal
implementation that walks through sessions and positions one by one with the whole item table, as
the equations are written; and the matrix products that no implementation of the distances can do
without, alone. Beside them stands what :mod:`proxysr.costs` predicts. If PyTorch has one thread,
all are times of the processor, so that other programs do not count.

:func:`bench_models` times training steps of many models, each beside the products of a softmax over
all items and of its gradient. ProxySR searches its negatives and needs fewer.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from proxysr.config import ConfigError, Count, Settings, Whole, require
from proxysr.costs import Machine, Sizes, clock, measure, one_session, ranking, training_step
from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.data.sessions import PAD, Sessions, SessionSplit
from proxysr.evaluation import CPU_MEMORY, FEWEST_ROWS, evaluate
from proxysr.kernels.sizes import TILE
from proxysr.models import MODELS, LearnedModel, ProxySR, create, learns, model_class
from proxysr.optimizer import RowAdam
from proxysr.recommender import Recommender

STEP = ("forward and search", "backward", "optimizer", "constraints")
"""Parts of a training step, in order."""
MIN_PREFIX = 3
MEAN_LENGTH = 7
WARM_UP = 3
"""Training steps before those that are timed."""
PARTS = 8
"""Parts of the sessions that are ranked, each timed beside its products."""


class BenchConfig(Settings):
    """What to time; defaults are the size of Diginetica and the authors' settings."""

    n_items: Count = 34_000
    """Items N."""
    embedding_dim: Count = 128
    """Embedding size d."""
    n_proxies: Count = 300
    """Proxies K."""
    batch_size: Count = 64
    """Sessions of a training step."""
    steps: Count = 30
    """Training steps to time."""
    eval_sessions: Count = 800
    """Sessions whose prefixes are ranked."""
    single_sessions: Count = 100
    """Sessions that are answered one by one, for the time a visitor waits."""
    literal_sessions: Whole = 4
    """Sessions for the literal implementation, which is slow; 0 leaves it out."""
    seed: int = 0
    """Seed of sessions and weights."""


def bench(config: BenchConfig | None = None, *, progress: bool = True) -> dict[str, Any]:
    """Time training and evaluation on the CPU; see the module's docstring.

    Returns
    -------
    dict
        ``settings``; ``machine`` with its rates; ``training`` and ``evaluation`` with the rates of
        the three implementations and their ratios; ``step_ms``, where a step's time goes;
        ``one_session_ms``, how long a single one waits for 20 items; ``predicted_ms`` of all
        these; and ``peak_memory_gb`` of this process, the literal implementation left out.
    """
    config = BenchConfig() if config is None else config
    torch.manual_seed(config.seed)
    sizes = config.model_dump(include={"embedding_dim", "n_proxies"})
    model = ProxySR(config.n_items, ProxySR.Config(**sizes, n_negatives=100))
    model.start_epoch(5)
    with tqdm(total=config.steps + 2, desc="bench", leave=False, disable=not progress) as bar:
        training = _training(model, config, bar.update)
        evaluation = _evaluation(model, config)
        waiting = _one_session(model, config)
        bar.update()
        peak = peak_memory_gb()
        if config.literal_sessions:
            _literal(model, config, training, evaluation)
        bar.update()
    machine = measure(embedding_dim=config.embedding_dim)
    targets, prefixes = training["positions_per_step"], evaluation["prefixes"]
    predicted = _predicted(model, config, machine, targets, prefixes)
    return {
        "settings": config.to_dict(),
        "machine": {
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "gemm_gflops": machine.gemm / 1e9,
            "memory_gb_per_second": machine.memory / 1e9,
            "selected_per_second": machine.selection,
            "overhead_us": 1e6 * machine.overhead,
        },
        "step_ms": training.pop("step_ms"),
        "training": training,
        "one_session_ms": waiting,
        "predicted_ms": predicted,
        "evaluation": evaluation,
        "peak_memory_gb": peak,
    }


def _sessions(config: BenchConfig, n: int) -> Sessions:
    """Sessions of at least MIN_PREFIX + 1 clicks, items drawn with a popularity skew."""
    rng = np.random.default_rng(config.seed)
    lengths = MIN_PREFIX + rng.geometric(1 / (MEAN_LENGTH - MIN_PREFIX), size=n)
    skewed = 1 + (rng.random(int(lengths.sum())) ** 3 * config.n_items).astype(int)
    parts = np.split(skewed, np.cumsum(lengths)[:-1])
    return Sessions.from_lists([part.tolist() for part in parts])


class _Steps(NamedTuple):
    """What training steps took; ``seconds`` by the parts in ``STEP``."""

    seconds: list[float]
    products: float
    targets: int
    sessions: int
    steps: int


def _time_steps(
    model: LearnedModel,
    batches: Iterable[SessionBatch],
    product_seconds: Callable[[SessionBatch, int], float],
    tick: Callable[[], object] = lambda: None,
) -> _Steps:
    """Time training steps by their parts; ``product_seconds`` times the products of a batch."""
    optimizer = RowAdam(model.parameters(), lr=2e-4, fused=True)
    model.train()
    durations: list[list[float]] = []
    products, targets, sessions = 0.0, 0, 0
    for step, batch in enumerate(batches):
        moments = [clock()]
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(batch).total
        moments.append(clock())
        loss.backward()  # type: ignore[no-untyped-call]
        moments.append(clock())
        optimizer.step()
        moments.append(clock())
        model.after_step()
        moments.append(clock())
        if step >= WARM_UP:
            n = int((batch.targets != PAD).sum())
            durations.append(np.diff(moments).tolist())
            # after each step, so that both are timed under the same load of the machine
            products += product_seconds(batch, n)
            targets, sessions = targets + n, sessions + len(batch.items)
            tick()
    seconds = np.sum(durations, axis=0).tolist()
    return _Steps(seconds, products, targets, sessions, len(durations))


def _training(model: ProxySR, config: BenchConfig, tick: Callable[[], object]) -> dict[str, Any]:
    batches = _batches(model, config, config.batch_size * (config.steps + WARM_UP))

    def products(batch: SessionBatch, n_targets: int) -> float:
        return _product_seconds(model.items, n_targets + len(batch.items))

    timed = _time_steps(model, batches.epoch(0), products, tick)
    flops = 2 * (timed.targets + timed.sessions) * config.embedding_dim * (config.n_items + 1)
    total = sum(timed.seconds)
    ms = {part: 1e3 * s / timed.steps for part, s in zip(STEP, timed.seconds, strict=True)}
    return {
        "sessions_per_second": timed.sessions / total,
        "products_alone": timed.sessions / timed.products,
        "share_of_products": timed.products / total,
        "gflops_of_products": flops / timed.products / 1e9,
        "positions_per_step": timed.targets / timed.steps,
        "step_ms": ms | {"products alone": 1e3 * timed.products / timed.steps},
    }


def _batches(model: ProxySR, config: BenchConfig, n_sessions: int) -> TrainingBatches:
    return TrainingBatches(
        _sessions(config, n_sessions), task="unseen", min_prefix=MIN_PREFIX,
        max_length=model.max_length, batch_size=min(config.batch_size, n_sessions),
        seed=config.seed, device="cpu",
    )  # fmt: skip


def _evaluation(model: ProxySR, config: BenchConfig) -> dict[str, Any]:
    sessions = _sessions(config, config.eval_sessions)
    evaluate(model, sessions.select(np.arange(min(20, len(sessions)))), min_prefix=MIN_PREFIX)
    rows, total, products, n_prefixes = rows_together(config.n_items), 0.0, 0.0, 0
    # part by part, so that both are timed under the same load of the machine
    for part in np.array_split(np.arange(len(sessions)), min(PARTS, len(sessions))):
        started = clock()
        n = evaluate(model, sessions.select(part), min_prefix=MIN_PREFIX).n_targets
        total += clock() - started
        chunks = [min(rows, n - i) for i in range(0, n, rows)]
        products += sum(_product_seconds(model.items, 2 * chunk) for chunk in chunks)
        n_prefixes += n
    return {
        "prefixes_per_second": n_prefixes / total,
        "products_alone": n_prefixes / products,
        "share_of_products": products / total,
        "prefixes": n_prefixes,
    }


def _one_session(model: ProxySR, config: BenchConfig) -> dict[str, float]:
    """Median and 95th percentile of the time that a single session waits, in ms."""
    ids = pd.DataFrame({"item_id": [str(item) for item in range(1, config.n_items + 1)]})
    recommender = Recommender(model, ids)
    sessions = _sessions(config, config.single_sessions + 5)
    durations = []
    for row in range(len(sessions)):
        clicks = sessions[row].tolist()
        started = clock()
        recommender.recommend(clicks)
        durations.append(1e3 * (clock() - started))
    median, late = np.percentile(durations[5:], [50, 95])
    return {"median": float(median), "p95": float(late)}


def _predicted(
    model: ProxySR, config: BenchConfig, machine: Machine, targets: float, prefixes: int
) -> dict[str, float]:
    """What :mod:`proxysr.costs` says of the same, in ms."""
    sizes = Sizes(
        n_items=config.n_items, embedding_dim=config.embedding_dim, n_proxies=config.n_proxies,
        sessions=config.batch_size, targets=targets, length=MEAN_LENGTH,
        n_negatives=min(model.config.n_negatives, config.n_items),
    )  # fmt: skip
    a_part = max(1, prefixes // min(PARTS, config.eval_sessions))
    together = sizes.replace(sessions=min(rows_together(config.n_items), a_part))
    seconds = {name: machine.seconds(work) for name, work in training_step(sizes).items()}
    seconds["ranking a prefix"] = machine.seconds(ranking(together)) / together.sessions
    seconds["one session"] = machine.seconds(one_session(sizes))
    return {name: 1e3 * s for name, s in seconds.items()}


def measured_ms(result: dict[str, Any]) -> dict[str, float]:
    """What stands against ``predicted_ms`` in a result of :func:`bench`."""
    step: dict[str, float] = result["step_ms"]
    return step | {
        "ranking a prefix": 1e3 / result["evaluation"]["prefixes_per_second"],
        "one session": result["one_session_ms"]["median"],
    }


def rows_together(n_items: int) -> int:
    """Prefixes that are ranked together on the CPU."""
    return max(FEWEST_ROWS, CPU_MEMORY // (4 * (n_items + 1)))


@torch.inference_mode()
def _product_seconds(items: Tensor, rows: int, *, gradients: bool = False) -> float:
    """Time of the products of ``rows`` vectors with the item table, in tiles as large as the cache.

    With ``gradients``, also of those that bring the gradient back to both.
    """
    vectors, tile = torch.randn(rows, items.shape[1]), torch.zeros(rows, TILE)
    for_vectors = torch.zeros_like(vectors)
    for_items = torch.zeros_like(items) if gradients else items
    started = clock()
    for part, gradient in zip(torch.split(items, TILE), torch.split(for_items, TILE), strict=True):
        scores = tile[:, : len(part)]
        torch.mm(vectors, part.T, out=scores)
        if gradients:
            for_vectors.addmm_(scores, part)
            torch.mm(scores.T, vectors, out=gradient)
    return clock() - started


def _literal(
    model: ProxySR, config: BenchConfig, training: dict[str, Any], evaluation: dict[str, Any]
) -> None:
    """Add the rates of the literal implementation."""
    batch = next(_batches(model, config, config.literal_sessions).epoch(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    started = clock()
    optimizer.zero_grad()
    literal_loss(model, batch).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    model.after_step()
    seconds = clock() - started
    training["literal"] = len(batch.items) / seconds
    training["speedup_over_literal"] = training["sessions_per_second"] / training["literal"]
    started = clock()
    with torch.no_grad():
        pairs = _literal_distances(model, batch)
        _ = [(distances[1:] < distances[target]).sum() for distances, target in pairs]
    evaluation["literal"] = len(pairs) / (clock() - started)
    evaluation["speedup_over_literal"] = evaluation["prefixes_per_second"] / evaluation["literal"]


def literal_loss(model: ProxySR, batch: SessionBatch) -> Tensor:
    """The loss with the authors' settings, one position after the other, all items in the graph."""
    c = model.config
    losses = []
    for distances, target in _literal_distances(model, batch):
        terms = (c.margin + distances[target] - distances[1:]).relu()
        hardest = terms.topk(min(c.n_negatives, model.n_items)).values
        losses.append(hardest.mean() + c.lambda_dist * distances[target])
    return torch.stack(losses).mean()


def _literal_distances(model: ProxySR, batch: SessionBatch) -> list[tuple[Tensor, Tensor]]:
    """Distances (V,) by equation 7, and the target, of every position that has one."""
    chosen = model.select(batch)
    sessions, columns = (batch.targets != PAD).nonzero(as_tuple=True)
    short_term = model.short_term(batch, (sessions, columns))
    targets = batch.targets[sessions, columns]
    pairs = []
    for row, target, s in zip(sessions, targets, short_term, strict=True):
        v = chosen.normal[row]
        items = model.items - (model.items @ v)[:, None] * v
        query = chosen.proxy[row] + s - (s @ v) * v
        pairs.append(((query - items).square().sum(dim=1), target))
    return pairs


def peak_memory_gb() -> float:
    """Most memory that this process has had so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def bench_models(
    names: str, data: str | Path, config: BenchConfig, *, progress: bool = True
) -> dict[str, Any]:
    """Time training steps of models on the CPU, all with the same sessions.

    Parameters
    ----------
    names : str
        "all", or names of models that learn, between commas. Settings other than
        ``embedding_dim`` are their defaults.
    data : path
        A folder that ``proxysr prepare`` wrote.
    config : BenchConfig
        Its ``embedding_dim``, ``batch_size``, ``steps`` and ``seed`` count.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    dict
        ``settings``, and by name of the model in ``models``: ``targets_per_second``,
        ``products_alone`` (the same of the products), ``share_of_products`` and ``step_ms``.
    """
    chosen = [*filter(learns, MODELS)] if names == "all" else [n.strip() for n in names.split(",")]
    for name in chosen:
        if not learns(name):
            raise ConfigError(f"Model {name!r} only counts: it has no training steps to time.")
    split = SessionSplit.load(data)
    settings = config.model_dump(include={"embedding_dim", "batch_size", "steps", "seed"})
    items = torch.randn(split.n_items + 1, config.embedding_dim)
    rates = {}
    for name in tqdm(chosen, desc="bench", leave=False, disable=not progress):
        has_size = "embedding_dim" in model_class(name).Config.model_fields
        sized = {"embedding_dim": config.embedding_dim} if has_size else {}
        model = cast(LearnedModel, create(name, split.n_items, sized, seed=config.seed))
        model.prepare(split.train)
        batches = model.batches(
            split.train, task="unseen", min_prefix=1, max_length=model.max_length,
            batch_size=config.batch_size, seed=config.seed, device="cpu",
        )  # fmt: skip
        require(
            len(batches) > WARM_UP,
            f"{len(batches)} batches are too few to time a step: {WARM_UP} are for warming up.",
        )
        model.start_epoch(0)
        timed = _time_steps(
            model,
            islice(batches.epoch(0), config.steps + WARM_UP),
            lambda _, n_targets: _product_seconds(items, n_targets, gradients=True),
        )
        total = sum(timed.seconds)
        rates[name] = {
            "targets_per_second": timed.targets / total,
            "products_alone": timed.targets / timed.products,
            "share_of_products": timed.products / total,
            "step_ms": 1e3 * total / timed.steps,
        }
    about = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    about |= {"data": str(data), "n_items": split.n_items}
    return {"settings": about | settings, "models": rates}
