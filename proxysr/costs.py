"""A cost model of ProxySR: operations, bytes and time, from the sizes of a problem.

A machine has four rates (:class:`Machine`), measured by :func:`measure`; work is counted in the
same four units (:class:`Work`), and nothing overlaps:

    seconds = flops / gemm + bytes / memory + picked / selection + calls * overhead

``flops`` are those of matrix products; other passes over arrays are counted by the bytes that they
read and write, searches for the largest numbers by the numbers that they read, and ``calls`` are
PyTorch operations of any size. The counts follow from the equations and their implementation
(:mod:`proxysr.kernels.hyperplane`, :mod:`proxysr.kernels.hinge`); they are not fitted to
measurements, and the cache is ignored.

The memory of training is estimated for any model (:func:`training_bytes`), so that a training that
does not fit is refused before it starts.

The floor is the time of the matrix products with the item table, which every implementation of the
distances needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from proxysr.config import AtLeastOne, ConfigError, Count, Settings
from proxysr.kernels.hyperplane import largest
from proxysr.kernels.sizes import BLOCK, KEPT, TILE
from proxysr.memory_limit import available_memory, require_memory
from proxysr.models.base import LearnedModel, SessionModel

FLOAT = 4
"""Bytes of a number."""
ADAM = 7
"""Numbers that Adam reads (4) and writes (3) for a parameter."""
BACKWARD = 2
"""Matrix products for the gradient of a product."""
LARGEST = 2**63
"""Bytes that PyTorch cannot count any more."""
FORWARD_CALLS, BACKWARD_CALLS, UPDATE_CALLS, TILE_CALLS = 150, 250, 30, 10
"""PyTorch operations: of a step or batch, and of a tile of items."""


class Sizes(Settings):
    """Sizes that the costs of a step depend on; defaults: Diginetica and the authors' settings."""

    n_items: Count = 34_000
    """Items N."""
    embedding_dim: Count = 128
    """Embedding size d."""
    n_proxies: Count = 300
    """Proxies K."""
    sessions: Count = 64
    """Sessions B of a batch; in evaluation, prefixes of a batch."""
    targets: AtLeastOne = 256
    """Targets R of a batch in training."""
    length: AtLeastOne = 7
    """Clicks of a session."""
    n_negatives: Count = 100
    """Hardest negatives of a target."""


@dataclass(frozen=True)
class Work:
    """Amounts of work, in the four units of :class:`Machine`.

    >>> Work(flops=2e9, bytes=1e9) + Work(flops=1e9, calls=3)
    Work(flops=3000000000.0, bytes=1000000000.0, picked=0, calls=3)
    """

    flops: float = 0
    bytes: float = 0
    picked: float = 0
    calls: float = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops,
            self.bytes + other.bytes,
            self.picked + other.picked,
            self.calls + other.calls,
        )


@dataclass(frozen=True)
class Machine:
    """Rates of a machine.

    Attributes
    ----------
    gemm : float
        Operations of matrix products, 1/s.
    memory : float
        Bytes read and written of arrays that are far larger than the cache, 1/s.
    selection : float
        Numbers among which the largest are searched, 1/s.
    overhead : float
        Seconds of a tiny operation.
    """

    gemm: float
    memory: float
    selection: float
    overhead: float

    def seconds(self, work: Work) -> float:
        """Time that the work takes.

        >>> Machine(1e9, 1e9, 1e8, 1e-6).seconds(Work(flops=2e9, bytes=1e9, calls=1000))
        3.001
        """
        return sum(self.by_unit(work).values())

    def by_unit(self, work: Work) -> dict[str, float]:
        """The same seconds by unit.

        >>> Machine(1e9, 1e9, 1e8, 1e-6).by_unit(Work(flops=2e9, bytes=1e9, calls=1000))
        {'products': 2.0, 'memory': 1.0, 'search': 0.0, 'calls': 0.001}
        """
        return {
            "products": work.flops / self.gemm,
            "memory": work.bytes / self.memory,
            "search": work.picked / self.selection,
            "calls": work.calls * self.overhead,
        }


# -- work of ProxySR ------------------------------------------------------------------------------


def products(rows: float, s: Sizes) -> Work:
    """The product of ``rows`` vectors with the item table: the floor."""
    return Work(flops=2 * rows * (s.n_items + 1) * s.embedding_dim)


