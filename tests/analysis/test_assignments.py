"""Which proxy a session chose: from ranks, from the model, and beside what is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.analysis.assignments import (
    assignments_from_model,
    assignments_from_ranks,
    decisions,
    with_label,
)
from proxysr.config import ConfigError, Settings
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import evaluate
from proxysr.models import ProxySR, SessionModel


@pytest.fixture
def model() -> ProxySR:
    torch.manual_seed(0)
    config = ProxySR.Config(embedding_dim=8, n_proxies=5, max_length=6, temperature_start=0.1)
    return ProxySR(6, config).eval()


class Constant(SessionModel):
    """Likes all items equally."""

    Config = Settings

    def score(self, batch: SessionBatch) -> torch.Tensor:
        scores = torch.zeros(len(batch.items), self.n_items + 1)
        scores[:, 0] = -torch.inf
        return scores

    represent = score


def test_from_ranks_is_the_longest_prefix_of_each_session(
    model: ProxySR, tiny_split: SessionSplit
) -> None:
    ranks = evaluate(model, tiny_split.test, task="repeat").ranks
    table = assignments_from_ranks(ranks)
    assert table["session_id"].tolist() == ["h", "i"]
    assert table["n_clicks"].tolist() == [3, 2]
    weights = model.trace(batch_of([[2, 3, 2]])).proxy_weights[0]
    assert table["proxy"][0] == int(weights.argmax())
    assert table["probability"][0] == pytest.approx(float(weights.max()), rel=1e-5)


def test_from_the_model_is_by_all_clicks(model: ProxySR) -> None:
    clicks = [[2, 3, 2, 4], [1], [5, 6, 1], [1, 2, 3, 4, 5, 6, 1, 2]]
    sessions = Sessions.from_lists(clicks, session_ids=list("wxyz"))
    for batch_size in (1, 3, 100):
        table = assignments_from_model(model, sessions, batch_size=batch_size)
        assert table["session_id"].tolist() == list("wxyz")
        assert table["n_clicks"].tolist() == [4, 1, 3, 6]  # the latest six of eight
        for row, session in enumerate(clicks):
            weights = model.trace(batch_of([session[-6:]])).proxy_weights[0]
            assert table["proxy"][row] == int(weights.argmax())
            assert table["probability"][row] == pytest.approx(float(weights.max()), rel=1e-5)


def test_margins_and_entropies_are_those_of_all_weights(model: ProxySR) -> None:
    sessions = Sessions.from_lists([[2, 3, 2, 4], [1], [5, 6, 1]])
    model.temperature.fill_(2.0)
    table = assignments_from_model(model, sessions)
    for row, clicks in enumerate([[2, 3, 2, 4], [1], [5, 6, 1]]):
        weights = model.trace(batch_of([clicks])).proxy_weights[0].tolist()
        by_weight = sorted(range(5), key=lambda k: -weights[k])
        assert [table["proxy"][row], table["runner_up"][row]] == by_weight[:2]
        margin = weights[by_weight[0]] - weights[by_weight[1]]
        assert table["margin"][row] == pytest.approx(margin, abs=1e-6)
        entropy = -sum(weight * math.log(weight) for weight in weights)
        assert table["entropy"][row] == pytest.approx(entropy, abs=1e-6)


def test_the_runner_up_is_known_even_where_its_weight_vanishes(model: ProxySR) -> None:
    sessions = Sessions.from_lists([[2, 3, 2, 4], [1], [5, 6, 1]])
    model.temperature.fill_(2.0)
    soft = assignments_from_model(model, sessions)
    model.temperature.fill_(1e-6)
    hard = assignments_from_model(model, sessions)
    assert hard["runner_up"].tolist() == soft["runner_up"].tolist()
    assert hard["margin"].tolist() == [1, 1, 1]
    assert hard["entropy"].tolist() == [0, 0, 0]


def test_a_single_proxy_has_no_runner_up() -> None:
    model = ProxySR(6, ProxySR.Config(embedding_dim=4, n_proxies=1)).eval()
    table = assignments_from_model(model, Sessions.from_lists([[1, 2], [3]]))
    assert table["proxy"].tolist() == [0, 0]
    assert table["runner_up"].tolist() == [-1, -1]
    assert table["margin"].tolist() == [1, 1]
    assert table["entropy"].tolist() == [0, 0]


def test_known_users_are_assigned_with_their_bias() -> None:
    model = ProxySR(6, ProxySR.Config(embedding_dim=8, n_proxies=5, n_users=2)).eval()
    assert model.user_bias is not None
    with torch.no_grad():
        model.user_bias[0, 2] = model.user_bias[1, 3] = 1e3
    sessions = Sessions.from_lists([[1, 2], [1, 2]], user_index=[0, 1])
    assert assignments_from_model(model, sessions)["proxy"].tolist() == [2, 3]


def test_sessions_without_clicks_are_left_out(model: ProxySR) -> None:
    sessions = Sessions.from_lists([[1, 2], [], [3]])
    assert assignments_from_model(model, sessions)["session_id"].tolist() == [0, 2]
    nothing = assignments_from_model(model, Sessions.from_lists([[]]))
    assert nothing.empty
    assert list(nothing) == list(assignments_from_model(model, Sessions.from_lists([[1]])))


def test_a_model_without_proxies_is_refused(tiny_split: SessionSplit) -> None:
    ranks = evaluate(Constant(6), tiny_split.test).ranks
    with pytest.raises(ConfigError, match=r"no column proxy; they have session_id, position"):
        assignments_from_ranks(ranks)
    with pytest.raises(ConfigError, match=r"Constant chooses no proxies, so there is none to show"):
        assignments_from_model(Constant(6), tiny_split.test)
    encoding = ProxySR(6, ProxySR.Config(proxy_by="encoding", projection=False)).eval()
    with pytest.raises(ConfigError, match=r"Constant chooses no proxies"):
        decisions(Constant(6), tiny_split.test)
    with pytest.raises(ConfigError, match=r"ProxySR chooses no proxies, .* its ablation without"):
        assignments_from_model(encoding, tiny_split.test)


def test_decisions_are_those_of_reading_click_by_click() -> None:
    torch.manual_seed(3)
    config = ProxySR.Config(embedding_dim=8, n_proxies=5, max_length=6, init_std=0.5)
    model = ProxySR(6, config).eval()
    random = np.random.default_rng(0)
    clicks = [random.integers(1, 7, size=n).tolist() for n in (1, 2, 6, 4, 9, 5, 3, 6, 5, 4)]
    clicks.insert(3, [])
    sessions = Sessions.from_lists(clicks)
    wanted = []
    for row, session in enumerate(clicks):
        read, led = session[-6:], []
        for n in range(1, len(read) + 1):
            led.append(int(model.weigh(batch_of([read[:n]]))[0].argmax()))
        if not led:
            continue
        decided = max([n for n, proxy in enumerate(led, start=1) if proxy != led[-1]], default=0)
        wanted.append((row, len(read), led[-1], len(set(led)), decided + 1))
    for batch_size in (1, 3, 100):
        table = decisions(model, sessions, batch_size=batch_size)
        assert list(table.itertuples(index=False, name=None)) == wanted
    assert list(table) == ["session_id", "n_clicks", "proxy", "proxies_met", "decided_after"]
    assert {met for *_, met, _ in wanted} >= {1, 2, 3}
    assert any(1 < decided < n for _, n, _, _, decided in wanted)
    same = assignments_from_model(model, sessions)
    assert table["proxy"].tolist() == same["proxy"].tolist()


class Planned(ProxySR):
    """Has a path that is told to it."""

    led = ((4, 4, 1, 4, 4), (2, 3, 2, 3, 1), (0, 0, 2, 2, 2))

    def path(self, batch: SessionBatch) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(self.led), 5) * 0.9


def test_decisions_by_hand() -> None:
    model = Planned(6, ProxySR.Config(embedding_dim=4, n_proxies=5)).eval()
    table = decisions(model, Sessions.from_lists([[1, 2, 3, 4, 5]] * 3))
    assert table["proxy"].tolist() == [4, 1, 2]
    assert table["proxies_met"].tolist() == [2, 3, 2]
    assert table["decided_after"].tolist() == [4, 5, 3]


def test_labels_are_joined_by_session_id_as_text() -> None:
    table = pd.DataFrame({"session_id": [1, 2, 3], "proxy": [7, 8, 9]})
    info = pd.DataFrame({"session_id": ["3", "1", "4"], "interest": ["c", "a", "d"]})
    joined = with_label(table, info, "interest")
    assert joined["proxy"].tolist() == [7, 9]
    assert joined["interest"].tolist() == ["a", "c"]


def test_labels_that_cannot_be_joined_are_refused() -> None:
    table = pd.DataFrame({"session_id": ["1", "2"], "proxy": np.array([7, 8])})
    info = pd.DataFrame({"session_id": ["s1", "s2"], "planted_interest": ["a", "b"]})
    with pytest.raises(ConfigError, match=r"Did you mean 'planted_interest'\?"):
        with_label(table, info, "planted_interests")
    with pytest.raises(ConfigError, match=r"look like \['1', '2'\] here and \['s1', 's2'\] there"):
        with_label(table, info, "planted_interest")
    twice = pd.DataFrame({"session_id": ["1", "1"], "planted_interest": ["a", "b"]})
    with pytest.raises(ConfigError, match=r"describes session \['1'\] more than once"):
        with_label(table, twice, "planted_interest")
