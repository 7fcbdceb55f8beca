"""Folders of the project, independent of the current folder.

papermill runs a notebook in the caller's folder, nbval in the notebook's own; both find the same
files through these functions.
"""

from __future__ import annotations

import os
from pathlib import Path


def project_root() -> Path:
    """The folder that holds ``notebooks/`` and ``figures/``.

    ``PROXYSR_HOME`` if set, else the nearest folder above the current one that
    holds them, else the checkout this package was imported from, else the
    current folder.
    """
    if named := os.environ.get("PROXYSR_HOME"):
        return Path(named).expanduser().resolve()
    current = Path.cwd().resolve()
    for folder in (current, *current.parents, Path(__file__).resolve().parents[1]):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return current


def notebooks() -> Path:
    """The folder of the numbered notebooks."""
    return project_root() / "notebooks"


def figures() -> Path:
    """The folder that generated figures are written to (``PROXYSR_FIGURES`` overrides)."""
    return Path(os.environ.get("PROXYSR_FIGURES") or project_root() / "figures")


def runs() -> Path:
    """The default folder of runs (``PROXYSR_RUNS`` overrides)."""
    return Path(os.environ.get("PROXYSR_RUNS") or project_root() / "runs")


def data() -> Path:
    """The default folder of prepared data (``PROXYSR_DATA`` overrides)."""
    return Path(os.environ.get("PROXYSR_DATA") or project_root() / "data")


def placed(text: str) -> str:
    """``text`` with ``$PROXYSR_DATA`` or ``$PROXYSR_RUNS`` at its start replaced by the folder.

    So files and commands can name prepared data and runs independently of where these are. If the
    variable is not set, the project's own folder is used.

    >>> placed("$PROXYSR_RUNS/shop") == str(runs() / "shop")
    True
    >>> placed("data/shop")
    'data/shop'
    """
    for name, folder in (("$PROXYSR_DATA", data), ("$PROXYSR_RUNS", runs)):
        if text == name or text.startswith(f"{name}/"):
            return str(folder()) + text.removeprefix(name)
    return text


def cache() -> Path:
    """The folder for downloads and other files that can be made again (``PROXYSR_CACHE``)."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "proxysr"
    return Path(os.environ.get("PROXYSR_CACHE") or default)