def training_step(s: Sizes) -> dict[str, Work]:
    """Work of the parts of a step, by their names in ``proxysr bench``."""
    d, k, n = s.embedding_dim, s.n_negatives + 1, s.n_items + 1
    scores, table = s.targets * n * FLOAT, n * d * FLOAT
    parameters = table + 3 * s.n_proxies * d * FLOAT
    gathered = s.targets * k * d * FLOAT
    encoder = _encoder_flops(s)
    looked_through = n / BLOCK + BLOCK * k  # of each target: Closeness.top
    return {
        "forward and search": products(s.targets + s.sessions, s)
        + Work(
            flops=encoder,
            # lengths and products read the items; offsets, products and maxima pass over the
            # closeness: written, read and written, read
            bytes=2 * table + 4 * scores + 3 * s.sessions * n * FLOAT,
            picked=s.targets * looked_through,
            calls=FORWARD_CALLS + TILE_CALLS * n / TILE,
        ),
        "backward": Work(
            flops=BACKWARD * encoder,
            # the table's gradient is filled, and the items themselves added by their norms; the
            # rows of negatives are gathered for points and for normals, and these for the items
            bytes=5 * table + 4 * gathered,
            picked=s.targets * k,  # sorted by item
            calls=BACKWARD_CALLS,
        ),
        "optimizer": Work(bytes=ADAM * parameters, calls=UPDATE_CALLS),
        "constraints": Work(bytes=parameters, calls=UPDATE_CALLS),
    }


def ranking(s: Sizes) -> Work:
    """Work of ranking the targets of ``sessions`` prefixes that are scored together."""
    n = s.n_items + 1
    scores, table = s.sessions * n * FLOAT, n * s.embedding_dim * FLOAT
    return products(2 * s.sessions, s) + Work(
        flops=_encoder_flops(s.replace(targets=s.sessions)),
        # a tile of closeness is finished in the cache and written; when all are there, each is read
        # for whether it is finite, and for the two comparisons
        bytes=2 * table + 3 * scores,
        calls=FORWARD_CALLS + TILE_CALLS * n / TILE,
    )


def one_session(s: Sizes) -> Work:
    """Work of a recommendation for one session."""
    n = s.n_items + 1
    alone = s.replace(sessions=1, targets=1)
    return Work(
        flops=_encoder_flops(alone),
        bytes=2 * n * s.embedding_dim * FLOAT + 12 * n * FLOAT,
        picked=n,
        calls=FORWARD_CALLS,
    )


def _encoder_flops(s: Sizes) -> float:
    """Selector, keys, queries and attention of each click; two layers after it of each target."""
    d = s.embedding_dim
    each_click = s.sessions * s.length * d * (3 * d + 2 * s.length)
    each_session = s.sessions * d * 3 * s.n_proxies
    each_target = s.targets * 2 * d * d
    return 2 * (each_click + each_session + each_target)


# -- memory ----------------------------------------------------------------------------------------


