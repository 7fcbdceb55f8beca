"""What a run was made of and with: data; versions, machine, and how many processes."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from proxysr.data.sessions import SessionSplit
from proxysr.distributed import world_size
from proxysr.files import hash_of_file, write_json

PACKAGES = ("proxysr", "torch", "numpy", "pandas", "safetensors")


def environment() -> dict[str, Any]:
    """Facts that change no result but for rounding; JSON-ready."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "processes": world_size(),
    }


def write_facts(
    path: Path, data_dir: str | Path, split: SessionSplit, n_users: int, run: str
) -> None:
    """Write into a run's folder what it was made of and with.

    That is ``items.parquet``, ``users.parquet`` with the first ``n_users`` if any, ``data.json``
    and ``environment.json``.
    """
    tables = {"items.parquet": split.items}
    if n_users:
        tables["users.parquet"] = split.users.head(n_users)
    for name, table in tables.items():
        table.to_parquet(path / name, index=False)
    facts = {
        "run": run,
        "data_dir": str(Path(data_dir).resolve()),
        "fingerprint": split.fingerprint(),
        "n_items": split.n_items,
        "n_users": split.n_users,
        "files": {name: hash_of_file(path / name) for name in tables},
        "provenance": split.provenance,
    }
    write_json(path / "data.json", facts)
    write_json(path / "environment.json", environment())
