"""Names of a model's proxies as interests: from their typical items, or given by hand.

An item gives a name only if more of the interest's sessions have it than chance allows, corrected
for the number of items, and at least five have it: the highest lifts alone are mostly chance.
Names given by hand are stored in the run's folder with a hash of the weights, because another
training numbers its proxies differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import pandas as pd

from proxysr.config import require
from proxysr.files import checked, read_object, write_json
from proxysr.processes import locked
from proxysr.run import RunDir

FILE = "interest_names.json"
FORMAT = "proxysr-interest-names"
VERSION = 1
SIGNIFICANT = 0.01
"""Largest corrected p-value of an item that names an interest."""
FEWEST = 5
"""Fewest sessions of the interest with such an item."""
N_ITEMS = 2
"""Most items in a name."""
LENGTH = 24
"""Characters of an item in a name."""
LONGEST = 80
"""Characters of a name that is given by hand."""

By = Literal["items", "mixed", "empty", "hand"]


class InterestName(NamedTuple):
    """A name, and its origin: typical items, given by hand, or neither (mixed, empty)."""

    name: str
    by: By


def name_from_items(
    top: pd.DataFrame, n_sessions: int, label: Callable[[int], str]
) -> InterestName:
    """The name of an interest by its items.

    Parameters
    ----------
    top : DataFrame
        What :func:`proxysr.analysis.items.top_items` gives of its sessions.
    n_sessions : int
        How many these are.
    label : function
        From an item's index to its title.

    >>> top = pd.DataFrame({"item": [7, 2], "count": [9, 4], "lift": 3.0, "p_adjusted": 0.001})
    >>> name_from_items(top, 12, "item {}".format)
    InterestName(name='item 7', by='items')
    """
    if n_sessions == 0:
        return InterestName("empty", "empty")
    stands_out = (top["p_adjusted"] < SIGNIFICANT) & (top["count"] >= FEWEST) & (top["lift"] > 1)
    items = top["item"][stands_out].head(N_ITEMS)
    if len(items) == 0:
        return InterestName("mixed", "mixed")
    return InterestName(", ".join(_short(label(int(item))) for item in items), "items")


class HandNames:
    """Names that were given by hand to the proxies of a run as it is now trained.

    Parameters
    ----------
    run : RunDir

    Attributes
    ----------
    names : dict
        By proxy.
    note : str or None
        Why stored names are not shown.
    """

    def __init__(self, run: RunDir) -> None:
        self.path = run.path / FILE
        self.weights = run.weights_fingerprint()
        self.names: dict[int, str] = {}
        self.note: str | None = None
        try:
            saved = self._read()
        except (ValueError, OSError) as error:
            self.note = f"Names of interests are not shown: {error}"
            return
        self.names = {int(proxy): str(name) for proxy, name in saved.get(self.weights, {}).items()}
        if saved and self.weights not in saved:
            self.note = (
                f"{self.path} has names of interests that were given to another training of this "
                "run; they are not shown."
            )

    def give(self, proxy: int, name: str) -> None:
        """Name a proxy and store the name; an empty name removes it.

        Raises
        ------
        ConfigError
            If the name is too long.
        ValueError, OSError
            If the file is damaged, not a file of names, or cannot be written; it is not changed.
        """
        name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        require(
            len(name) <= LONGEST,
            f"A name has at most {LONGEST} characters; received {len(name)}.",
        )
        busy = f"{self.path} is written by another process. Try again."
        with locked(self.path.with_name(f".{FILE}.lock"), busy, wait=5.0):
            saved = self._read()
            names = {key: text for key, text in saved.get(self.weights, {}).items()}
            names.pop(str(proxy), None)
            if name:
                names[str(proxy)] = name
            saved[self.weights] = names
            header = {"format": FORMAT, "version": VERSION}
            write_json(
                self.path, header | {"names": {key: given for key, given in saved.items() if given}}
            )
        self.names = {int(key): text for key, text in names.items()}

    def _read(self) -> dict[str, dict[str, str]]:
        """Names by weights and proxy; none if there is no file."""
        if not self.path.is_file():
            return {}
        content = read_object(self.path, {})
        if content.get("format") != FORMAT:
            raise ValueError(
                f"{self.path} was not written by proxysr; it was left as it is. Move it away."
            )
        if content.get("version") != VERSION:
            raise ValueError(
                f"{self.path} is of version {content.get('version')}; this proxysr reads version "
                f"{VERSION}. It was left as it is."
            )
        names: Mapping[str, Any] = checked(content, {"names": dict}, self.path)["names"]
        for given in names.values():
            fits = isinstance(given, dict) and all(
                key.isdecimal() and isinstance(text, str) for key, text in given.items()
            )
            if not fits:
                raise ValueError(f"{self.path} is damaged: names are texts, by number of proxy.")
        return {key: dict(given) for key, given in names.items()}


def _short(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1].rstrip() + "…"