def table_bytes(model: type[SessionModel], n_items: int, settings: Settings) -> tuple[float, float]:
    """Bytes of a model's parameters and of its buffers, without allocating them.

    Both are linear in the number of items, so two small models are enough.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            (a, b), (c, d) = (sizes_of(model(n, settings)) for n in (2, 3))
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        return LARGEST, 0
    return a + (n_items - 2) * (c - a), b + (n_items - 2) * (d - b)


def sizes_of(model: SessionModel) -> tuple[float, float]:
    """Bytes of the parameters and of the buffers of a model."""
    parameters, buffers = (
        sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        for tensors in (model.parameters(), model.buffers())
    )
    return parameters, buffers


def training_bytes(
    tables: tuple[float, float],
    n_items: int,
    settings: Settings,
    *,
    batch_size: int,
    longest: int,
    snapshots: int = 1,
) -> float:
    """A lower bound of the bytes that training needs.

    It counts the weights, their gradient (except sparse ones), the two moments of Adam and the
    snapshots of weights; and for the largest batch, activations kept for the backward pass and a
    tile of scores.

    Parameters
    ----------
    tables : (float, float)
        Result of :func:`table_bytes`.
    n_items : int
    settings : Settings
        Of the model.
    batch_size : int
        Sessions of a step.
    longest : int
        Clicks of the longest training session.
    snapshots : int
        Copies of the weights in memory.
    """
    drawn = getattr(settings, "sampled_negatives", 0)
    length = min(longest, getattr(settings, "max_length", longest))
    d, k = getattr(settings, "embedding_dim", 1), getattr(settings, "n_proxies", 0) or 0
    clicks = batch_size * length
    copies = 3 if drawn else 4  # weights, two moments, gradient
    return (
        copies * tables[0]
        + tables[1]
        + snapshots * sum(tables)
        + FLOAT * clicks * (4 * (d + k) + length)
        + min(KEPT, FLOAT * clicks * min(n_items, drawn or n_items))
    )


def check_training_memory(
    model: type[SessionModel],
    n_items: int,
    settings: Settings,
    *,
    batch_size: int,
    longest: int,
    snapshots: int = 1,
    tables: tuple[float, float] | None = None,
) -> None:
    """Raise ``ConfigError`` if training needs more memory than available; names settings that fit.

    Parameters are those of :func:`training_bytes`.
    """
    available = available_memory()
    if available is None or not issubclass(model, LearnedModel):
        return

    def needed(
        settings: Settings, batch_size: int, tables: tuple[float, float] | None = None
    ) -> float:
        tables = tables or table_bytes(model, n_items, settings)
        sizes = {"batch_size": batch_size, "longest": longest, "snapshots": snapshots}
        return training_bytes(tables, n_items, settings, **sizes)

    def fits(name: str, value: int) -> bool:
        try:
            if name == "batch_size":
                return needed(settings, value) <= available
            return needed(settings.replace(**{name: value}), batch_size) <= available
        except ConfigError:  # the model refuses such a value
            return False

    total = needed(settings, batch_size, tables)
    if total <= available:
        return
    values = settings.to_dict() | {"batch_size": batch_size}
    options = []
    for name in ("embedding_dim", "n_proxies", "max_length", "batch_size"):
        smaller = (value for n in range(1, 63) if (value := (values.get(name) or 0) >> n))
        options += [f"{name}={value}" for value in smaller if fits(name, value)][:1]
    drawn = min(8192, n_items // 2)
    if values.get("sampled_negatives") == 0 and fits("sampled_negatives", drawn):
        options.append(f"sampled_negatives={drawn}")
    advice = f"What would fit: {' or '.join(options)}."
    if not options:
        advice = (
            "No smaller embedding_dim, n_proxies, max_length or batch_size alone would fit: make "
            "several of them smaller, or prepare the data without rare items."
        )
    require_memory(f"Training {model.__name__} on {n_items:,} items", total, advice, available)


# -- rates of a machine ----------------------------------------------------------------------------


def clock() -> float:
    """Seconds of CPU time if PyTorch has one thread, else of wall time.

    CPU time excludes other programs.
    """
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def measure(*, embedding_dim: int = 128, rows: int = 320, seconds: float = 0.1) -> Machine:
    """Measure the rates of this machine with PyTorch's number of threads.

    The rate of products depends on their inner size, which is ``embedding_dim``.

    Parameters
    ----------
    embedding_dim, rows : int
        Shape of the vectors that are multiplied with a tile of items.
    seconds : float
        Time for each rate.
    """
    left, right = torch.randn(rows, embedding_dim), torch.randn(TILE, embedding_dim)
    out = torch.empty(rows, TILE)
    large, tiny = torch.zeros(2**25), torch.zeros(1)
    with torch.inference_mode():
        gemm = _rate(lambda: torch.mm(left, right.T, out=out), seconds)
        memory = _rate(lambda: torch.add(large, 1, out=large), seconds)
        selection = _rate(lambda: largest(out, 100), seconds)
        calls = _rate(lambda: torch.add(tiny, 1, out=tiny), seconds)
    return Machine(
        gemm=gemm * 2 * rows * TILE * embedding_dim,
        memory=memory * 2 * large.numel() * FLOAT,
        selection=selection * out.numel(),
        overhead=1 / calls,
    )


def _rate(do: Callable[[], object], seconds: float) -> float:
    """Calls of ``do`` a second, from the 25 % quantile of their durations."""
    do()
    durations: list[float] = []
    end = clock() + seconds
    while (started := clock()) < end or len(durations) < 3:
        do()
        durations.append(clock() - started)
    return 1 / float(torch.tensor(durations, dtype=torch.float64).quantile(0.25))
