"""Fit a model: one readable loop, no file I/O.

The best epoch is the one with the highest recall on the validation sessions; the model ends with
the weights of that epoch. Epochs are counted from 0. Random numbers of an epoch depend on
``(seed, epoch)`` only, so a run that is resumed from a :class:`Checkpoint` ends with the same
numbers as an uninterrupted one.

Several processes (:mod:`proxysr.distributed`) run this loop side by side, each on its share of
every batch. Together they take the same steps as one process, up to rounding and to random
numbers in the loss (such as dropout), which each process draws for its own share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from tqdm.auto import tqdm

from proxysr import distributed
from proxysr.averaging import to_average, to_latest
from proxysr.config import (
    ConfigError,
    Count,
    NotNegative,
    Positive,
    Settings,
    Whole,
    require,
    require_kind,
    unknown,
)
from proxysr.costs import check_training_memory, sizes_of
from proxysr.data.batches import TrainingBatches
from proxysr.data.sessions import SessionSplit, Task
from proxysr.evaluation import evaluate
from proxysr.findings import CRITERION, Metrics, counted, findings, use_of_proxies
from proxysr.history import Checkpoint, History, Snapshots, State, TrainState
from proxysr.models import learns, name_of
from proxysr.models.base import LearnedModel, SessionModel
from proxysr.optimizer import RowAdam

__all__ = ["Checkpoint", "History", "Snapshots", "State", "TrainConfig", "TrainState", "fit"]


class TrainConfig(Settings):
    """How to train; the defaults serve LatentProxy on logs of unknown kinds."""

    epochs: Count = 20
    """Most epochs to train."""
    patience: Whole = 3
    """Stop after this many epochs in a row without a better validation recall, counted from the
    end of the model's annealing."""
    batch_size: Count = 32
    """Sessions of a step, over all processes."""
    learning_rate: Positive | None = None
    """Step size of Adam; by default the model's own: 0.002, for latent_proxy 0.004, for proxysr a
    twentieth of ``init_std`` (0.005, or 0.0005 on catalogues of more than 10,000 items)."""
    weight_decay: NotNegative = 0.0
    """L2 penalty of Adam; with sampled negatives, only on the rows that a step touches."""
    task: Task = "repeat"
    """Clicks to train on: all clicks after the first, or ("unseen") only those on an item that is
    new in its session."""
    min_prefix: Count = 1
    """Fewest clicks before a target of training."""
    valid_task: Task = "unseen"
    """Task that chooses the best epoch, and the default task of evaluation."""
    valid_min_prefix: Count = 1
    """Fewest clicks before a target of that task; 3 in the authors' program."""
    bucket_batches: Count = 1
    """Sort the sessions of this many batches by length before cutting them: less padding, but
    batches of short and of long sessions, which weigh differently in the means of the loss."""
    half_life: NotNegative = 0.0
    """Age after which a training session counts half, as a share of the time that the training
    sessions span: an epoch draws older sessions less often. 0: all count the same."""
    averaging: bool | None = None
    """Whether what is evaluated and kept is an average of the weights over epochs, in which late
    ones count most; by default the model's own: latent_proxy averages."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the weights, the order of the sessions and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU if there is one."""

    def resolved(self, model: type[SessionModel], settings: Settings) -> TrainConfig:
        """The settings, with what is open filled in by the model."""
        if not issubclass(model, LearnedModel):
            return self
        rate = self.learning_rate or model.default_learning_rate(settings)
        averaging = (model.averaging or None) if self.averaging is None else self.averaging
        return self.replace(learning_rate=rate, averaging=averaging)


FOR_COUNTING = ("valid_task", "valid_min_prefix", "device")
"""Fields of :class:`TrainConfig` that matter to a model that only counts."""


def reads_times(model: str, config: TrainConfig) -> bool:
    """Whether it matters to a model's training when sessions began."""
    return not learns(model) or config.half_life > 0


