"""The JSON file that every benchmark leaves: what was measured, on which machine, by what command.

Rates and times depend on the machine. Ratios of two numbers that were measured in the same run
depend on it less, so every file has ``ratios``.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import torch

from proxysr import paths
from proxysr.files import read_json, write_json
from proxysr.plots.saving import save_figure

PACKAGES = ("proxysr", "torch", "numpy", "pandas", "plotly")


def add_out(parser: argparse.ArgumentParser) -> None:
    """Declare ``--out``, the folder that the JSON file and the picture are written to."""
    parser.add_argument(
        "--out", type=Path, default=paths.figures() / "benchmarks", metavar="FOLDER",
        help="folder for the JSON file and the picture (figures/benchmarks)",
    )  # fmt: skip


def record(
    name: str,
    out: Path,
    *,
    settings: Mapping[str, Any],
    result: Any,
    ratios: Mapping[str, float | None],
    figure: go.Figure | None = None,
    table: pd.DataFrame | None = None,
) -> Path:
    """Write ``NAME.json`` to a folder, and ``NAME.png`` and ``NAME.html`` if there is a figure.

    Parameters
    ----------
    name : str
        Name of the benchmark's module.
    out : Path
        Made if it is not there.
    settings : mapping
        What was asked for.
    result
        What was measured; plain JSON values.
    ratios : mapping
        Name to a ratio of two numbers of this run; None where one of them is not there.
    figure : Figure, optional
    table : DataFrame, optional
        Written as ``NAME.csv`` beside the figure.

    Returns
    -------
    Path
        The JSON file.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    about: dict[str, Any] = {"name": name, "files": []}
    if figure is not None:
        save_figure(figure, name, folder=out, table=table)
        about |= read_json(path)
    about |= {
        "settings": {key: _without_folders(value) for key, value in settings.items()},
        "command": shlex.join(
            ["python", "-m", f"benchmarks.{name}", *map(_without_folders, sys.argv[1:])]
        ),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(),
        "ratios": dict(ratios),
        "result": result,
    }
    write_json(path, about)
    return path


def machine() -> dict[str, Any]:
    """Model of the processor, cores, threads, load, memory, and the graphics card if any."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def cpu_model() -> str:
    """What the processor calls itself, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _without_folders(value: Any) -> Any:
    """A setting; of an absolute path only its last part, since the folders above are the user's."""
    if isinstance(value, str | Path) and Path(value).is_absolute():
        return Path(value).name
    return str(value) if isinstance(value, Path) else value
