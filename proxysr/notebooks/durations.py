"""How long notebooks take, as their first cells say, and how much of that is left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from proxysr.files import read_json

UNITS = {"second": 1, "minute": 60, "hour": 3600}
SAID = re.compile(r"\b[Tt]akes\s+about\s+(an?|half\s+an?|\d+)\s+(second|minute|hour)s?\b")
NUMBERS = {"a": 1.0, "an": 1.0, "half a": 0.5, "half an": 0.5}


def said_seconds(notebook: Path) -> float | None:
    """Seconds that a notebook says to take with its default parameters; None if it does not."""
    first = next(iter(read_json(notebook)["cells"]), {"source": ""})
    found = SAID.search(" ".join("".join(first["source"]).split()))
    if found is None:
        return None
    number = NUMBERS.get(found[1])
    return (float(found[1]) if number is None else number) * UNITS[found[2]]


def told(seconds: float) -> str:
    """A duration in words, coarse as estimates are.

    >>> told(40), told(65), told(320), told(9000)
    ('40 seconds', '1 minute', '5 minutes', '2.5 hours')
    """
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size:
            n = (
                f"{seconds / size:.1f}".removesuffix(".0")
                if unit == "hour"
                else f"{seconds / size:.0f}"
            )
            return f"{n} {unit}{'' if n == '1' else 's'}"
    return f"{max(10 * round(seconds / 10), 10)} seconds"


def left(said: Sequence[float | None], n_done: int, elapsed: float, jobs: int) -> str:
    """What to tell of the time that is left, corrected by how long the first ones took.

    Parameters
    ----------
    said : sequence of float or None
        Seconds of each notebook, in the order in which they run; None where it is not known.
    n_done : int
        How many of them have ended.
    elapsed : float
        Seconds since the first one began.
    jobs : int
        How many run at the same time.

    >>> left([60, 60, 120], n_done=0, elapsed=0, jobs=1)
    'about 4 minutes left'
    >>> left([60, 60, 120], n_done=2, elapsed=240, jobs=1)
    'about 4 minutes left'
    >>> left([60, None], n_done=0, elapsed=0, jobs=1)
    'how long is not known with these parameters'
    """
    known = [seconds for seconds in said if seconds is not None]
    if len(known) < len(said):
        return "how long is not known with these parameters"
    done = sum(known[:n_done])
    pace = elapsed / done if done else 1 / min(jobs, len(known))
    return f"about {told(pace * sum(known[n_done:]))} left"
