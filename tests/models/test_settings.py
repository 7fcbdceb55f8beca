"""Settings that a model refuses, in words."""

from __future__ import annotations

from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.models import MODELS

REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "cooccurrence": [
        ({"window": 0}, "window is at least 1; received 0"),
        ({"max_length": 0}, "max_length is at least 1; received 0"),
        ({"half_life": -1}, "half_life is not negative; received -1"),
        ({"direction": "back"}, "direction is one of 'both', 'forward'; received 'back'"),
        ({"recency_weight": "log"}, "recency_weight is one of 'linear', 'reciprocal', 'none'"),
    ],
    "core": [
        ({"temperature": 0}, "temperature is positive; received 0"),
        ({"embedding_dim": 5}, r"embedding_dim \(5\) is a multiple of n_heads \(2\)"),
        ({"dropout_items": 1}, r"dropout_items is in \[0, 1\); received 1"),
        ({"n_layers": 0}, "n_layers is at least 1; received 0"),
        ({"init_std": -1}, "init_std is not negative; received -1"),
    ],
    "csrm": [
        ({"n_remembered": 0}, "n_remembered is at least 1; received 0"),
        ({"n_neighbours": 0}, "n_neighbours is at least 1; received 0"),
        ({"dropout": 1}, r"dropout is in \[0, 1\); received 1"),
        ({"dropout_items": -0.1}, r"dropout_items is in \[0, 1\); received -0.1"),
    ],
    "gcegnn": [
        ({"window": 0}, "window is at least 1; received 0"),
        ({"n_neighbors": 0}, "n_neighbors is at least 1; received 0"),
        ({"n_hops": 0}, "n_hops is at least 1; received 0"),
        ({"dropout": 1}, r"dropout is in \[0, 1\); received 1"),
        ({"dropout_aggregator": -1}, r"dropout_aggregator is in \[0, 1\); received -1"),
    ],
    "grec": [
        ({"gap_share": 0}, r"gap_share is in \(0, 1\]; received 0"),
        ({"dilations": ()}, r"dilations are one or more numbers from 1 on; received \[\]"),
        ({"dilations": (1, 0)}, r"dilations are one or more .*; received \[1, 0\]"),
        ({"kernel_size": 2}, "kernel_size is an odd number from 1 on; received 2"),
        ({"dropout": 1}, r"dropout is in \[0, 1\); received 1"),
    ],
    "hrnn": [
        ({"dropout_user": 1}, r"dropout_user is in \[0, 1\); received 1"),
        ({"dropout_init": -0.1}, r"dropout_init is in \[0, 1\); received -0.1"),
        ({"variant": "both"}, "variant is one of 'init', 'all'; received 'both'"),
        ({"proxysr": ("n_proxies",)}, "NAME=VALUE; received 'n_proxies'"),
        ({"proxysr": ("n_proxis=3",)}, "Did you mean 'n_proxies'"),
        (
            {"proxysr": ("expressed_by=short-term", "projection=no", "lambda_orthog=0")},
            "chooses no proxies",
        ),
    ],
    "proxysr": [
        ({"n_proxies": 0}, "n_proxies is at least 1; received 0"),
        ({"lambda_dist": -1}, "lambda_dist is not negative; received -1"),
        ({"margin": 0}, "margin is positive; received 0"),
        ({"dropout": 1}, r"dropout is in \[0, 1\); received 1"),
        ({"temperature_end": 5}, r"temperature_start \(3.0\) is at least temperature_end \(5.0\)"),
        (
            {"expressed_by": "short-term", "proxy_by": "encoding"},
            "proxy_by='encoding' needs a proxy, and expressed_by='short-term' leaves it out",
        ),
        (
            {"projection": False, "lambda_orthog": 0.1},
            "one of them is left out: it must be 0 then; received 0.1",
        ),
        (
            {"expressed_by": "short-term", "lambda_orthog": 0.1},
            "one of them is left out: it must be 0 then; received 0.1",
        ),
        (
            {"proxy_by": "encoding", "projection": False, "n_users": 3},
            "none are chosen: it must be 0 then; received 3",
        ),
        ({"negatives": "some"}, "negatives is one of 'hardest', 'all'; received 'some'"),
    ],
    "repeatnet": [
        ({"lambda_mode": -1}, "lambda_mode is not negative; received -1"),
        ({"dropout": 1}, r"dropout is in \[0, 1\); received 1"),
        ({"embedding_dim": 0}, "embedding_dim is at least 1; received 0"),
    ],
    "sasrec": [
        ({"n_blocks": 0}, "n_blocks is at least 1; received 0"),
        ({"dropout": 1}, r"dropout is in \[0, 1\); received 1"),
        ({"objective": "bpr"}, "objective is one of 'softmax', 'binary'; received 'bpr'"),
        ({"max_length": 0}, "max_length is at least 1; received 0"),
    ],
    "slist": [
        ({"alpha": 1.5}, r"alpha is in \[0, 1\]; received 1.5"),
        ({"penalty": 0}, "penalty is positive; received 0"),
        ({"n_kept": -1}, "n_kept is not negative; received -1"),
        ({"max_length": 0}, "max_length is at least 1; received 0"),
        ({"past": "all"}, "past is one of 'click', 'clicks'; received 'all'"),
    ],
}
CASES = [(name, *case) for name, cases in REFUSED.items() for case in cases]


@pytest.mark.parametrize(("name", "options", "message"), CASES)
def test_settings_out_of_range_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        MODELS[name].Config(**options)