def fit(
    model: SessionModel,
    split: SessionSplit,
    config: TrainConfig | None = None,
    *,
    on_epoch: Callable[[TrainState], None] | None = None,
    snapshots: Snapshots | None = None,
    resume: Checkpoint | None = None,
    counters: Mapping[str, Metrics] | None = None,
    progress: bool = True,
) -> History:
    """Train ``model`` on ``split.train``, choosing the epoch on ``split.valid``.

    Parameters
    ----------
    model : SessionModel
        Moved to the device and changed in place: it ends with the weights of the best epoch.
        A model that only counts is prepared and evaluated once.
    split : SessionSplit
    config : TrainConfig, optional
    on_epoch : callable, optional
        Called with a :class:`TrainState` after every epoch, in every process.
    snapshots : mutable mapping, optional
        Where to store the weights of epochs; memory if left out. Only the first process stores.
    resume : Checkpoint, optional
        Continue after the last epoch of this checkpoint; ``snapshots`` must hold its snapshots.
    counters : mapping, optional
        :attr:`History.counters`, if they were computed before.
    progress : bool
        Show progress bars on stderr, or as widgets in a notebook.

    Raises
    ------
    FloatingPointError
        If the loss stops being finite; the message names epoch, batch and parts.
    ConfigError
        If the model is for another number of items than the data have, no session has a target to
        train on or to choose the epoch on, the device is missing,
        training takes more memory than there is, or several processes cannot share the model's
        batches.
    """
    require_kind(split, SessionSplit, "split", "what prepare gives")
    config = TrainConfig() if config is None else config
    require_kind(config, TrainConfig, "config", "TrainConfig(epochs=5)")
    config = config.resolved(type(model), model.config)
    require(
        model.n_items == split.n_items,
        f"The model is for {model.n_items:,} items, and the data have {split.n_items:,}. "
        f"Make it with n_items={split.n_items}.",
    )
    check_validation(split, config)
    check_shares(model)
    progress = progress and distributed.is_first()
    device = resolve_device(config.device)
    if snapshots is None:  # else it was checked before the model was made
        check_memory(model, split, model.config, config, snapshots=2)
    model.to(device)
    started = time.perf_counter()
    model.prepare(split.train)
    history = History(snapshots={} if snapshots is None else snapshots)

    def close_epoch(row: dict[str, float]) -> None:
        history.rows.append(row | validate(model, split, config))
        if distributed.is_first():
            history.keep_weights(model.state_dict())
        if on_epoch is not None:
            on_epoch(state)
        distributed.wait_for_first()  # it writes files

    if not isinstance(model, LearnedModel):
        state = TrainState(model, None, history)
        close_epoch({"epoch": 0, "train_seconds": time.perf_counter() - started})
        return history

    batches = model.batches(
        split.train,
        task=config.task,
        min_prefix=config.min_prefix,
        max_length=model.training_length or model.max_length,
        batch_size=config.batch_size,
        seed=config.seed,
        device=device,
        bucket_batches=config.bucket_batches,
        half_life=config.half_life,
        share=(distributed.rank(), distributed.world_size()),
    )
    require(
        len(batches) > 0,
        f"Nothing to train on: none of the {len(split.train)} training sessions has a target "
        f"of task {config.task!r} after at least {config.min_prefix} click(s).",
    )
    optimizer = RowAdam(
        by_step_size(model, cast(float, config.learning_rate)),  # resolved above
        weight_decay=config.weight_decay,
        fused=True,  # one pass over each table
    )
    state = TrainState(model, optimizer, history)
    if resume is not None:
        state.restore(resume, with_weights=distributed.is_first())
    distributed.copy_first(model.state_dict().values())

    with tqdm(
        total=config.epochs, initial=len(history.rows), desc="epochs", disable=not progress
    ) as bar:
        while not is_over(history, config, model.schedule_epochs):
            epoch = len(history.rows)
            to_latest(optimizer)
            model.start_epoch(epoch)
            with random_state_of(config.seed, epoch):
                row = train_epoch(model, optimizer, batches, epoch, progress)
            if config.averaging:
                to_average(optimizer, epoch)
            close_epoch(row)
            best = history.rows[history.best_epoch]
            bar.update()
            bar.set_postfix_str(
                f"loss {row['loss']:.4f}, validation {CRITERION} "
                f"{history.rows[-1][CRITERION]:.4f}, "
                f"best {best[CRITERION]:.4f} in epoch {history.best_epoch}"
            )

    weights = history.snapshots[history.best_epoch] if distributed.is_first() else {}
    model.load_state_dict(distributed.from_first(weights))
    history.counters = dict(counters or {}) or counted(
        split, task=config.valid_task, min_prefix=config.valid_min_prefix, device=device
    )
    history.findings = findings(
        history.rows, history.best_epoch, history.counters,
        model=name_of(model), n_proxies=getattr(model, "n_proxies", None),
        temperature=getattr(model.config, "temperature", None),
    )  # fmt: skip
    return history


def train_epoch(
    model: LearnedModel,
    optimizer: torch.optim.Optimizer,
    batches: TrainingBatches,
    epoch: int,
    progress: bool,
) -> dict[str, float]:
    """Make one pass over the training sessions; returns a row of the history."""
    model.train()
    started, n_sessions = time.perf_counter(), 0.0
    losses: list[Tensor] = []
    names: list[str] = []
    with tqdm(
        total=len(batches), desc=f"epoch {epoch}", unit="batch", leave=False, disable=not progress
    ) as bar:
        for batch in batches.epoch(epoch):
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(batch)
            loss.total.backward()  # type: ignore[no-untyped-call]
            distributed.average_gradients(model)
            optimizer.step()
            model.after_step()
            names = ["loss", *loss.parts]
            losses.append(torch.stack([loss.total.detach(), *loss.parts.values()]))
            n_sessions += batch.n_sessions * distributed.world_size()
            bar.update()
    table = torch.stack(losses).double()
    distributed.average(table)
    table = table.cpu()  # the only wait for the device in an epoch
    check_finite(table, names, epoch)
    seconds = time.perf_counter() - started
    row: dict[str, float] = {"epoch": epoch}
    if isinstance(temperature := getattr(model, "temperature", None), Tensor):
        row["temperature"] = float(temperature)
    row |= dict(zip(names, table.mean(dim=0).tolist(), strict=True))
    return row | {"train_seconds": seconds, "sessions_per_second": n_sessions / seconds}


