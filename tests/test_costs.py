"""Costs are those of the model: products as PyTorch counts them, bytes as tables have them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from proxysr.config import ConfigError
from proxysr.costs import (
    Machine,
    Sizes,
    Work,
    measure,
    one_session,
    products,
    ranking,
    training_step,
)
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models import ProxySR

N_ITEMS, DIM, PROXIES, LENGTH = 3000, 24, 40, 8


def model() -> ProxySR:
    torch.manual_seed(0)
    return ProxySR(N_ITEMS, ProxySR.Config(embedding_dim=DIM, n_proxies=PROXIES, n_negatives=10))


def batch(n: int) -> SessionBatch:
    items = torch.randint(1, N_ITEMS + 1, (n, LENGTH + 1))
    lengths = torch.full((n,), LENGTH)
    return SessionBatch(items[:, :-1], lengths, items[:, 1:])


def flops_in_place(out: list[int], left: list[int], right: list[int], **_: object) -> int:
    """Of ``out.addmm_(left, right)``, which PyTorch counts only into new memory."""
    return 2 * left[0] * left[1] * right[1]


def counted(work: Callable[[], object]) -> float:
    in_place = {torch.ops.aten.addmm_: flops_in_place}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        work()
    return float(counter.get_total_flops())


def sizes(n: int) -> Sizes:
    return Sizes(
        n_items=N_ITEMS, embedding_dim=DIM, n_proxies=PROXIES, n_negatives=10,
        sessions=n, targets=n * LENGTH, length=LENGTH,
    )  # fmt: skip


@pytest.mark.parametrize("n", [4, 16])
def test_products_of_a_step_are_those_that_pytorch_counts(n: int) -> None:
    given, some = model(), batch(n)
    forward = counted(lambda: given.loss(some))
    parts = training_step(sizes(n))
    assert forward == pytest.approx(parts["forward and search"].flops, rel=0.05)
    loss = given.loss(some).total
    backward = counted(lambda: loss.backward())  # type: ignore[no-untyped-call]
    assert backward == pytest.approx(parts["backward"].flops, rel=0.1)


@pytest.mark.parametrize("n", [1, 16])
def test_products_of_a_ranking_are_those_that_pytorch_counts(n: int) -> None:
    given = model()
    some = batch_of([[1, 2, 3, 4, 5, 6, 7, 8]] * n)
    score = counted(lambda: given.score(some))
    assert score == pytest.approx(ranking(sizes(n)).flops, rel=0.05)


def test_the_optimizer_moves_each_parameter_seven_times() -> None:
    given = model()
    encoder = sum(p.numel() for p in given.encoder.parameters()) + 2 * given.max_length * DIM
    tables = 4 * (sum(p.numel() for p in given.parameters()) - encoder)
    assert training_step(sizes(4))["optimizer"].bytes == pytest.approx(7 * tables, rel=0.05)


def test_time_is_the_sum_of_what_each_unit_takes() -> None:
    machine = Machine(gemm=10.0, memory=4.0, selection=5.0, overhead=0.5)
    work = Work(flops=20, bytes=8, picked=15, calls=2) + Work(flops=10, calls=1)
    assert machine.seconds(work) == pytest.approx(3 + 2 + 3 + 1.5)
    assert machine.by_unit(work) == {"products": 3, "memory": 2, "search": 3, "calls": 1.5}


def test_with_many_items_the_products_are_most_of_a_step() -> None:
    machine = Machine(gemm=5e10, memory=2e10, selection=1e8, overhead=5e-6)
    share = []
    for n_items in (1_000, 34_000, 1_000_000):
        s = Sizes(n_items=n_items)
        step = sum(machine.seconds(work) for work in training_step(s).values())
        share.append(machine.seconds(products(s.targets + s.sessions, s)) / step)
    assert share == sorted(share)
    assert share[0] < 0.3
    assert share[1] > 0.5


def test_one_session_takes_as_long_as_reading_the_items() -> None:
    machine = Machine(gemm=5e10, memory=2e10, selection=1e8, overhead=0.0)
    small, large = (machine.seconds(one_session(Sizes(n_items=n))) for n in (10**5, 10**6))
    assert large / small == pytest.approx(10, rel=0.05)


def test_rates_are_measured() -> None:
    machine = measure(embedding_dim=8, rows=16, seconds=0.01)
    assert machine.gemm > 1e8
    assert machine.memory > 1e8
    assert machine.selection > 1e5
    assert 0 < machine.overhead < 1e-2


def test_sizes_are_positive() -> None:
    with pytest.raises(ConfigError, match="n_items is at least 1; received 0"):
        Sizes(n_items=0)
