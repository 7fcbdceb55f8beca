"""Several processes that train one model together, as ``torchrun`` starts them.

Each process takes a share of every batch, and gradients are averaged, so all of them make the step
that one process would make with the whole batch. The first process writes the run and prints
messages. In a single process, these functions do nothing.

Gradients are averaged after the backward pass, in one message. ``DistributedDataParallel`` sends
them during the backward pass, which would save little here: most of them belong to the item table,
which is finished last. It also needs a ``forward``, and reduces sparse gradients on some backends
only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.functional import pad

from proxysr.config import require

T = TypeVar("T")


@contextmanager
def joined() -> Iterator[None]:
    """Join the process group if ``torchrun`` started this process, and leave it at the end.

    If several processes fail, the first one raises its error. The others exit silently, because
    theirs is the same error or follows from it.
    """
    if "WORLD_SIZE" not in os.environ or not dist.is_available() or dist.is_initialized():
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    # This module's functions keep the group that exists at its import as a default. PyTorch imports
    # it at an optimizer's first step; the group and its threads would then never end.
    import_module("torch.distributed.nn")

    store, number, size = next(iter(rendezvous("env://")))
    dist.init_process_group(backend, store=store, rank=number, world_size=size)
    try:
        yield
    except BaseException as error:
        if isinstance(error, SystemExit) or store.add("proxysr/failed", 1) == 1:
            raise
        raise SystemExit(0) from None  # another code would end the first before its error message
    dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if _is_joined() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if _is_joined() else 1


def is_first() -> bool:
    """Whether this process writes files, shows progress and keeps the weights of epochs."""
    return rank() == 0


def check_gpus() -> None:
    """Raise ``ConfigError`` if this machine has fewer GPUs than processes."""
    n_processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if _is_joined() else 1
    n_gpus = torch.cuda.device_count()
    require(
        n_processes <= n_gpus,
        f"{n_processes} processes cannot share {n_gpus} GPU(s) of a machine. Start one a GPU "
        f"(--nproc-per-node {n_gpus}), or train on the CPU (--device cpu).",
    )


def from_first(value: Any) -> Any:
    """The value that the first process passed; the values of the others are ignored."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def wait_for_first() -> None:
    """Wait until the first process calls this, too."""
    from_first(None)


def gathered(value: T) -> list[T]:
    """The values of all processes, in order of their numbers."""
    if world_size() == 1:
        return [value]
    values = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


def copy_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def average(tensor: Tensor) -> None:
    """Overwrite a tensor with the mean over all processes: the same bits in each of them."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()


def average_gradients(model: nn.Module) -> None:
    """Average the gradients of all processes; a missing gradient counts as zero.

    Sparse gradients (sparse in all processes) stay sparse.
    """
    if world_size() == 1:
        return
    parameters = []
    for parameter in model.parameters():
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = _mean_of_sparse(parameter.grad)
        else:
            parameters.append(parameter)
    flat = torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    )
    average(flat)
    shares = torch.split(flat, [p.numel() for p in parameters])
    for parameter, grad in zip(parameters, shares, strict=True):
        parameter.grad = grad.view_as(parameter)


def _mean_of_sparse(gradient: Tensor) -> Tensor:
    """The mean over all processes of a row-sparse gradient: the same bits in each of them."""
    gradient = gradient.coalesce()
    rows, values = gradient.indices(), gradient.values() / world_size()
    counts = [int(size) for size in _gathered_tensors(rows.new_tensor([len(values)]))]
    # messages have equal length: pad at the end, and cut again
    padding = max(counts) - len(values)
    all_rows = _gathered_tensors(pad(rows[0], (0, padding)))
    all_values = _gathered_tensors(pad(values, (0, 0) * (values.ndim - 1) + (0, padding)))
    return torch.sparse_coo_tensor(
        torch.cat([rows[:n] for rows, n in zip(all_rows, counts, strict=True)])[None],
        torch.cat([values[:n] for values, n in zip(all_values, counts, strict=True)]),
        gradient.shape,
        check_invariants=False,
    ).coalesce()


def _gathered_tensors(tensor: Tensor) -> list[Tensor]:
    tensors = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(tensors, tensor)
    return tensors


def _is_joined() -> bool:
    return dist.is_available() and dist.is_initialized()
