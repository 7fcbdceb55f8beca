"""What the report says in words and tables: metrics, flow, quality, and where all comes from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import pandas as pd

from proxysr import __version__
from proxysr.analysis.flow import fates, flow_agreement, flow_table
from proxysr.analysis.profiles import collapse
from proxysr.analysis.run_view import RunView
from proxysr.data.preparation import provenance_table
from proxysr.data.sessions import Task
from proxysr.files import read_object
from proxysr.plots.theme import TASK_NAMES

MOST_FLOWS = 12
COUNTS = ("interactions", "items", "sessions", "users")


def page_facts(view: RunView, notes: list[str], command: str | None) -> dict[str, Any]:
    """Everything that the template writes, as text and plain numbers.

    Parameters
    ----------
    view : RunView
    notes : list of str
        What the page leaves out, beside the view's own notes.
    command : str, optional
        What made the page.
    """
    run = view.run
    metrics = _metrics(view)
    collapsed = collapse(view.table)
    said = [*([collapsed] if collapsed else []), *view.notes, *notes]
    return {
        "title": run.path.resolve().name,
        "subtitle": f"{run.model_name}, {view.part} sessions, best epoch {run.best_epoch}",
        "figures": _figures(view, metrics),
        "notes": list(dict.fromkeys(said)),
        "metrics": metrics,
        "quality": _quality(view),
        "flow": _flow(view),
        "command": command or shlex.join(["proxysr", "report", str(run.path), "FILE.html"]),
        "groups": _groups(view),
        "step_names": list(COUNTS),
        "steps": _steps(view),
        "version": __version__,
        "day": datetime.now(UTC).date().isoformat(),
    }


def number(value: Any) -> str:
    """A number as a reader wants it: counts with separators, others to four places."""
    if value is None or pd.isna(value):
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:.2g}"
    return f"{int(value):,}"


def _figures(view: RunView, metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    table = view.table
    found = [
        {"name": "Sessions", "value": number(len(table)), "of": view.part},
        {"name": "Clicks", "value": number(view.sessions.n_clicks), "of": ""},
        {"name": "Items", "value": number(view.model.n_items), "of": ""},
    ]
    if "user" in table:
        known = table["user"].replace("", pd.NA).nunique()
        found.append({"name": "Known users", "value": number(known), "of": ""})
    used = {"name": "Proxies in use", "value": number(table["proxy"].nunique())}
    found.append(used | {"of": f"of {view.n_proxies}"})
    for row in metrics["rows"]:
        if "R@20" in row["by_name"] and row["part"] == view.part:
            value = row["by_name"]["R@20"]
            found.append({"name": f"R@20, {row['task']}", "value": value, "of": ""})
    return found


def _metrics(view: RunView) -> dict[str, Any]:
    """Rows of evaluations that were made, and a sentence for each that was not."""
    run = view.run
    try:
        known = run.metrics()
    except ValueError as error:  # the run was trained on since
        return {"names": [], "rows": [], "missing": [str(error)]}
    missing = [
        f"The {view.part} targets of task {task!r} ({TASK_NAMES[task]}) were not evaluated yet: "
        f"proxysr evaluate {run.path} --split {view.part} --task {task}"
        for task in get_args(Task)
        if f"{view.part}-{task}" not in known
    ]
    names = list(dict.fromkeys(name for entry in known.values() for name in entry["metrics"]))
    rows = []
    for entry in known.values():
        by_name = {name: number(float(value)) for name, value in entry["metrics"].items()}
        task = TASK_NAMES.get(entry["task"], entry["task"])
        after = f"after at least {entry['min_prefix']} click(s)"
        rows.append(
            {
                "name": f"{entry['part']}, {task}, {after}",
                "part": entry["part"],
                "task": task,
                "n_targets": number(entry.get("n_targets")),
                "cells": [by_name.get(name, "–") for name in names],
                "by_name": by_name,
            }
        )
    return {"names": names, "rows": rows, "missing": missing}


def _quality(view: RunView) -> dict[str, Any]:
    """How far the maps can be trusted."""
    full, half = view.projection, view.half_projection
    rows = [
        {
            "name": title,
            "half": None if half is None else number(float(getattr(half.quality, name))),
            "full": number(float(getattr(full.quality, name))),
            "meaning": meaning,
        }
        for name, title, meaning in (
            ("recall", "Neighbours kept", "share of 10 neighbours on the map that are so off it"),
            ("trustworthiness", "Trustworthiness", "near 1: no far ones among them; 0.5: chance"),
            ("cpd", "Distances", "rank correlation of distances on and off the map"),
        )
    ]
    settings = ", ".join(f"{name} {value}" for name, value in full.settings.to_dict().items())
    said = [f"t-SNE with {settings}, of {len(view.drawn):,} sessions and the proxies."]
    if half is not None:
        said.insert(0, f"The two maps, {view.layout}.")
    return {"half": half is not None, "rows": rows, "sentences": said}


def _flow(view: RunView) -> dict[str, Any]:
    """How sessions moved between proxies from the half-way to the final checkpoint."""
    if view.half_table is None:
        return {"sentence": "There is no half-way snapshot to compare with.", "rows": []}
    half, full = view.half_table["proxy"].to_numpy(), view.table["proxy"].to_numpy()
    flows = flow_table(half, full)
    fate = fates(half, full, n_proxies=view.n_proxies)
    counts = fate["fate"].value_counts()
    rows = [
        {
            "half": row["half"],
            "full": row["full"],
            "sessions": number(row["n_sessions"]),
            "share": f"{row['share_of_half']:.1%}",
        }
        for row in flows.head(MOST_FLOWS).to_dict("records")
    ]
    agreement = f"{flow_agreement(half, full)}, with its 95 % interval." if len(full) > 1 else ""
    epochs = f"epoch {view.run.half_epoch} (50 %) and epoch {view.run.best_epoch} (100 %)"
    figures = [
        ("Proxies in use at 50 %", number((fate["n_half"] > 0).sum())),
        ("Proxies in use at 100 %", number((fate["n_full"] > 0).sum())),
        ("Born since, died since", f"{counts.get('born', 0)}, {counts.get('died', 0)}"),
        ("Merged with others", f"{fate['merged'].sum()} (most of their sessions went to one)"),
        ("Rows shown", f"the {len(rows)} largest of {len(flows):,} flows"),
    ]
    return {"sentence": f"Between {epochs}: {agreement}", "rows": rows, "figures": figures}


def _groups(view: RunView) -> list[dict[str, Any]]:
    run = view.run
    about = read_object(run.path / "environment.json", {})
    provenance = run.data.get("provenance", {})
    data = {
        "prepared in": run.data["data_dir"],
        "fingerprint": run.data["fingerprint"],
        **provenance.get("source", {}),
    }
    machine = {
        "python": about.get("python"),
        **about.get("packages", {}),
        **{name: value for name, value in about.items() if name not in ("python", "packages")},
        **{f"{name} (page)": _version(name) for name in ("plotly", "openTSNE")},
    }
    return [
        {"name": f"Model: {run.model_name}", "pairs": _pairs(run.model_config.to_dict())},
        {"name": "Training", "pairs": _pairs(run.train_config.to_dict())},
        {"name": "Data", "pairs": _pairs(data)},
        {"name": "Preparation", "pairs": _pairs(provenance.get("options", {}))},
        {"name": "Versions and machine", "pairs": _pairs(machine)},
    ]


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; those of a mapping are named NAME.INNER."""
    found = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{inner}", text) for inner, text in _pairs(value)]
        else:
            found.append((name, "none" if value is None else str(value)))
    return found


def _steps(view: RunView) -> list[dict[str, Any]]:
    table = provenance_table(view.split)
    return [
        {"step": row["step"], "counts": [number(row[name]) for name in COUNTS]}
        for row in table.to_dict("records")
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
