"""The search: claim a trial, train it as a run, stop it early if it is worse than most.

A trial is judged by its best recall@20 on the validation sessions; test sessions are not used.
In a notebook, ``tried_settings(trials("studies/shop"))`` of :mod:`proxysr.plots.tuning` shows the
trials, also of a running study.

When a trial is stopped early
-----------------------------
By the median rule: after five trials were completed, one whose best recall so far is below the
median of theirs, as of the same epoch, is pruned. Recall of ProxySR rises, falls while the
temperature does, and rises again, so its trials are not pruned before the end of annealing, and
the best recall so far is compared.

When a trial is stopped
-----------------------
If its settings do not fit the data or the machine, such as more proxies than sessions, or its loss
stops being finite. Others go on. What is wrong with all trials ends the search: the data, the
device and the fixed settings are checked before the first, and once trials that differ in all that
is searched were stopped for the same reason, it is not one of theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch

from proxysr.config import ConfigError, Count, Settings, Whole, require
from proxysr.data.sessions import SessionSplit
from proxysr.experiments.processes import in_processes
from proxysr.experiments.spaces import Space, checked_space, default_space, split_settings
from proxysr.experiments.study import STOPPED, Claim, StudyDir
from proxysr.findings import CRITERION
from proxysr.models import DEFAULT
from proxysr.running import train_run
from proxysr.training import TrainState, check_validation, resolve_device

STARTUP = 5
"""Trials to complete before any is pruned."""
REFUSED = "refused"
"""Attribute of a trial whose settings cannot be trained."""


class TuneConfig(Settings):
    """How to search."""

    trials: Count = 50
    """Trials of the study in all, of whatever process; more can be asked for later."""
    seed: Whole = 0
    """Seed of the search; a trial is drawn from it, its number, and the trials before it."""
    prune: bool = True
    """Whether to stop a trial whose validation recall is below the median of the others."""
    warmup: Whole | None = None
    """Epochs before a trial may be stopped; the annealing of ProxySR, or 1, if left out."""


def tune(
    data_dir: str | Path,
    study_dir: str | Path,
    *,
    model: str = DEFAULT,
    space: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    config: TuneConfig | None = None,
    storage: str | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Begin or join a study and work on it until as many trials as asked for were begun.

    Any number of processes on machines that see both folders may do so at a time. A trial that
    a killed process left is continued by the next that looks for work.

    Parameters
    ----------
    data_dir : str or Path
        What ``proxysr prepare`` wrote.
    study_dir : str or Path
        A new folder, or a study of the same data, model, space and settings.
    model : str
        Name in ``MODELS``.
    space : mapping, optional
        See :mod:`proxysr.experiments.spaces`; the model's own, without what is fixed, if left out.
    fixed : mapping, optional
        Settings of the model and its training that all trials have; defaults for the rest.
    config : TuneConfig, optional
    storage : str, optional
        URL of a database for the trials; a journal in the study's folder if left out.
    jobs : int
        Processes to work with.
    progress : bool
        Tell of every trial on stderr, and show progress bars if ``jobs`` is 1.

    Returns
    -------
    DataFrame
        See :func:`proxysr.experiments.study.trials`.

    Raises
    ------
    ConfigError
        If a name in ``space`` or ``fixed`` is unknown, a value is out of range, or no trial can be
        trained.
    ValueError
        If the folder holds something else, or another study.
    """
    config = TuneConfig() if config is None else config
    require(jobs >= 1, f"jobs is at least 1; received {jobs}.")
    fixed = dict(fixed or {})
    split = SessionSplit.load(data_dir)
    if space is None:
        space = default_space(model, len(split.train))
        space = {k: v for k, v in space.items() if k not in fixed}
    plan = _plan(split, model, checked_space(model, space, fixed), fixed, config)
    folder = StudyDir(study_dir, storage, create=True)
    folder.join(plan)
    if jobs == 1:
        _work(data_dir, folder, plan, config.trials, progress, bars=progress)
    else:
        worker = (data_dir, study_dir, storage, plan, config.trials, progress)
        failures = [reason for _, reason in in_processes(_work_in, [worker] * jobs, jobs) if reason]
        if failures:
            raise ValueError(
                f"{failures[0]} What is finished is kept; once that is mended, the same command "
                "continues the study."
            )
    refusal = refusal_of_all(folder.load(), plan["space"])
    require(not refusal, f"No trial can be trained, whatever is searched: {refusal}")
    return folder.table()


