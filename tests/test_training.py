"""The loop: best epoch, patience, snapshots, exact resume, errors that say what happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError, Settings
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import evaluate
from proxysr.findings import counted
from proxysr.models import Loss, ProxySR, SessionModel
from proxysr.models.base import LearnedModel
from proxysr.training import Checkpoint, History, TrainConfig, TrainState, fit, resolve_device
from tests.contract.small import N_ITEMS, SMALL, cycles, small, split_of


@pytest.fixture(scope="module")
def split() -> SessionSplit:
    return split_of(cycles(120, seed=1), cycles(30, seed=2), cycles(30, seed=3))


def config(**options: Any) -> TrainConfig:
    defaults = {"epochs": 5, "learning_rate": 1e-2, "batch_size": 16, "device": "cpu", "seed": 3}
    return TrainConfig(**(defaults | options))


def test_history_tells_what_happened(split: SessionSplit) -> None:
    history = fit(small("proxysr"), split, config(), progress=False)
    frame = history.frame
    assert frame["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert frame["temperature"].iloc[[0, 3]].tolist() == pytest.approx([3.0, 0.01])
    assert frame["violated"].between(0, 1).all()
    assert frame["mean_max_pi"].between(1 / 8, 1).all()
    assert frame["proxies_in_use"].between(1, 8).all()
    assert (frame["effective_proxies"] <= frame["proxies_in_use"]).all()
    assert frame["largest_share"].between(1 / 8, 1).all()
    assert frame["sessions_changing"].between(0, 1).all()
    assert (frame["sessions_per_second"] > 0).all()
    weights = ProxySR.Config.from_dict(SMALL["proxysr"])
    parts = frame["hinge"] + weights.lambda_dist * frame["dist"]
    np.testing.assert_allclose(frame["loss"], parts, rtol=1e-5)


def test_the_model_of_the_best_epoch_comes_back(split: SessionSplit) -> None:
    model = small("proxysr")
    history = fit(model, split, config(epochs=8), progress=False)
    best = history.frame.sort_values(["R@20", "MRR@20"], kind="stable").index[-1]
    assert history.best_epoch == best
    result = evaluate(model, split.valid, ks=(20,))
    assert result.metrics["R@20"] == history.rows[best]["R@20"]


class Scripted(LearnedModel):
    """A model whose validation recall follows a script, to see which epochs are kept."""

    Config = Settings

    def __init__(self, recalls: list[float], losses: list[float] | None = None) -> None:
        super().__init__(N_ITEMS)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("epoch", torch.zeros(1))
        self.recalls, self.losses = recalls, losses or []

    def start_epoch(self, epoch: int) -> None:
        self.epoch = torch.tensor([float(epoch)])

    def loss(self, batch: SessionBatch) -> Loss:
        value = self.losses.pop(0) if self.losses else 0.0
        return Loss(self.weight.sum() + value, {"part": torch.tensor(2 * value)})

    def score(self, batch: SessionBatch) -> Tensor:
        """The target is the only good item, or the only bad one, for a share of the sessions."""
        recall = self.recalls[int(self.epoch)]
        scores = torch.ones(len(batch.items), N_ITEMS + 1)
        hit = torch.arange(len(batch.items)) < round(recall * len(batch.items))
        target = batch.targets[:, -1:]
        scores.scatter_(1, target, torch.where(hit, 2.0, 0.0)[:, None])
        scores[:, 0] = -torch.inf
        return scores

    def represent(self, batch: SessionBatch) -> Tensor:
        return torch.zeros(len(batch.items), 1)


def one_batch_split() -> SessionSplit:
    sessions = Sessions.from_lists([[1, 2]] * 20)
    return split_of(sessions, sessions, sessions)


@pytest.mark.parametrize(
    ("recalls", "patience", "trained", "best"),
    [
        ([0.1, 0.5, 0.4, 0.3, 0.2, 0.1], 2, 4, 1),
        ([0.1, 0.5, 0.4, 0.6, 0.2, 0.1], 2, 6, 3),
        ([0.5, 0.5, 0.5, 0.5], 10, 4, 0),  # the earliest of equals
        ([0.1, 0.2, 0.3], 10, 3, 2),
    ],
)
def test_patience_and_best_epoch(
    recalls: list[float], patience: int, trained: int, best: int
) -> None:
    model = Scripted(recalls)
    settings = TrainConfig(epochs=len(recalls), patience=patience, device="cpu")
    history = fit(model, one_batch_split(), settings, progress=False)
    assert len(history.rows) == trained
    assert history.best_epoch == best
    assert history.half_epoch == best // 2
    assert {best, best // 2} <= set(history.snapshots)
    assert float(model.epoch) == best


def test_patience_is_counted_from_the_end_of_a_schedule() -> None:
    class Annealed(Scripted):
        schedule_epochs = 4

    for patience, trained in [(0, 5), (2, 7)]:
        settings = TrainConfig(epochs=9, patience=patience, device="cpu")
        history = fit(Annealed([0.5, *[0.1] * 8]), one_batch_split(), settings, progress=False)
        assert (len(history.rows), history.best_epoch) == (trained, 0)
    assert small("proxysr", anneal_epochs=7).schedule_epochs == 7  # type: ignore[attr-defined]
    alone = {"expressed_by": "short-term", "projection": False, "lambda_orthog": 0.0}
    assert small("proxysr", anneal_epochs=7, **alone).schedule_epochs == 7  # type: ignore[attr-defined]
    assert small("gru4rec").schedule_epochs == 0  # type: ignore[attr-defined]


def test_every_click_is_trained_on_and_the_epoch_chosen_by_another_task() -> None:
    """Repeats are all there is to train on, and no target of the default validation."""
    sessions = Sessions.from_lists([[1, 1, 2, 2]] * 20)
    repeats = Sessions.from_lists([[1, 1]] * 20)
    default = TrainConfig(epochs=1, device="cpu")
    split = split_of(repeats, sessions, sessions)
    fit(small("mean"), split, default, progress=False)
    with pytest.raises(ConfigError, match="none of the 20 training sessions has a target of task"):
        fit(small("mean"), split, default.replace(task="unseen"), progress=False)
    for changes, n_targets in [
        ({}, 20),
        ({"valid_task": "repeat"}, 60),
        ({"valid_task": "repeat", "valid_min_prefix": 3, "min_prefix": 1}, 20),
    ]:
        model = Watched([0.5])
        fit(model, split, default.replace(**changes), progress=False)
        assert model.scored == n_targets


class Watched(Scripted):
    """Counts the targets that it is validated on."""

    scored = 0

    def score(self, batch: SessionBatch) -> Tensor:
        self.scored += len(batch.items)
        return super().score(batch)


def test_parameters_take_steps_of_their_sizes() -> None:
    class Sized(Scripted):
        step_sizes = {"fast": 5.0}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__([0.5] * 3)
            self.fast = torch.nn.Parameter(torch.zeros(1))

        def loss(self, batch: SessionBatch) -> Loss:
            return Loss(self.weight.sum() + self.fast.sum(), {})

    model = Sized()
    settings = TrainConfig(epochs=1, learning_rate=0.01, device="cpu")
    fit(model, one_batch_split(), settings, progress=False)
    assert (model.weight.item(), model.fast.item()) == pytest.approx((-0.01, -0.05))

    class Misnamed(Sized):
        step_sizes = {"fats": 5.0}  # noqa: RUF012

    with pytest.raises(ConfigError, match="'fats' is not a known parameter that step_sizes names"):
        fit(Misnamed(), one_batch_split(), settings, progress=False)


def test_calibration_sees_validation_before_each_epoch_is_judged_and_kept() -> None:
    class Calibrated(Scripted):
        def __init__(self) -> None:
            super().__init__([0.1, 0.5, 0.2])
            self.register_buffer("level", torch.zeros(1))
            self.seen: list[tuple[int, bool, bool]] = []

        def calibrate(self, valid: Sessions) -> None:
            self.seen.append((len(valid), self.training, torch.is_grad_enabled()))
            self.level = self.epoch + 10

        def score(self, batch: SessionBatch) -> Tensor:
            assert torch.equal(self.level, self.epoch + 10)
            return super().score(batch)

    model = Calibrated()
    history = fit(model, one_batch_split(), TrainConfig(epochs=3, device="cpu"), progress=False)
    assert model.seen == [(20, False, False)] * 3
    assert float(history.snapshots[1]["level"]) == 11
    assert float(model.level) == 11, "that of the best epoch comes back"


def test_every_epoch_that_may_become_half_way_is_kept() -> None:
    """The best epoch moves late, from 1 to 11; epoch 5 must still be there."""
    recalls = [0.2, 0.5, *[0.3] * 9, 0.9]
    kept: list[set[int]] = []

    def watch(state: TrainState) -> None:
        kept.append(set(state.history.snapshots))

    settings = TrainConfig(epochs=12, patience=20, device="cpu")
    history = fit(Scripted(recalls), one_batch_split(), settings, on_epoch=watch, progress=False)
    assert {5, 11} <= set(history.snapshots)
    assert float(history.snapshots[5]["epoch"]) == 5
    assert all(len(snapshots) <= epoch // 2 + 4 for epoch, snapshots in enumerate(kept))


RANDOM: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("proxysr", {"dropout": 0.2}, {}),
    ("proxysr", {"sampled_negatives": 20, "n_negatives": 5}, {}),
    ("gru4rec", {"sampled_negatives": 15}, {"half_life": 0.4}),
    ("latent_proxy", {"sampled_negatives": 15}, {}),
]
"""Models and training with random numbers inside an epoch, which must match too."""


@pytest.mark.parametrize("stop", [1, 2, 4])
@pytest.mark.parametrize(("name", "options", "train"), RANDOM, ids=str)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    split: SessionSplit, stop: int, name: str, options: dict[str, Any], train: dict[str, Any]
) -> None:
    whole_model = small(name, **options)
    last: list[Checkpoint] = []
    whole = fit(
        whole_model,
        split,
        config(**train),
        on_epoch=lambda s: last.append(copy_of(s)),
        progress=False,
    )
    saved: list[Checkpoint] = []
    interrupted = fit(
        small(name, **options), split, config(epochs=stop, **train),
        on_epoch=lambda s: saved.append(copy_of(s)), progress=False,
    )  # fmt: skip
    torch.manual_seed(12345)  # whatever happened in between
    resumed_model = small(name, seed=99, **options)
    resumed_last: list[Checkpoint] = []
    resumed = fit(
        resumed_model, split, config(**train), snapshots=interrupted.snapshots, resume=saved[-1],
        on_epoch=lambda s: resumed_last.append(copy_of(s)), progress=False,
    )  # fmt: skip
    timing = ["train_seconds", "eval_seconds", "sessions_per_second"]
    assert resumed.frame.drop(columns=timing).equals(whole.frame.drop(columns=timing))
    for key, tensor in last[-1].model.items():
        assert torch.equal(tensor, resumed_last[-1].model[key]), key
    assert last[-1].optimizer.keys() == resumed_last[-1].optimizer.keys()
    for key, tensor in last[-1].optimizer.items():
        assert torch.equal(tensor, resumed_last[-1].optimizer[key]), key
    for key, tensor in whole_model.state_dict().items():
        assert torch.equal(tensor, resumed_model.state_dict()[key]), key


def test_resuming_keeps_the_sizes_of_steps(
    split: SessionSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(name for name, _ in small("proxysr").named_parameters())
    monkeypatch.setattr(ProxySR, "step_sizes", {name: 5.0})
    test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(split, 2, "proxysr", {}, {})


def copy_of(state: TrainState) -> Checkpoint:
    saved = state.checkpoint()
    return Checkpoint(
        {name: tensor.clone() for name, tensor in saved.model.items()},
        {name: tensor.clone() for name, tensor in saved.optimizer.items()},
        saved.rows,
    )


def after_one_epoch(split: SessionSplit) -> Checkpoint:
    saved: list[Checkpoint] = []
    fit(
        small("proxysr"), split, config(epochs=1),
        on_epoch=lambda s: saved.append(copy_of(s)), progress=False,
    )  # fmt: skip
    return saved[0]


def test_resume_without_its_snapshots_is_refused(split: SessionSplit) -> None:
    saved = after_one_epoch(split)
    with pytest.raises(ValueError, match="Cannot resume: the weights of epoch 0 are missing"):
        fit(small("proxysr"), split, config(), resume=saved, progress=False)


def test_a_loss_that_is_not_finite_is_named() -> None:
    model = Scripted([0.5, 0.5], losses=[0.0, 0.0, 0.0, float("nan")])
    settings = TrainConfig(epochs=2, batch_size=10, device="cpu")
    with pytest.raises(
        FloatingPointError, match=r"not finite in epoch 1, batch 1 of 2: loss = nan, part = nan"
    ):
        fit(model, one_batch_split(), settings, progress=False)


def test_the_callers_random_state_is_untouched(split: SessionSplit) -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    fit(small("proxysr"), split, config(epochs=1), progress=False)
    assert torch.equal(torch.rand(2), expected)


class Popularity(SessionModel):
    """Counts clicks; has no loss."""

    Config = Settings

    def __init__(self) -> None:
        super().__init__(N_ITEMS)
        self.register_buffer("counts", torch.zeros(N_ITEMS + 1))

    def prepare(self, train: Sessions) -> None:
        counts = torch.bincount(torch.tensor(train.items), minlength=N_ITEMS + 1).float()
        self.counts = counts
        self.counts[0] = -torch.inf

    def score(self, batch: SessionBatch) -> Tensor:
        return self.counts.repeat(len(batch.items), 1)

    def represent(self, batch: SessionBatch) -> Tensor:
        return torch.zeros(len(batch.items), 1)


def test_a_counting_model_is_prepared_and_evaluated_once(split: SessionSplit) -> None:
    history = fit(Popularity(), split, config(), progress=False)
    assert history.frame["epoch"].tolist() == [0]
    assert "loss" not in history.frame
    assert history.best_epoch == 0


def test_in_the_end_it_is_said_what_came_of_it(split: SessionSplit) -> None:
    settings = config(epochs=2, valid_task="repeat", valid_min_prefix=2)
    history = fit(small("proxysr"), split, settings, progress=False)
    expected = counted(split, task="repeat", min_prefix=2, device="cpu")
    assert history.counters == expected
    assert f"co-occurrence ({expected['cooccurrence']['R@20']:.4f})" in history.findings[0]
    best = history.rows[history.best_epoch]
    assert f"R@20 of proxysr is {best['R@20']:.4f}" in history.findings[0]
    shown = f"{best['effective_proxies']:.1f} of 8 proxies are in use in effect"
    assert shown in history.findings[-1]
    known = {name: {"R@20": 2.0} for name in expected}
    again = fit(small("proxysr"), split, settings, counters=known, progress=False)
    assert "does not beat co-occurrence (2.0000) and popularity" in again.findings[0]
    assert fit(Popularity(), split, settings, progress=False).findings == []


def test_nothing_to_train_on_is_refused(split: SessionSplit) -> None:
    with pytest.raises(ConfigError, match="none of the 120 training sessions has a target"):
        fit(small("proxysr"), split, config(min_prefix=40), progress=False)


def test_history_without_epochs_has_no_best() -> None:
    assert len(History().frame) == 0
    with pytest.raises(ValueError, match="No epoch has been trained yet"):
        _ = History().best_epoch


def test_missing_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no GPU here. Use 'auto' or 'cpu'"):
        resolve_device("cuda")
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is at least 1; received 0"),
        ({"half_life": -0.5}, "half_life is not negative; received -0.5"),
        ({"patience": -1}, "patience is not negative; received -1"),
        ({"learning_rate": 0}, "learning_rate is positive; received 0"),
        ({"device": "tpu"}, "device is one of 'auto', 'cpu', 'cuda'; received 'tpu'"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**options)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter:UserWarning")
def test_a_restored_optimizer_is_all_where_the_model_is(split: SessionSplit) -> None:
    """Fused steps on a graphics card read the number of steps there."""
    model = small("proxysr").to("meta")
    optimizer = torch.optim.Adam(model.parameters())
    TrainState(model, optimizer, History()).restore(after_one_epoch(split), with_weights=False)
    places = {value.device for state in optimizer.state.values() for value in state.values()}
    assert places == {torch.device("meta")}
