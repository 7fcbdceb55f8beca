"""The part of the payload about the run: finding, quality of the maps, metrics, origin."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import numpy as np
import pandas as pd

from proxysr import __version__
from proxysr.analysis.flow import flow_agreement
from proxysr.analysis.profiles import collapse
from proxysr.analysis.run_view import RunView
from proxysr.data.preparation import provenance_table
from proxysr.data.sessions import Task
from proxysr.files import read_object
from proxysr.findings import warnings_of
from proxysr.plots.theme import TASK_NAMES

LIST = 20
COUNTS = ("interactions", "items", "sessions", "users")
DRAWS = 50
"""Resamples for the interval of an agreement."""


def meta_of(view: RunView, notes: list[str], command: str | None) -> dict[str, Any]:
    """The part ``meta`` of a payload.

    Parameters
    ----------
    view : RunView
    notes : list of str
        Sentences on what is left out, in addition to the view's own.
    command : str, optional
        The command that made the page.
    """
    run, shares = view.run, view.proxy_sizes / max(len(view.table), 1)
    used = shares[shares > 0]
    evaluated, missing = _metrics(view)
    sentences = [*view.notes, *notes, *missing]
    return {
        "title": run.path.resolve().name,
        "subtitle": (
            f"{run.model_name} of {run.log}, {view.part} sessions, best epoch {run.best_epoch}"
        ),
        "model": run.model_name,
        "part": view.part,
        "task": run.train_config.valid_task,
        "epoch": run.best_epoch,
        "data": run.data["fingerprint"],
        "half_epoch": None if view.half_model is None else run.half_epoch,
        "n_sessions": len(view.table),
        "temperature": float(view.model.temperature),
        "k": LIST,
        "finding": sentences[0] if run.findings else "",
        "warnings": warnings_of(run.findings) or _collapsed(view),
        "notes": list(dict.fromkeys(sentences[1:] if run.findings else sentences)),
        "quality": _quality(view),
        "effective": float(np.exp(-(used * np.log(used)).sum())),
        "origin": [*evaluated, *_origin(view, command)],
        "curves": _curves(view),
    }


def number(value: Any) -> str:
    """A number as text: counts with separators, others with four decimals."""
    if value is None or pd.isna(value):
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:.2g}"
    return f"{int(value):,}"


def _collapsed(view: RunView) -> list[str]:
    """A sentence if the sessions shown tell of collapsed proxies."""
    sentence = collapse(view.table)
    return [] if sentence is None else [sentence]


def _metrics(view: RunView) -> tuple[list[dict[str, Any]], list[str]]:
    """The evaluations, and a sentence for each missing one."""
    run = view.run
    try:
        evaluations = run.metrics()
    except ValueError as error:  # the run was trained further
        return [], [str(error)]
    missing = [
        f"The {view.part} targets of task {task!r} ({TASK_NAMES[task]}) were not evaluated yet: "
        f"proxysr evaluate {run.path} --split {view.part} --task {task}"
        for task in get_args(Task)
        if f"{view.part}-{task}" not in evaluations
    ]
    groups = []
    for entry in evaluations.values():
        task = TASK_NAMES.get(entry["task"], entry["task"])
        after = f"after at least {entry['min_prefix']} click(s)"
        values = {"targets": entry.get("n_targets"), **entry["metrics"]}
        pairs = [[name, number(value)] for name, value in values.items()]
        groups.append({"name": f"Metrics: {entry['part']}, {task}, {after}", "pairs": pairs})
    return groups, missing


def _quality(view: RunView) -> list[str]:
    """Sentences on the quality of the maps, and on the agreement of half-way and best epoch."""
    full = view.projection
    settings = ", ".join(f"{name} {value}" for name, value in full.settings.to_dict().items())
    sentences = [
        f"t-SNE with {settings}, of {len(view.drawn):,} sessions and the proxies.",
        f"Of the map, {full.quality}.",
    ]
    if view.half_projection is not None:
        sentences.insert(0, f"The two maps, {view.layout}.")
    if view.half_table is None:
        sentences.append("There is no half-way snapshot to compare with.")
    elif len(view.table) > 1:
        half_choice, choice = view.half_table["proxy"], view.table["proxy"]
        agreed = flow_agreement(half_choice, choice, n_resamples=DRAWS)
        epochs = f"epoch {view.run.half_epoch} (50 %) and epoch {view.run.best_epoch} (100 %)"
        sentences.append(f"Between {epochs}, {agreed}, with its 95 % interval.")
    return sentences


def _origin(view: RunView, command: str | None) -> list[dict[str, Any]]:
    run = view.run
    environment = read_object(run.path / "environment.json", {})
    provenance = run.data.get("provenance", {})
    data = {
        "prepared in": run.data["data_dir"],
        "fingerprint": run.data["fingerprint"],
        **provenance.get("source", {}),
    }
    machine = {
        "python": environment.get("python"),
        **environment.get("packages", {}),
        **{
            name: value for name, value in environment.items() if name not in ("python", "packages")
        },
        "proxysr (page)": __version__,
        "openTSNE (page)": _version("openTSNE"),
    }
    steps = {
        row["step"]: ", ".join(f"{number(row[name])} {name}" for name in COUNTS)
        for row in provenance_table(view.split).to_dict("records")
    }
    groups = {
        f"Model: {run.model_name}": run.model_config.to_dict(),
        "Training": run.train_config.to_dict(),
        "Data": data,
        "Preparation": provenance.get("options", {}),
        "Preparation, step by step": steps,
        "Versions and machine": machine,
        "Command": {} if command is None else {"made by": command},
    }
    named = [{"name": name, "pairs": _pairs(values)} for name, values in groups.items()]
    return [group for group in named if group["pairs"]]


def _pairs(values: Mapping[str, Any]) -> list[list[str]]:
    """Names and values; those of a mapping are named NAME.INNER."""
    pairs = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs += [[f"{name}.{inner}", text] for inner, text in _pairs(value)]
        else:
            pairs.append([str(name), "none" if value is None else str(value)])
    return pairs


def _curves(view: RunView) -> dict[str, Any]:
    """Learning curves: one entry an epoch."""
    history = view.run.history()
    series = {
        name: history[name].astype(float).tolist()
        for name in history
        if name != "epoch" and pd.api.types.is_numeric_dtype(history[name])
    }
    epoch = history["epoch"] if "epoch" in history else pd.Series(range(len(history)))
    return {"epoch": epoch.astype(int).tolist(), "series": series}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
