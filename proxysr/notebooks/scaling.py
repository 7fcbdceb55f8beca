"""Costs over sizes: predicted and measured, or only predicted for sizes too large to run."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from proxysr.bench import BenchConfig, bench, measured_ms, rows_together
from proxysr.config import require
from proxysr.costs import FLOAT, Machine, Sizes, one_session, ranking, training_step
from proxysr.experiments.spec import numbers_in

WHOLE = ("training step", "ranking a prefix", "one session")
"""Parts that have a floor; the others are parts of the first."""


def sweep(
    *,
    n_items: str,
    embedding_dims: str,
    batch_sizes: str,
    n_proxies: int = 300,
    steps: int = 10,
    eval_sessions: int = 100,
    single_sessions: int = 30,
    progress: bool = True,
) -> pd.DataFrame:
    """Time every combination of sizes, as ``proxysr bench`` does.

    Parameters
    ----------
    n_items, embedding_dims, batch_sizes : str
        Whole numbers between commas.
    n_proxies, steps, eval_sessions, single_sessions : int
        As in :class:`~proxysr.bench.BenchConfig`.
    progress : bool
        Show a bar over the combinations.

    Returns
    -------
    DataFrame
        ``n_items``, ``embedding_dim``, ``n_proxies``, ``batch_size``; ``part``; ``predicted_ms``,
        ``measured_ms``; ``floor_ms``, the products with the item table alone, missing for parts of
        a step, and for one session the time to read the items once at the rate of memory; and
        ``cpu_share``, the share of the time in which PyTorch's threads had a processor: below 1,
        they waited for each other or for other programs. Times are those of
        :func:`proxysr.costs.clock`.

    Raises
    ------
    ConfigError
        If a size is missing or out of range.
    """
    lists = [numbers_in(text) for text in (n_items, embedding_dims, batch_sizes)]
    require(all(lists), "At least one number each is needed of n_items, embedding_dims, "
            "batch_sizes.")  # fmt: skip
    configs = [
        BenchConfig(
            n_items=n, embedding_dim=d, batch_size=b, n_proxies=n_proxies, steps=steps,
            eval_sessions=eval_sessions, single_sessions=single_sessions, literal_sessions=0,
        )
        for n, d, b in itertools.product(*lists)
    ]  # fmt: skip
    return pd.concat(
        [_timed(config) for config in tqdm(configs, desc="sizes", disable=not progress)],
        ignore_index=True,
    )


def _timed(config: BenchConfig) -> pd.DataFrame:
    wall, cpu = time.perf_counter(), time.process_time()
    result = bench(config, progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    predicted, measured = dict(result["predicted_ms"]), measured_ms(result)
    products = measured.pop("products alone")
    step = [name for name in measured if name not in WHOLE]
    for times in (predicted, measured):
        times["training step"] = sum(times[name] for name in step)
    table = (config.n_items + 1) * config.embedding_dim * FLOAT / 1e9
    floor = {
        "training step": products,
        "ranking a prefix": 1e3 / result["evaluation"]["products_alone"],
        "one session": 1e3 * table / result["machine"]["memory_gb_per_second"],
    }
    return pd.DataFrame(
        {
            "n_items": config.n_items,
            "embedding_dim": config.embedding_dim,
            "n_proxies": config.n_proxies,
            "batch_size": config.batch_size,
            "part": part,
            "predicted_ms": predicted[part],
            "measured_ms": measured[part],
            "floor_ms": floor.get(part),
            "cpu_share": cpu / wall / torch.get_num_threads(),
        }
        for part in [*WHOLE[:1], *step, *WHOLE[1:]]
    ).astype({"floor_ms": float})


def forecast(sizes: Iterable[Sizes], machines: Mapping[str, Machine]) -> pd.DataFrame:
    """Predictions of the cost model for sizes and machines.

    Parameters
    ----------
    sizes : iterable of Sizes
    machines : mapping
        Name to rates.

    Returns
    -------
    DataFrame
        ``n_items``, ``embedding_dim``, ``n_proxies``, ``sessions``; ``machine``; ``part``, one of
        ``WHOLE``; ``predicted_ms``; the shares in it of ``products``, ``memory``, ``search`` and
        ``calls``; ``bound``, the largest of them.
    """
    rows = []
    for s, (name, machine) in itertools.product(sizes, machines.items()):
        batch = s.replace(sessions=rows_together(s.n_items))
        works = [
            (reduce(add, training_step(s).values()), 1),
            (ranking(batch), batch.sessions),
            (one_session(s), 1),
        ]
        for part, (work, n) in zip(WHOLE, works, strict=True):
            seconds = machine.by_unit(work)
            total = sum(seconds.values())
            rows.append(
                {key: getattr(s, key) for key in _SIZES}
                | {"machine": name, "part": part, "predicted_ms": 1e3 * total / n}
                | {unit: spent / total for unit, spent in seconds.items()}
                | {"bound": max(seconds, key=seconds.__getitem__)}
            )
    return pd.DataFrame(rows)


def growth_exponents(table: pd.DataFrame) -> dict[str, float | None]:
    """By part, the power of the items that its time grows with; None of a single size.

    Parameters
    ----------
    table : DataFrame
        ``part``, ``n_items`` and ``ms``.
    """
    return {
        str(part): float(np.polyfit(np.log(rows["n_items"]), np.log(rows["ms"]), 1)[0])
        if rows["n_items"].nunique() > 1
        else None
        for part, rows in table.groupby("part", sort=False)
    }


_SIZES = ("n_items", "embedding_dim", "n_proxies", "sessions")


def rates_table(machines: Mapping[str, Machine]) -> pd.DataFrame:
    """Rates of machines in units to read, a column each."""
    return pd.DataFrame(
        {
            name: {
                "matrix products, GFLOP/s": m.gemm / 1e9,
                "memory, GB/s": m.memory / 1e9,
                "search, million numbers/s": m.selection / 1e6,
                "a call, µs": m.overhead * 1e6,
            }
            for name, m in machines.items()
        }
    )
