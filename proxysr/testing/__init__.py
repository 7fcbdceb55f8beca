"""The contract that every model keeps, for whoever adds one: see ``docs/add_a_model.md``.

>>> from proxysr.models import Popularity
>>> len(check_model(Popularity, finds="nothing"))
10
"""

from proxysr.testing.case import TRAIN, Case, Check, Finds
from proxysr.testing.contract import ContractError, check_model, checks_of
from proxysr.testing.planted import N_ITEMS, SESSIONS, cycles, planted_split, split_of

__all__ = [
    "N_ITEMS",
    "SESSIONS",
    "TRAIN",
    "Case",
    "Check",
    "ContractError",
    "Finds",
    "check_model",
    "checks_of",
    "cycles",
    "planted_split",
    "split_of",
]
