"""Names of a model's proxies, as interests: from the items that set them apart, or by hand.

An item gives a name only if more of the interest's sessions have it than chance allows, corrected
for the number of items, and at least five have it: names by the highest lift alone are mostly luck.
What is named by hand is kept in the run's folder, beside the weights that it was given to: another
training numbers its proxies anew, so that its interests never go by these names.
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
"""An item that names an interest has a corrected p-value below this."""
FEWEST = 5
"""And is in at least so many of its sessions."""
N_ITEMS = 2
"""Items that a name is made of, at most."""
LENGTH = 24
"""Characters of an item in a name."""
LONGEST = 80
"""Characters of a name that is given by hand."""

By = Literal["items", "mixed", "empty", "hand"]


class InterestName(NamedTuple):
    """A name, and what it is made by: items, hand, or none of these as no item stands out."""

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
        Why names that lie there are not shown.
    """

    def __init__(self, run: RunDir) -> None:
        self.path = run.path / FILE
        self.weights = run.weights_fingerprint()
        self.names: dict[int, str] = {}
        self.note: str | None = None
        try:
            kept = self._read()
        except (ValueError, OSError) as error:
            self.note = f"Names of interests are not shown: {error}"
            return
        self.names = {int(proxy): str(name) for proxy, name in kept.get(self.weights, {}).items()}
        if kept and self.weights not in kept:
            self.note = (
                f"{self.path} holds names of interests that were given to another training of this "
                "run; they are not shown."
            )

    def give(self, proxy: int, name: str) -> None:
        """Name a proxy; an empty name takes the given one back. Kept at once.

        Raises
        ------
        ConfigError
            If the name is too long.
        ValueError, OSError
            If the file is damaged, no file of names, or cannot be written: it stays as it is.
        """
        name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        require(
            len(name) <= LONGEST,
            f"A name has at most {LONGEST} characters; received {len(name)}.",
        )
        busy = f"{self.path} is written by another process. Try again."
        with locked(self.path.with_name(f".{FILE}.lock"), busy, wait=5.0):
            kept = self._read()
            own = {key: text for key, text in kept.get(self.weights, {}).items()}
            own.pop(str(proxy), None)
            if name:
                own[str(proxy)] = name
            kept[self.weights] = own
            head = {"format": FORMAT, "version": VERSION}
            write_json(self.path, head | {"names": {key: of for key, of in kept.items() if of}})
        self.names = {int(key): text for key, text in own.items()}

    def _read(self) -> dict[str, dict[str, str]]:
        """Names by weights and proxy; none if there is no file."""
        if not self.path.is_file():
            return {}
        found = read_object(self.path, {})
        if found.get("format") != FORMAT:
            raise ValueError(
                f"{self.path} was not written by proxysr; it was left as it is. Move it away."
            )
        if found.get("version") != VERSION:
            raise ValueError(
                f"{self.path} is of version {found.get('version')}; this proxysr reads version "
                f"{VERSION}. It was left as it is."
            )
        names: Mapping[str, Any] = checked(found, {"names": dict}, self.path)["names"]
        for of in names.values():
            fits = isinstance(of, dict) and all(
                key.isdecimal() and isinstance(text, str) for key, text in of.items()
            )
            if not fits:
                raise ValueError(f"{self.path} is damaged: names are texts, by number of proxy.")
        return {key: dict(of) for key, of in names.items()}


def _short(text: str) -> str:
    return text if len(text) <= LENGTH else text[: LENGTH - 1].rstrip() + "…"
