"""Whether proxies find the interests that were planted in made-up sessions."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from proxysr.analysis.agreement import Scale, codes_of

PLANTED = "planted_interest"
"""Column of what is known of sessions, in data that :mod:`proxysr.data.synthetic` makes up."""


@dataclass(frozen=True)
class PlantedFound:
    """Proxies beside planted interests.

    Attributes
    ----------
    ami : float
        Adjusted mutual information of the proxy after a session's last click and the interest
        planted in it: 1 for the same groups, 0 at chance.
    n_planted, n_proxies, n_sessions : int
        Different interests, different proxies, sessions.
    """

    ami: float
    n_planted: int
    n_proxies: int
    n_sessions: int

    def __str__(self) -> str:
        return (
            f"{self.n_planted} interests were planted in these sessions, and the model was not "
            f"told; the proxies after the last click ({self.n_proxies} in use) agree with them by "
            f"an AMI of {self.ami:.2f} (1: the same groups, 0: chance)"
        )


def planted_found(table: pd.DataFrame) -> PlantedFound | None:
    """How far proxies agree with planted interests; None if none were planted.

    Parameters
    ----------
    table : DataFrame
        One row a session: ``proxy``, and ``planted_interest`` where there is one.

    >>> str(planted_found(pd.DataFrame({"proxy": [4, 4, 7], "planted_interest": ["a", "a", "b"]})))
    '2 interests were planted in these sessions, and the model was not told; the proxies after the
     last click (2 in use) agree with them by an AMI of 1.00 (1: the same groups, 0: chance)'
    """
    if PLANTED not in table:
        return None
    known = table.dropna(subset=[PLANTED])
    if len(known) < 2:
        return None
    proxies, planted = codes_of(known["proxy"], "proxies"), codes_of(known[PLANTED], PLANTED)
    ami = Scale.of(proxies, planted).adjusted(proxies, planted)
    return PlantedFound(ami, int(planted.max()) + 1, int(proxies.max()) + 1, len(known))
