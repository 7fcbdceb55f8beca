"""Models: one paper a file. Read :mod:`proxysr.models.proxysr` first.

Each file lists where it differs from the paper and from the authors' program. What holds for all of
them is said here alone:

- A step is a batch of complete sessions, with all targets of each. Many programs treat each prefix
  as a session of its own and shuffle all prefixes, or advance parallel sessions by one click a
  step.
- The loss is the cross-entropy of a softmax over all items, unless the file names another one.
- A recurrent network is PyTorch's GRU, whose reset gate acts on the product of matrix and state,
  ``r * (U h)``; the papers have ``U (r * h)``.
- Weights are initialised by PyTorch's defaults, unless the file says how, and trained by Adam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from proxysr.config import ConfigError, Settings, unknown
from proxysr.models.base import LearnedModel, Loss, SessionModel
from proxysr.models.cooccurrence import Cooccurrence
from proxysr.models.core import CORE
from proxysr.models.csrm import CSRM
from proxysr.models.fgnn import FGNN
from proxysr.models.gcegnn import GCEGNN
from proxysr.models.grec import GRec
from proxysr.models.gru4rec import GRU4Rec
from proxysr.models.hrnn import HRNN
from proxysr.models.latent_proxy import LatentProxy
from proxysr.models.mean import MeanEncoder
from proxysr.models.narm import NARM
from proxysr.models.popularity import Popularity, SessionPopularity
from proxysr.models.proxy_model import ProxyModel, ProxyTrace
from proxysr.models.proxysr_variants import ProxySR
from proxysr.models.repeatnet import RepeatNet
from proxysr.models.sasrec import SASRec
from proxysr.models.slist import SLIST
from proxysr.models.srgnn import SRGNN
from proxysr.models.stamp import STAMP
from proxysr.models.stan import STAN
from proxysr.models.vsknn import VSKNN
from proxysr.models.vstan import VSTAN

__all__ = [
    "CORE",
    "CSRM",
    "DEFAULT",
    "FGNN",
    "GCEGNN",
    "HRNN",
    "MODELS",
    "NARM",
    "SLIST",
    "SRGNN",
    "STAMP",
    "STAN",
    "VSKNN",
    "VSTAN",
    "Cooccurrence",
    "GRU4Rec",
    "GRec",
    "LatentProxy",
    "LearnedModel",
    "Loss",
    "MeanEncoder",
    "Popularity",
    "ProxyModel",
    "ProxySR",
    "ProxyTrace",
    "RepeatNet",
    "SASRec",
    "SessionModel",
    "SessionPopularity",
    "create",
    "learns",
    "model_class",
    "name_of",
]

MODELS: dict[str, type[SessionModel]] = {
    "latent_proxy": LatentProxy,
    "proxysr": ProxySR,
    "gru4rec": GRU4Rec,
    "narm": NARM,
    "stamp": STAMP,
    "sasrec": SASRec,
    "repeatnet": RepeatNet,
    "srgnn": SRGNN,
    "fgnn": FGNN,
    "csrm": CSRM,
    "grec": GRec,
    "gcegnn": GCEGNN,
    "core": CORE,
    "hrnn": HRNN,
    "mean": MeanEncoder,
    "popularity": Popularity,
    "session-popularity": SessionPopularity,
    "cooccurrence": Cooccurrence,
    "vsknn": VSKNN,
    "stan": STAN,
    "vstan": VSTAN,
    "slist": SLIST,
}
"""Every model by the name that the command line and a run's ``config.json`` use."""

DEFAULT = "latent_proxy"
"""The model to train if none is named."""


def model_class(name: str) -> type[SessionModel]:
    """The class of a model by name; an unknown name is an error with the nearest match."""
    if name not in MODELS:
        raise ConfigError(unknown(name, MODELS, "model"))
    return MODELS[name]


def name_of(model: SessionModel) -> str:
    """The name of a model in :data:`MODELS`; that of its class if it is not among them."""
    return next((name for name, cls in MODELS.items() if cls is type(model)), type(model).__name__)


def learns(name: str) -> bool:
    """Whether the model of this name is fitted by gradient steps; otherwise it only counts."""
    return issubclass(model_class(name), LearnedModel)


def create(
    name: str, n_items: int, config: Settings | Mapping[str, Any] | None = None, *, seed: int = 0
) -> SessionModel:
    """Build a model with weights drawn from ``seed``; the caller's random state is untouched."""
    cls = model_class(name)
    if isinstance(config, Mapping):
        config = cls.Config.from_dict(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(n_items, config)
