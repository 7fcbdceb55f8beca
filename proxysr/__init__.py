"""ProxySR: session-based recommendation with proxies of general interest."""

import importlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# PyTorch then asks for large pages: scores of all items are written to new memory again and again,
# and with small ones (Linux) a sixth of an evaluation is spent on getting them
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

try:
    __version__ = version("proxysr")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"


def lazy_attributes(
    package: str, module_of: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package whose names load on first use.

    Parameters
    ----------
    package : str
    module_of : dict
        Public name to the module that has it.
    """

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(module_of[name]), name)

    return get, lambda: sorted(module_of), sorted(module_of)


__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "LatentProxy": "proxysr.models",
        "MODELS": "proxysr.models",
        "PrepareConfig": "proxysr.data",
        "ProxySR": "proxysr.models",
        "Recommender": "proxysr.recommender",
        "RunDir": "proxysr.run",
        "SessionSplit": "proxysr.data",
        "Sessions": "proxysr.data",
        "TrainConfig": "proxysr.training",
        "evaluate": "proxysr.evaluation",
        "fit": "proxysr.training",
        "prepare": "proxysr.data",
        "read_events": "proxysr.data",
        "synthetic_events": "proxysr.data",
    },
)
