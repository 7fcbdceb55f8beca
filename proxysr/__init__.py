"""ProxySR: session-based recommendation with proxies of general interest."""

import os
from importlib.metadata import PackageNotFoundError, version

from proxysr.lazy import lazy_attributes

# PyTorch then asks for large pages: scores of all items are written to new memory again and again,
# and with small ones (Linux) a sixth of an evaluation is spent on getting them
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

try:
    __version__ = version("proxysr")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "LatentProxy": "proxysr.models",
        "MODELS": "proxysr.models",
        "PrepareConfig": "proxysr.data",
        "ProxySR": "proxysr.models",
        "Recommender": "proxysr.recommender",
        "RunDir": "proxysr.runs",
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
