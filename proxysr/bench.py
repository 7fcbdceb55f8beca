"""How fast, as shares of what this machine's matrix products allow, in one run.

Three things are timed on the same random sessions: the model as it is trained and
evaluated here; a literal implementation that walks through sessions and positions one by
one with the whole item table, as the equations are written; and the matrix products
that no implementation of the distances can do without, alone, in tiles that stay in the cache.
Beside them stands what :mod:`proxysr.costs` predicts from the sizes and the rates of the machine.
If PyTorch has one thread, all are times of the processor, so that other programs do not count.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from proxysr.config import Count, Settings, Whole
from proxysr.costs import Machine, Sizes, clock, measure, one_session, ranking, training_step
from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.data.sessions import PAD, Sessions
from proxysr.evaluation import CPU_MEMORY, FEWEST_ROWS, evaluate
from proxysr.kernels.sizes import TILE
from proxysr.models import ProxySR
from proxysr.optimizer import RowAdam
from proxysr.recommender import Recommender

MIN_PREFIX = 3
MEAN_LENGTH = 7
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
    model = ProxySR(
        config.n_items,
        ProxySR.Config(
            embedding_dim=config.embedding_dim, n_proxies=config.n_proxies, n_negatives=100
        ),
    )
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
    step_ms = training.pop("step_ms")
    machine = measure(embedding_dim=config.embedding_dim)
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
        "training": training,
        "step_ms": step_ms,
        "one_session_ms": waiting,
        "predicted_ms": _predicted(
            model, config, machine, training["positions_per_step"], evaluation["prefixes"]
        ),
        "evaluation": evaluation,
        "peak_memory_gb": peak,
    }


def _sessions(config: BenchConfig, n: int) -> Sessions:
    """Sessions of at least MIN_PREFIX + 1 clicks, items drawn with a popularity skew."""
    rng = np.random.default_rng(config.seed)
    lengths = MIN_PREFIX + rng.geometric(1 / (MEAN_LENGTH - MIN_PREFIX), size=n)
    skewed = rng.random(int(lengths.sum())) ** 3 * config.n_items
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return Sessions(
        items=(1 + skewed).astype(np.int32),
        offsets=bounds,
        session_ids=np.arange(n),
        user_index=np.full(n, -1, np.int32),
        started_at=np.full(n, np.nan),
    )


def _training(model: ProxySR, config: BenchConfig, tick: Callable[[], object]) -> dict[str, Any]:
    warm_up = 3
    batches = TrainingBatches(
        _sessions(config, config.batch_size * (config.steps + warm_up)),
        task="unseen", min_prefix=MIN_PREFIX, max_length=model.max_length,
        batch_size=config.batch_size, seed=config.seed, device="cpu",
    )  # fmt: skip
    optimizer = RowAdam(model.parameters(), lr=2e-4, fused=True)
    model.train()
    spent: dict[str, float] = {}
    products, positions, sessions = 0.0, 0, 0
    for step, batch in enumerate(batches.epoch(0)):
        watch = _Clock()
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(batch)
        watch.stop("forward and search")
        loss.total.backward()  # type: ignore[no-untyped-call]
        watch.stop("backward")
        optimizer.step()
        watch.stop("optimizer")
        model.after_step()
        watch.stop("constraints")
        if step >= warm_up:
            rows = int((batch.targets != PAD).sum())
            products += _product_seconds(model, rows + len(batch.items))
            spent = {name: spent.get(name, 0) + s for name, s in watch.seconds.items()}
            positions, sessions = positions + rows, sessions + len(batch.items)
            tick()
    total, steps = sum(spent.values()), len(batches) - warm_up
    flops = 2 * (positions + sessions) * config.embedding_dim * (config.n_items + 1)
    return {
        "sessions_per_second": sessions / total,
        "products_alone": sessions / products,
        "share_of_products": products / total,
        "gflops_of_products": flops / products / 1e9,
        "positions_per_step": positions / steps,
        "step_ms": {name: 1e3 * s / steps for name, s in spent.items()}
        | {"products alone": 1e3 * products / steps},
    }


def _evaluation(model: ProxySR, config: BenchConfig) -> dict[str, Any]:
    sessions = _sessions(config, config.eval_sessions)
    evaluate(model, sessions.select(np.arange(min(20, len(sessions)))), min_prefix=MIN_PREFIX)
    rows = rows_together(config.n_items)
    total, products, n_prefixes = 0.0, 0.0, 0
    # part by part, so that both are timed under the same load of the machine
    for part in np.array_split(np.arange(len(sessions)), min(PARTS, len(sessions))):
        started = clock()
        n = evaluate(model, sessions.select(part), min_prefix=MIN_PREFIX).n_targets
        total += clock() - started
        chunks = [min(rows, n - i) for i in range(0, n, rows)]
        products += sum(_product_seconds(model, 2 * chunk) for chunk in chunks)
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
        clicks = sessions.items[sessions.offsets[row] : sessions.offsets[row + 1]].tolist()
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
        n_items=config.n_items,
        embedding_dim=config.embedding_dim,
        n_proxies=config.n_proxies,
        sessions=config.batch_size,
        targets=targets,
        length=MEAN_LENGTH,
        n_negatives=min(model.config.n_negatives, config.n_items),
    )
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


def _product_seconds(model: ProxySR, rows: int) -> float:
    """Time of one product of ``rows`` vectors with the item table."""
    left, tile = torch.randn(rows, model.config.embedding_dim), torch.zeros(rows, TILE)
    with torch.inference_mode():
        started = clock()
        for some in torch.split(model.items, TILE):
            torch.mm(left, some.T, out=tile[:, : len(some)])
        return clock() - started


def _literal(
    model: ProxySR, config: BenchConfig, training: dict[str, Any], evaluation: dict[str, Any]
) -> None:
    """Add the rates of the literal implementation."""
    batches = TrainingBatches(
        _sessions(config, config.literal_sessions),
        task="unseen", min_prefix=MIN_PREFIX, max_length=model.max_length,
        batch_size=config.literal_sessions, seed=config.seed, device="cpu",
    )  # fmt: skip
    batch = next(batches.epoch(0))
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
    n_prefixes = 0
    with torch.no_grad():
        for distances, targets in _literal_distances(model, batch):
            _ = (distances[1:] < distances[targets]).sum()
            n_prefixes += 1
    evaluation["literal"] = n_prefixes / (clock() - started)
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
    found = []
    for row, target, s in zip(sessions, targets, short_term, strict=True):
        v = chosen.normal[row]
        items = model.items - (model.items @ v)[:, None] * v
        query = chosen.proxy[row] + s - (s @ v) * v
        found.append(((query - items).square().sum(dim=1), target))
    return found


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = clock()

    def stop(self, name: str) -> None:
        now = clock()
        self.seconds[name], self.last = now - self.last, now


def peak_memory_gb() -> float:
    """Most memory that this process has had so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def format_report(result: dict[str, Any]) -> str:
    """The result as a few lines to read."""
    settings, training, evaluation = (result[k] for k in ("settings", "training", "evaluation"))
    lines = [
        f"N = {settings['n_items']:,} items, d = {settings['embedding_dim']}, "
        f"K = {settings['n_proxies']}, batch {settings['batch_size']}; "
        f"{result['machine']['threads']} threads, torch {result['machine']['torch']}",
        "",
        f"{'':34}{'training':>14}{'evaluation':>14}",
        f"{'':34}{'sessions/s':>14}{'prefixes/s':>14}",
    ]
    rows = [
        ("matrix products alone", "products_alone", "products_alone", ",.0f"),
        ("proxysr", "sessions_per_second", "prefixes_per_second", ",.0f"),
        ("  as a share of the products", "share_of_products", "share_of_products", ".0%"),
        ("literal, one session at a time", "literal", "literal", ",.1f"),
        ("  proxysr against literal", "speedup_over_literal", "speedup_over_literal", ",.0f"),
    ]
    for label, left, right, style in rows:
        if left in training:
            values = (format(training[left], style), format(evaluation[right], style))
            lines.append(f"{label:34}{values[0]:>14}{values[1]:>14}")
    machine, step = result["machine"], f"a step of {training['positions_per_step']:.0f} targets"
    measured = measured_ms(result)
    lines += ["", f"{step + ', ms':34}{'predicted':>14}{'measured':>14}"]
    for name, ms in result["predicted_ms"].items():
        lines.append(f"  {name:32}{ms:>14.2f}{measured[name]:>14.2f}")
    lines += [
        "",
        f"One session in 20 waits for more than {result['one_session_ms']['p95']:.1f} ms. "
        f"Products ran at {training['gflops_of_products']:.0f} GFLOP/s, memory at "
        f"{machine['memory_gb_per_second']:.0f} GB/s; "
        f"peak memory {result['peak_memory_gb']:.1f} GB.",
    ]
    return "\n".join(lines)
