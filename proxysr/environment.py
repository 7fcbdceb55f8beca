"""What a run was made with: versions, machine, and how many processes."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import torch

from proxysr.distributed import world_size

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
