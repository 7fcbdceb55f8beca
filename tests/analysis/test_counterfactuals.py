"""Other proxies and temperatures: the same as scoring, ranking and evaluating by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proxysr.analysis.counterfactuals import (
    at_temperature,
    rank_of,
    recommendations_under,
)
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.models import ProxySR

N_ITEMS, K = 9, 4


def model_of(seed: int = 0, **options: object) -> ProxySR:
    """A small untrained model in double precision that chooses softly."""
    torch.manual_seed(seed)
    config = {"embedding_dim": 8, "n_proxies": K, "max_length": 5, "init_std": 0.3}
    config |= {"init_std_selector": 1.0} | options
    return ProxySR(N_ITEMS, ProxySR.Config.from_dict(config)).double().eval()


sessions = st.lists(st.integers(1, N_ITEMS), min_size=1, max_size=7)
options = st.fixed_dictionaries(
    {},
    optional={"proxy": st.integers(0, K - 1), "temperature": st.sampled_from([0.01, 0.5, 3.0])},
)


def ranked(model: ProxySR, clicks: list[int], task: str, **under: Any) -> list[tuple[float, int]]:
    """All items and their scores, best first."""
    scores = model.score(
        batch_of([clicks]), force_proxy=under.get("proxy"), temperature=under.get("temperature")
    )[0].tolist()
    left_out = set(clicks) if task == "unseen" else set()
    every = [(scores[i], i) for i in range(1, N_ITEMS + 1) if i not in left_out]
    return sorted(every, reverse=True)


@settings(max_examples=30)
@given(clicks=sessions, under=options, task=st.sampled_from(["unseen", "repeat"]))
def test_recommendations_and_ranks_are_those_of_sorted_scores(
    clicks: list[int], under: dict[str, Any], task: Any
) -> None:
    model = model_of()
    wanted = ranked(model, clicks, task, **under)
    found = recommendations_under(model, clicks, k=5, task=task, **under)
    assert found["rank"].tolist() == list(range(1, len(wanted[:5]) + 1))
    assert found["item"].tolist() == [item for _, item in wanted[:5]]
    assert found["score"].tolist() == pytest.approx([score for score, _ in wanted[:5]])
    for place, (_, item) in enumerate(wanted, start=1):
        assert rank_of(model, clicks, item, task=task, **under) == place


def test_a_proxy_or_a_temperature_makes_a_difference() -> None:
    model = model_of()
    lists = {tuple(recommendations_under(model, [1, 2], proxy=k, k=9)["item"]) for k in range(K)}
    assert len(lists) > 1
    hard = recommendations_under(model, [1, 2], temperature=1e-6)["score"]
    proxy = int(model.trace(batch_of([[1, 2]])).proxy_logits.argmax())
    assert hard.tolist() == pytest.approx(
        recommendations_under(model, [1, 2], proxy=proxy)["score"].tolist()
    )


def test_a_known_user_chooses_with_a_bias() -> None:
    model = model_of(n_users=1)
    assert model.user_bias is not None
    with torch.no_grad():
        model.user_bias[0, 2] = 1e6
    with_user = recommendations_under(model, [1, 2], user=0)["score"].tolist()
    assert with_user == recommendations_under(model, [1, 2], proxy=2)["score"].tolist()
    assert rank_of(model, [1, 2], 3, user=0) == rank_of(model, [1, 2], 3, proxy=2)


def test_a_view_at_another_temperature_shares_the_parameters() -> None:
    model = model_of()
    view = at_temperature(model, 0.5)
    assert float(view.temperature) == 0.5
    assert float(model.temperature) != 0.5
    assert view.items is model.items


def test_all_items_may_have_been_clicked() -> None:
    every = list(range(1, N_ITEMS + 1))
    assert recommendations_under(model_of(), every).empty
    assert len(recommendations_under(model_of(), every, task="repeat", k=100)) == N_ITEMS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clicks": []}, "at least one click; received none"),
        ({"clicks": [10]}, "Items of this model are 1 to 9; received 10"),
        ({"proxy": 4}, "This model's proxies are 0 to 3; received 4"),
        ({"proxy": -1}, "This model's proxies are 0 to 3; received -1"),
        ({"temperature": 0.0}, r"A temperature is a number from 1e-30 to 1e\+30; received 0.0"),
        ({"temperature": float("nan")}, r"from 1e-30 to 1e\+30; received nan"),
        ({"temperature": 1e300}, r"from 1e-30 to 1e\+30; received 1e\+300"),
        ({"temperature": 10**400}, r"from 1e-30 to 1e\+30; received 1000"),
        ({"k": 0}, "k is at least 1; received 0"),
        ({"task": "new"}, "'new' is not a known task"),
        ({"model": model_of(proxy_by="encoding", projection=False)}, "chooses no proxies"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"model": model_of(), "clicks": [1, 2]} | arguments
    with pytest.raises(ConfigError, match=message):
        recommendations_under(**call)
    if "k" not in arguments:
        with pytest.raises(ConfigError, match=message):
            rank_of(target=3, **call)


def test_targets_that_cannot_be_ranked_are_refused() -> None:
    model = model_of()
    with pytest.raises(ConfigError, match="Items of this model are 1 to 9; received 12"):
        rank_of(model, [1], 12)
    with pytest.raises(ConfigError, match="Item 2 was clicked already, so that under task 'unsee"):
        rank_of(model, [1, 2], 2)
    with pytest.raises(ConfigError, match="A temperature is a number from .*; received -1"):
        at_temperature(model, -1)