def validate(model: SessionModel, split: SessionSplit, config: TrainConfig) -> dict[str, float]:
    """Calibrate the model and evaluate it on validation; returns columns of the epoch's row."""
    started = time.perf_counter()
    if isinstance(model, LearnedModel):
        model.eval()
        with torch.no_grad():
            model.calibrate(split.valid)
    result = evaluate(
        model, split.valid,
        task=config.valid_task, ks=(20,), min_prefix=config.valid_min_prefix, together=True,
    )  # fmt: skip
    row: dict[str, float] = dict(result.metrics)
    if "proxy" in result.ranks:
        row |= use_of_proxies(result.ranks)
    return row | {"eval_seconds": time.perf_counter() - started}


def is_over(history: History, config: TrainConfig, schedule_epochs: int) -> bool:
    """Whether all epochs are done or patience is used up, counted from the end of annealing."""
    n = len(history.rows)
    if not 0 < n < config.epochs:
        return n > 0
    return n - 1 - max(history.best_epoch, schedule_epochs) >= config.patience


def by_step_size(model: LearnedModel, learning_rate: float) -> list[dict[str, Any]]:
    """The model's parameters grouped by step size; see :attr:`LearnedModel.step_sizes`."""
    parameters = dict(model.named_parameters())
    for name in model.step_sizes:
        require(name in parameters, unknown(name, parameters, "parameter that step_sizes names"))
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        groups.setdefault(model.step_sizes.get(name, 1.0), []).append(parameter)
    return [{"params": group, "lr": factor * learning_rate} for factor, group in groups.items()]


@contextmanager
def random_state_of(seed: int, epoch: int) -> Iterator[None]:
    """Seed random numbers by (seed, epoch) and process; the caller's state is restored after."""
    uses_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = [torch.cuda.current_device()] if uses_gpu else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed * 1_000_003 + epoch + distributed.rank() * 10_007)
        yield


def resolve_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" stands for."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but torch sees no GPU here. Use 'auto' or 'cpu'.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        distributed.check_gpus()
    return torch.device(name)


def check_validation(split: SessionSplit, config: TrainConfig) -> None:
    """Raise ``ConfigError`` if validation has no target, so that no epoch can be chosen."""
    n = len(split.valid)
    require(
        n > 0,
        "The validation part is empty; training chooses its epoch on it. Prepare the data with a "
        "valid_fraction above 0 (--valid-fraction 0.1).",
    )
    require(
        bool(split.valid.is_target(config.valid_task, config.valid_min_prefix).any()),
        f"None of the {n:,} validation sessions has a target of task {config.valid_task!r} after "
        f"at least {config.valid_min_prefix} click(s); training chooses its epoch on them. Lower "
        "valid_min_prefix (--valid-min-prefix), or name another valid_task (--valid-task).",
    )


def check_memory(
    model: type[SessionModel] | SessionModel,
    split: SessionSplit,
    settings: Settings,
    config: TrainConfig,
    *,
    snapshots: int,
) -> None:
    """Raise ``ConfigError`` if training on the CPU takes more memory than there is.

    ``snapshots`` is the number of copies of the weights that are in memory at the same time, but
    for their average; ``config`` is resolved.
    """
    if config.device != "cpu" and torch.cuda.is_available():
        return
    check_training_memory(
        type(model) if isinstance(model, SessionModel) else model, split.n_items, settings,
        batch_size=config.batch_size,
        longest=int(split.train.lengths.max(initial=1)),
        snapshots=snapshots + bool(config.averaging),
        tables=sizes_of(model) if isinstance(model, SessionModel) else None,
    )  # fmt: skip


def check_shares(model: SessionModel) -> None:
    """Raise ``ConfigError`` if several processes run and cannot share the model's batches."""
    require(
        distributed.world_size() == 1 or not isinstance(model, LearnedModel) or model.data_parallel,
        f"{type(model).__name__} cannot be trained by {distributed.world_size()} processes: it "
        "remembers something from batch to batch, or its loss is not a mean over the targets of a "
        "batch, so the shares of a batch do not add up to it. Start one process, without torchrun.",
    )


def check_finite(table: Tensor, names: list[str], epoch: int) -> None:
    """Raise ``FloatingPointError`` at the first batch whose loss is not finite."""
    bad = (~table[:, 0].isfinite()).nonzero().flatten()
    if len(bad):
        first = int(bad[0])
        values = zip(names, table[first].tolist(), strict=True)
        shown = ", ".join(f"{name} = {value:g}" for name, value in values)
        raise FloatingPointError(
            f"The loss is not finite in epoch {epoch}, batch {first} of {len(table)}: {shown}. "
            "A smaller learning_rate often helps"
            + ("; the epochs before this one are kept." if epoch else ".")
        )