def refusal_of_all(study: optuna.Study, space: Space) -> str:
    """Why no trial can be trained; "" if one can, or if that cannot be told.

    It is so if none had an epoch, and trials that differ in all that is searched were refused for
    the same reason, word by word: reasons name the values that they are about.
    """
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.intermediate_values:
            return ""
        if REFUSED in trial.user_attrs:
            by_reason.setdefault(trial.user_attrs[STOPPED], []).append(trial.params)
    searched = [name for name, values in space.items() if isinstance(values, dict) or values[1:]]
    for reason, tried in by_reason.items():
        differ = (len({settings[name] for settings in tried}) > 1 for name in searched)
        if len(tried) > 1 and all(differ):
            return reason
    return ""


def best_of(table: pd.DataFrame) -> pd.Series | None:
    """The row of the best completed trial, the earliest of equal ones; None if there is none."""
    rows = table[table["state"] == "complete"]
    return None if rows.empty else rows.iloc[int(rows[CRITERION].argmax())]


def _plan(
    split: SessionSplit, model: str, space: Space, fixed: dict[str, Any], config: TuneConfig
) -> dict[str, Any]:
    """The definition of a study, which must be equal for all processes that join.

    What no trial can change is checked: whether there is something to judge trials on, and the
    device.
    """
    settings, train = split_settings(model, fixed)
    check_validation(split, train)
    resolve_device(train.device)
    settings_and_train = settings.to_dict() | train.to_dict()
    warmup = config.warmup
    if warmup is None:
        anneal_epochs = space.get("anneal_epochs", [settings_and_train.get("anneal_epochs", 1)])
        warmup = anneal_epochs["high"] if isinstance(anneal_epochs, dict) else max(anneal_epochs)
    return {
        "model": model,
        "data": split.fingerprint(times=True),
        "space": space,
        "fixed": {name: settings_and_train[name] for name in sorted(fixed)},
        "seed": config.seed,
        "warmup": warmup if config.prune else None,
    }


def _work_in(
    data_dir: str | Path, study_dir: str | Path, storage: str | None, plan: dict[str, Any],
    n_trials: int, progress: bool,
) -> None:  # fmt: skip
    """The work of one of several processes."""
    _work(data_dir, StudyDir(study_dir, storage), plan, n_trials, progress, bars=False)


def _work(
    data_dir: str | Path, folder: StudyDir, plan: dict[str, Any], n_trials: int, progress: bool,
    *, bars: bool,
) -> None:  # fmt: skip
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if plan["warmup"] is not None:
        pruner = optuna.pruners.MedianPruner(STARTUP, n_warmup_steps=plan["warmup"])
    study = folder.load(pruner=pruner)
    while (claim := folder.claim(study, n_trials, plan["space"], plan["seed"])) is not None:
        try:
            _train(data_dir, study, claim, plan, bars)
        finally:
            claim.release()
        if progress:
            sys.stderr.write(_line(study, claim))
        if refusal_of_all(study, plan["space"]):
            with folder.lock():
                folder.write_table()
            return


def _train(
    data_dir: str | Path, study: optuna.Study, claim: Claim, plan: dict[str, Any], bars: bool
) -> None:
    """Train the run of a trial, and record how it ended.

    An interrupt or an unforeseen error leaves the trial as it is, to be continued.
    """
    trial = claim.trial
    reported: list[float] = []

    def report(rows: list[dict[str, float]]) -> None:
        for row in rows[len(reported) :]:
            reported.append(max([*reported[-1:], row[CRITERION]]))
            trial.report(reported[-1], step=len(reported) - 1)

    def on_epoch(state: TrainState) -> None:
        report(state.history.rows)
        if trial.should_prune():
            raise optuna.TrialPruned

    def stopped(error: Exception) -> None:
        trial.set_user_attr(STOPPED, " ".join(str(error).split()))
        if isinstance(error, ConfigError):
            trial.set_user_attr(REFUSED, True)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    try:
        settings, train = split_settings(plan["model"], plan["fixed"] | trial.params)
        run = train_run(
            data_dir, claim.run_dir, model=plan["model"], model_config=settings, train=train,
            resume=(claim.run_dir / "config.json").is_file(), on_epoch=on_epoch, progress=bars,
        )  # fmt: skip
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except (ConfigError, FloatingPointError, MemoryError, torch.OutOfMemoryError) as error:
        stopped(error)
    else:
        report(run.history().to_dict("records"))  # type: ignore[arg-type]
        study.tell(trial, reported[-1])


def _line(study: optuna.Study, claim: Claim) -> str:
    """How a trial ended, for stderr."""
    trial = study.get_trials(deepcopy=False)[claim.trial.number]
    state = trial.user_attrs.get(STOPPED, trial.state.name.lower()).rstrip(".")
    values = trial.intermediate_values.values()
    value = f"{CRITERION} {max(values):.4f} on validation" if values else "no epoch"
    settings = ", ".join(f"{name}={value}" for name, value in trial.params.items())
    return f"{claim.run_dir.name}: {state}, {value} ({settings})\n"
