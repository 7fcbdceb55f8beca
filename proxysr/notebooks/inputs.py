"""Inputs of a notebook: the user's files, or small synthetic ones made in the folder of runs."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from proxysr import paths
from proxysr.data.sources import SOURCES
from proxysr.data.synthetic import SyntheticConfig, synthetic_events
from proxysr.files import replacing


def log_file(log: str | Path, name: str) -> Path:
    """``log`` if one is named, else a synthetic log as CSV.

    The columns are ``session_id``, ``user_id``, ``item_id``, ``timestamp`` and ``title``.

    Parameters
    ----------
    log : str or Path
        A CSV, TSV or Parquet file; empty for synthetic events.
    name : str
        The notebook; each has its own files, so that notebooks can run in parallel.
    """
    if str(log):
        return Path(log).expanduser()
    events, items, _ = synthetic_events(SyntheticConfig())
    path = paths.runs() / name / "events.csv"
    with replacing(path) as temporary:
        events.merge(items[["item_id", "title"]], on="item_id").to_csv(temporary, index=False)
    return path


def prepared_data(data_dir: str | Path, name: str, **synthetic: Any) -> Path:
    """``data_dir`` if one is named, else freshly prepared synthetic data.

    Parameters
    ----------
    data_dir : str or Path
        Folder that ``proxysr prepare`` wrote; empty for synthetic data.
    name : str
        The notebook.
    **synthetic
        Fields of ``SyntheticConfig`` that differ from the defaults.
    """
    if str(data_dir):
        return Path(data_dir).expanduser()
    split = SOURCES["synthetic"].prepare("synthetic", **synthetic)
    return split.save(paths.runs() / name / "data")


def run_folder(run_dir: str | Path, name: str, *settings: Any) -> Path:
    """``run_dir`` if one is named, else a folder for these settings.

    Equal settings give the same folder, so that a notebook that is run again or was
    interrupted finds its runs.

    Parameters
    ----------
    run_dir : str or Path
    name : str
        The notebook.
    *settings
        Plain values that the run depends on.
    """
    if str(run_dir):
        return Path(run_dir).expanduser()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return paths.runs() / name / f"run-{digest[:8]}"


def command_of(name: str) -> str:
    """The command that runs a notebook, and so makes its figures.

    Parameters
    ----------
    name : str
        The notebook.
    """
    return os.environ.get("PROXYSR_COMMAND") or f"proxysr notebooks {name}"
