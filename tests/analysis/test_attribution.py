"""Addends add up, and flips are those that trying every edit finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proxysr.analysis import attribution
from proxysr.analysis.attribution import Flip, contributions, proxy_path, smallest_flip
from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models import LatentProxy, ProxySR

N_ITEMS = 7


def model_of(seed: int = 0, **options: object) -> ProxySR:
    """A small untrained model in double precision, whose items and positions both matter."""
    torch.manual_seed(seed)
    config = {"embedding_dim": 8, "n_proxies": 4, "max_length": 5, "init_std": 0.3} | options
    return ProxySR(N_ITEMS, ProxySR.Config.from_dict(config)).double().eval()


sessions = st.lists(st.integers(1, N_ITEMS), min_size=1, max_size=7)
positions = st.sampled_from(["end", "start"])


def logits_of(model: ProxySR, clicks: list[int], user: int = -1) -> torch.Tensor:
    return model.trace(batch_of([clicks], users=[user])).proxy_logits[0]


def by_hand(model: ProxySR, clicks: list[int], items: list[int], user: int = -1) -> Flip | None:
    """Every edit, one at a time, as a session of its own."""
    before, best = int(logits_of(model, clicks, user).argmax()), None
    edits: list[tuple[int, int | None]] = []
    edits += [(j, None) for j in range(len(clicks))] if len(clicks) > 1 else []
    edits += [(j, item) for j in range(len(clicks)) for item in items]
    for j, item in edits:
        edited = list(clicks)
        if item is None:
            del edited[j]
        else:
            edited[j] = item
        trace = model.trace(batch_of([edited], users=[user]))
        (first, second), (after, _) = trace.proxy_logits[0].topk(2)
        weights = trace.proxy_weights[0].sort(descending=True).values
        lead = float(first - second)
        if int(after) != before and (best is None or lead > best.lead + 1e-12):
            best = Flip(
                kind="drop" if item is None else "replace",
                position=j, item=clicks[j], replacement=item, clicks=tuple(edited),
                before=before, after=int(after), lead=lead,
                probability=float(weights[0]), margin=float(weights[0] - weights[1]),
            )  # fmt: skip
    return best


@settings(max_examples=30)
@given(clicks=sessions, seed=st.integers(0, 50), count_from=positions)
def test_the_addends_sum_to_the_logits(clicks: list[int], seed: int, count_from: str) -> None:
    model = model_of(seed, proxy_positions=count_from)
    table = contributions(model, clicks)
    read = clicks[-5:]
    assert table["item"].tolist() == read
    assert table["position"].tolist() == list(range(len(clicks)))[-5:]
    logits = logits_of(model, clicks)
    proxy, runner_up = logits.topk(2).indices.tolist()
    assert set(table["proxy"]) == {proxy}
    assert set(table["runner_up"]) == {runner_up}
    assert table["logit"].sum() == pytest.approx(float(logits[proxy]), abs=1e-12)
    lead = float(logits[proxy] - logits[runner_up])
    assert table["difference"].sum() == pytest.approx(lead, abs=1e-12)


def test_in_single_precision_they_sum_to_one_millionth() -> None:
    model = model_of(embedding_dim=32, n_proxies=50, max_length=50).float()
    clicks = np.random.default_rng(0).integers(1, N_ITEMS + 1, size=40).tolist()
    table = contributions(model, clicks)
    logit = float(logits_of(model, clicks)[table["proxy"][0]])
    assert table["logit"].sum() == pytest.approx(logit, abs=1e-6)


def test_each_addend_is_what_the_click_adds() -> None:
    """At the same position and in a session as long, a click adds the same whoever is beside it."""
    model = model_of()
    mine, other = model.trace(batch_of([[3, 5, 1], [3, 2, 6]])).position_logits[:, 0]
    assert torch.allclose(mine, other, atol=1e-14)
    table = contributions(model, [3, 5, 1])
    assert table["logit"][0] == pytest.approx(float(mine[table["proxy"][0]]), abs=1e-14)


def test_a_known_user_adds_a_bias_beside_the_clicks() -> None:
    model = model_of(n_users=2)
    assert model.user_bias is not None
    with torch.no_grad():
        model.user_bias[1, 3] = 50.0
    table = contributions(model, [1, 2], user=1)
    assert table["proxy"].tolist() == [3, 3]
    logit = float(logits_of(model, [1, 2], user=1)[3])
    assert table["logit"].sum() == pytest.approx(logit - 50, abs=1e-12)
    assert table["prior"].tolist() == [50, 50]
    logits = logits_of(model, [1, 2], user=1)
    lead = float(logits[3] - logits[table["runner_up"][0]])
    assert table["difference"].sum() + table["prior"][0] == pytest.approx(lead, abs=1e-12)
    assert contributions(model, [1, 2])["prior"].tolist() == [0, 0]


@settings(max_examples=30)
@given(clicks=sessions, seed=st.integers(0, 50))
def test_the_path_is_the_choice_after_each_click(clicks: list[int], seed: int) -> None:
    model = model_of(seed)
    table = proxy_path(model, clicks)
    read = clicks[-5:]
    assert table["item"].tolist() == read
    assert table["position"].tolist() == list(range(len(clicks)))[-5:]
    for n, (proxy, probability) in enumerate(
        zip(table["proxy"], table["probability"], strict=True)
    ):
        weights = model.trace(batch_of([read[: n + 1]])).proxy_weights[0]
        assert proxy == int(weights.argmax())
        assert probability == pytest.approx(float(weights.max()), abs=1e-12)
    assert table["proxy"].iloc[-1] == contributions(model, clicks)["proxy"][0]


def test_a_single_proxy_has_no_rival() -> None:
    model = model_of(n_proxies=1)
    table = contributions(model, [1, 2])
    assert table["runner_up"].tolist() == [-1, -1]
    assert table["difference"].isna().all()
    assert smallest_flip(model, [1, 2]) is None


@settings(max_examples=20)
@given(clicks=sessions, seed=st.integers(0, 50), count_from=positions)
def test_the_flip_is_the_best_of_all_edits(clicks: list[int], seed: int, count_from: str) -> None:
    model = model_of(seed, proxy_positions=count_from)
    same(smallest_flip(model, clicks), by_hand(model, clicks, list(range(1, N_ITEMS + 1))))
    same(smallest_flip(model, clicks, replacements=[]), by_hand(model, clicks, []))
    same(smallest_flip(model, clicks, replacements=[2, 6]), by_hand(model, clicks, [2, 6]))


def test_items_that_are_tried_in_portions_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clicks = [1, 4, 2]
    whole = smallest_flip(model_of(3), clicks)
    monkeypatch.setattr(attribution, "MEMORY", 1)
    same(smallest_flip(model_of(3), clicks), whole)


class Guessing(ProxySR):
    """Does not know what a replaced click adds."""

    def replaced(self, batch: SessionBatch, items: torch.Tensor) -> torch.Tensor:
        return torch.randn_like(super().replaced(batch, items))


@pytest.mark.parametrize("seed", range(5))
def test_estimates_are_checked(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 28 replacements are weighed, so guesses do no harm; of fewer, no flip is false."""
    model, clicks = model_of(seed), [1, 4, 2, 6]
    model.__class__ = Guessing
    wanted = by_hand(model, clicks, list(range(1, N_ITEMS + 1)))
    same(smallest_flip(model, clicks), wanted)
    monkeypatch.setattr(attribution, "CANDIDATES", 3)
    flip = smallest_flip(model, clicks)
    if flip is not None:
        assert int(logits_of(model, list(flip.clicks)).argmax()) == flip.after != flip.before


def test_a_bias_of_the_user_may_hold_the_proxy() -> None:
    model = model_of(n_users=2)
    assert model.user_bias is not None
    with torch.no_grad():
        model.user_bias[1, 3] = 50.0
    assert smallest_flip(model, [1, 2, 3], user=1) is None
    with torch.no_grad():
        model.user_bias[1, 3] = 0.0
        model.user_bias[0] = torch.tensor([0.1, 0.2, 0.0, 0.3])
    items = list(range(1, N_ITEMS + 1))
    same(smallest_flip(model, [1, 2, 3], user=0), by_hand(model, [1, 2, 3], items, user=0))


def test_some_sessions_flip_by_a_drop_and_some_by_a_replacement() -> None:
    kinds = set()
    for seed in range(30):
        for items in (None, [4]):
            flip = smallest_flip(model_of(seed), [1, 4, 2, 2], replacements=items)
            kinds.add(flip and flip.kind)
    assert kinds == {"drop", "replace", None}


def test_what_cannot_be_explained_is_refused() -> None:
    model = model_of()
    for explain in (contributions, smallest_flip, proxy_path):
        with pytest.raises(ConfigError, match="at least one click; received none"):
            explain(model, [])
        with pytest.raises(ConfigError, match=r"Items of this model are 1 to 7; received 0, 8"):
            explain(model, [1, 0, 8])
        with pytest.raises(ConfigError, match="ProxySR chooses no proxies"):
            explain(model_of(proxy_by="encoding", projection=False), [1])
        with pytest.raises(ConfigError, match="LatentProxy has one proxy, which all sessions"):
            explain(LatentProxy(7, LatentProxy.Config(n_proxies=1)), [1])
    with pytest.raises(ConfigError, match=r"Items of this model are 1 to 7; received 9"):
        smallest_flip(model, [1], replacements=[1, 9])


def same(found: Flip | None, wanted: Flip | None) -> None:
    """The same flip; of flips that are as good, any."""
    assert (found is None) == (wanted is None)
    if found is None or wanted is None:
        return
    assert found.lead == pytest.approx(wanted.lead, abs=1e-10)
    assert found.before == wanted.before
    if found.clicks == wanted.clicks:
        assert found.after == wanted.after
        assert found.probability == pytest.approx(wanted.probability, abs=1e-10)
        assert found.margin == pytest.approx(wanted.margin, abs=1e-10)
