"""The payload says what the analyses say, for both models, whatever is not known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.analysis.assignments import decisions
from proxysr.analysis.attribution import contributions
from proxysr.analysis.items import top_items
from proxysr.analysis.run_view import RunView
from proxysr.data.batches import batch_of
from proxysr.evaluation import evaluate
from proxysr.explorer.packing import pack
from proxysr.explorer.payload import FORMAT, TOP, VERSION, payload
from proxysr.explorer.payload_interests import columns_of
from proxysr.recommender import Recommender
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.explorer.large import enlarged
from tests.explorer.small import HOSTILE, made_up_layout, run_of, split_of, view_of
from tests.explorer.unpacking import unpack

LATENT = {"embedding_dim": 8, "n_proxies": 6, "dropout": 0.0, "temperature": 1.0, "max_length": 4}


def latent_run(folder: Path, **settings: Any) -> RunDir:
    data = split_of().save(folder / "data")
    train = TrainConfig(epochs=3, batch_size=8, learning_rate=1e-2, patience=3)
    config = LATENT | settings
    return train_run(
        data, folder / "run", model="latent_proxy", model_config=config, train=train, progress=False
    )


@pytest.fixture(scope="module")
def latent(tmp_path_factory: pytest.TempPathFactory) -> Any:
    run = latent_run(tmp_path_factory.mktemp("latent"))
    evaluate_run(run.path, part="train", progress=False)
    return view_of(run)


@pytest.fixture(scope="module")
def made(latent: RunView) -> dict[str, Any]:
    return payload(latent, n_top=9, travels=True, command="made by").tree


def test_its_shape_is_the_page_s(made: dict[str, Any]) -> None:
    assert (made["format"], made["version"]) == (FORMAT, VERSION) == ("proxysr-explorer", 1)
    sessions, n = made["sessions"], len(made["sessions"]["id"])
    kinds = {
        "xy": "f4", "half_xy": "f4", "proxy": "i2", "half_proxy": "i2", "probability": "f4",
        "margin": "f4", "runner_up": "i2", "n_clicks": "i4", "since": "i4", "met": "i2",
        "rank": "f4", "top": "u4", "started": "f8", "user": "i4", "offsets": "u4", "clicks": "u4",
        "path": "i2", "path_p": "u1", "evidence": "f4", "prior": "f4", "repeat": "u1",
    }  # fmt: skip
    assert {name: x.dtype.str[1:] for name, x in sessions.items() if name != "id"} == kinds
    n_clicks = int(sessions["offsets"][-1])
    for name, values in sessions.items():
        flat = name in ("clicks", "path", "path_p", "evidence")
        assert len(values) == (n + 1 if name == "offsets" else n_clicks if flat else n), name
    assert sessions["clicks"].max() < len(made["items"]["id"])
    header, blob = pack(made)
    again = unpack(json.loads(json.dumps(header, allow_nan=False)), blob)
    np.testing.assert_array_equal(again["sessions"]["clicks"], sessions["clicks"])


def test_sessions_are_those_of_the_view(made: dict[str, Any], latent: RunView) -> None:
    sessions, table = made["sessions"], latent.table
    assert sessions["id"] == table["session_id"].tolist()
    for name in ("proxy", "runner_up", "n_clicks"):
        assert sessions[name].tolist() == table[name].tolist()
    assert latent.half_table is not None
    assert sessions["half_proxy"].tolist() == latent.half_table["proxy"].tolist()
    np.testing.assert_allclose(sessions["margin"], table["margin"], rtol=1e-5)
    index, offsets = made["items"]["index"], sessions["offsets"]
    for row in range(len(table)):
        clicks = sessions["clicks"][offsets[row] : offsets[row + 1]]
        assert index[clicks].tolist() == latent.sessions[row].tolist()
    users = np.array([*made["users"]["id"], ""])
    assert users[sessions["user"]].tolist() == table["user"].tolist()
    started = pd.to_datetime(sessions["started"], unit="s")
    assert started.tolist() == table["started_at"].tolist()
    repeats = [s[-1] in s[:-1] for s in map(latent.sessions.__getitem__, range(len(table)))]
    assert sessions["repeat"].tolist() == [int(x) for x in repeats]


def test_positions_have_one_scale(made: dict[str, Any], latent: RunView) -> None:
    """One scale and one shift for all layouts: distances between them are as before."""
    own = [latent.positions, latent.half_positions, latent.proxy_positions]
    own += [latent.half_proxy_positions]
    now = [made["sessions"]["xy"], made["sessions"]["half_xy"]]
    now += [[p[name] for p in made["proxies"]] for name in ("xy", "half_xy")]
    was, drawn = np.concatenate(own), np.concatenate(now)  # type: ignore[arg-type]
    assert drawn.min() == 0
    assert drawn.max() == pytest.approx(1)
    np.testing.assert_allclose(
        drawn - drawn[0], (was - was[0]) / np.ptp(was, axis=0).max(), atol=1e-5
    )


def check_paths(tree: dict[str, Any], view: RunView) -> None:
    sessions, model = tree["sessions"], view.model
    held = decisions(model, view.sessions)
    offsets = sessions["offsets"].astype(int)
    for row in range(len(view.table)):
        clicks = view.sessions[row].tolist()
        user = int(view.sessions.user_index[row])
        own = slice(offsets[row], offsets[row + 1])
        why = contributions(model, clicks, user=user)
        unread = len(clicks) - len(why)
        np.testing.assert_allclose(
            sessions["evidence"][own], [0.0] * unread + why["difference"].tolist(), atol=1e-5
        )
        assert sessions["prior"][row] == pytest.approx(why["prior"][0], abs=1e-5)
        path, likely = sessions["path"][own], sessions["path_p"][own]
        assert path[:unread].tolist() == [-1] * unread
        assert path[-1] == sessions["proxy"][row]
        for n in range(unread + 1, len(clicks) + 1):
            weights = model.weigh(batch_of([clicks[unread:n]], users=[user]))[1][0]
            assert float(weights[path[n - 1]]) == pytest.approx(float(weights.max()), abs=1e-5)
            assert likely[n - 1] / 255 == pytest.approx(float(weights.max()), abs=0.003)
        assert sessions["met"][row] == held["proxies_met"][row]
        assert sessions["since"][row] == held["decided_after"][row] + unread


def test_paths_and_evidence_are_exact(made: dict[str, Any], latent: RunView) -> None:
    assert (latent.sessions.lengths > LATENT["max_length"]).any(), "some clicks are not read"
    check_paths(made, latent)


def test_the_other_model_s_are_too(view: RunView) -> None:
    tree = payload(view, travels=True).tree
    check_paths(tree, view)
    assert tree["offline"] is None
    assert "proxysr cannot be included in a file" in tree["meta"]["offline_what_if"]


def test_ranks_and_recommendations_are_the_model_s(made: dict[str, Any], latent: RunView) -> None:
    ranks = evaluate(latent.model, latent.sessions, task="unseen").ranks
    known = ranks.set_index(["session_id", "position"])["rank"].to_dict()
    recommender, sessions = Recommender(latent.model, latent.items), made["sessions"]
    kept = 0
    for row, name in enumerate(sessions["id"]):
        rank = known.get((name, sessions["n_clicks"][row] - 1), np.nan)
        assert sessions["rank"][row] == pytest.approx(rank, nan_ok=True)
        top = sessions["top"][row]
        if top.any():
            kept += 1
            ids = latent.items["item_id"][latent.sessions[row][:-1] - 1].tolist()
            wanted = recommender.recommend(ids, k=TOP).items["item_id"].tolist()
            assert latent.items["item_id"][top - 1].tolist() == wanted
            assert set(top.tolist()) <= set(made["items"]["index"].tolist())
    assert kept == 9
    assert "Recommendations are kept for 9 of the sessions shown." in made["meta"]["notes"]


def test_without_an_evaluation_ranks_are_computed_and_the_command_is_named(view: RunView) -> None:
    tree = payload(view).tree
    ranks = evaluate(view.model, view.sessions, task="unseen").ranks
    known = ranks.set_index(["session_id", "position"])["rank"].to_dict()
    sessions = tree["sessions"]
    wanted = [
        known.get((name, n - 1), np.nan)
        for name, n in zip(sessions["id"], sessions["n_clicks"], strict=True)
    ]
    np.testing.assert_allclose(sessions["rank"], wanted)
    assert sessions["top"] is None
    assert tree["meta"]["recall"] is None
    assert {proxy["recall"] for proxy in tree["proxies"]} == {None}
    assert any("proxysr evaluate" in note and "--split train" in note
               for note in tree["meta"]["notes"])  # fmt: skip


def test_interests_are_of_all_sessions(made: dict[str, Any], latent: RunView) -> None:
    proxies, table, view = made["proxies"], latent.table, latent
    assert [p["n"] for p in proxies] == view.proxy_sizes.tolist()
    assert [p["n_half"] for p in proxies] == view.half_proxy_sizes.tolist()  # type: ignore[union-attr]
    for k, proxy in enumerate(proxies):
        assert (proxy["name"], proxy["by"]) == view.interest(k)
        top = top_items(view.sessions, view.rows_of(k), view.items, k=12)
        assert made["items"]["index"][[x["item"] for x in proxy["items"]]].tolist() == (
            top["item"].tolist()
        )
        assert [x["lift"] for x in proxy["items"]] == pytest.approx(top["lift"].tolist())
        own = table[(table["proxy"] == k) & (table["user"] != "")]
        assert proxy["n_users"] == own["user"].nunique()
        every = table["user"].isin(own["user"]).sum()
        assert proxy["faithful"] == pytest.approx(
            len(own) / every if every else np.nan, nan_ok=True
        )
        for near in proxy["nearest"]:
            second = (table["proxy"] == k) & (table["runner_up"] == near["proxy"])
            assert near["overlap"] == pytest.approx(second.sum() / max(proxy["n"], 1))
            assert near["proxy"] != k
    shares = table["proxy"].value_counts(normalize=True)
    assert made["meta"]["effective"] == pytest.approx(float((shares**-shares).prod()))


def test_interests_that_came_and_went_are_told(made: dict[str, Any], latent: RunView) -> None:
    half, full = latent.half_proxy_sizes, latent.proxy_sizes
    assert half is not None
    for name, before, after in (("born", half, full), ("died", full, half)):
        assert made["flow"][name] == np.flatnonzero((before == 0) & (after > 0)).tolist()


def test_what_the_page_tells(made: dict[str, Any], latent: RunView) -> None:
    meta, run = made["meta"], latent.run
    assert [meta["finding"], *meta["notes"]][: len(run.findings)] == run.findings
    assert meta["recall"]["value"] == pytest.approx(
        run.metrics()["train-unseen"]["metrics"]["R@20"]
    )
    told = {group["name"]: dict(group["pairs"]) for group in meta["origin"]}
    assert told["Training"]["learning_rate"] == "0.01"
    assert told["Command"] == {"made by": "made by"}
    assert "R@20" in told["Metrics: train, next unseen item, after at least 1 click(s)"]
    assert meta["curves"]["epoch"] == list(range(len(run.history())))
    assert len(meta["curves"]["series"]["R@20"]) == len(run.history())
    assert any("the groupings agree by AMI" in said for said in meta["quality"])
    assert f"Of the map, {latent.projection.quality}." in meta["quality"]


def test_a_sample_says_so(latent: RunView) -> None:
    found = payload(latent, max_sessions=7)
    assert found.tree["sessions"]["id"] == latent.table["session_id"].iloc[found.rows].tolist()
    assert len(found.rows) == 7
    assert found.tree["meta"]["n_sessions"] == len(latent.table)
    assert any("show 7 of 30 sessions, a sample" in note for note in found.tree["meta"]["notes"])
    assert sum(proxy["n"] for proxy in found.tree["proxies"]) == len(latent.table)


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    tree = payload(view_of(run_of(tmp_path, known=False, epochs=1))).tree
    sessions = tree["sessions"]
    assert (sessions["user"], sessions["started"], tree["users"]) == (None, None, None)
    assert (sessions["half_xy"], sessions["half_proxy"]) == (None, None)
    assert tree["meta"]["half_epoch"] is None
    assert "There is no half-way snapshot to compare with." in tree["meta"]["quality"]
    assert {(p["n_users"], p["n_half"], p["half_xy"]) for p in tree["proxies"]} == {(None,) * 3}
    assert tree["items"]["title"] == tree["items"]["id"]
    assert tree["columns"] == []


def test_texts_stay_texts(made: dict[str, Any]) -> None:
    assert HOSTILE in made["items"]["title"]
    assert HOSTILE in made["users"]["id"]
    (taste,) = made["columns"]
    assert (taste["name"], taste["kind"]) == ("taste", "label")
    assert set(taste["labels"]) == {"oak", HOSTILE}


def test_columns_are_numbers_dates_or_labels() -> None:
    table = pd.DataFrame(
        {
            "session_id": ["a", "b", "c"],
            "kind": ["x", None, "x"],
            "spent": [1.5, np.nan, np.inf],
            "when": pd.to_datetime(["2020-01-01", None, "1970-01-02"]),
            "is_new": [True, False, True],
        }
    )
    notes: list[str] = []
    found = {column["name"]: column for column in columns_of(table, notes)}
    assert found["kind"]["values"].tolist() == [0, -1, 0]
    assert found["kind"]["labels"] == ["x"]
    np.testing.assert_array_equal(found["spent"]["values"], [1.5, np.nan, np.inf])
    np.testing.assert_array_equal(found["when"]["values"], [1577836800, np.nan, 86400])
    assert (found["is_new"]["labels"], found["is_new"]["kind"]) == (["True", "False"], "label")
    assert notes == []
    many = pd.DataFrame({f"c{i}": [1.0] for i in range(10)})
    assert len(columns_of(many, notes)) == 8
    assert notes == ["8 further columns of sessions are shown; left out: c8, c9."]
    notes.clear()
    assert columns_of(pd.DataFrame({"id": [f"x{i}" for i in range(501)]}), notes) == []
    assert notes == ["id has 501 different labels, and is left out."]


def test_a_second_run_is_held_against_this_one(tmp_path: Path, latent: RunView) -> None:
    other = latent_run(tmp_path, n_proxies=3)
    with pytest.raises(ValueError, match="has no ranks for train, task 'unseen', yet"):
        payload(latent, compare=other)
    evaluate_run(other.path, part="train", progress=False)
    found = payload(latent, compare=other).tree["compare"]
    own, others = latent.run.ranks("train"), other.ranks("train")
    for k, row in enumerate(found["by_proxy"]):
        of = own["proxy"].to_numpy() == k
        assert row["n"] == of.sum()
        if of.any():
            a, b = ((ranks["rank"].to_numpy()[of] <= 20).mean() for ranks in (own, others))
            assert row["difference"] == pytest.approx(a - b)
    assert found["overall"]["low"] <= found["overall"]["difference"] <= found["overall"]["high"]
    with pytest.raises(ValueError, match="is the run itself: name another one"):
        payload(latent, compare=latent.run)


def test_a_run_of_other_data_is_refused(tmp_path: Path, latent: RunView, run: RunDir) -> None:
    other = run_of(tmp_path, known=False)
    evaluate_run(other.path, part="train", progress=False)
    with pytest.raises(ValueError, match="was trained on other data"):
        payload(latent, compare=other)


def test_many_sessions_keep_the_shape(made: dict[str, Any]) -> None:
    large = enlarged(made, 500)["sessions"]
    assert len(large["id"]) == len(large["proxy"]) == len(large["offsets"]) - 1 == 500
    assert len(large["clicks"]) == large["offsets"][-1] == len(large["evidence"])


@pytest.fixture
def literal() -> Callable[[dict[str, Any], list[int], str], tuple[np.ndarray, np.ndarray]]:
    """Weights and scores from the portable arrays alone, as the page computes them."""

    def scores(m: dict[str, Any], clicks: list[int], task: str) -> tuple[np.ndarray, np.ndarray]:
        clicks = clicks[-m["max_length"] :]
        items, p = m["items"].astype(float), m["proxies"].astype(float)
        x, n = items[clicks], len(clicks)
        evidence = m["log_weights"].astype(float)
        pull = p @ items.T  # (K, V)
        for item in clicks:
            said = pull[:, item] - m["log_z"]
            evidence = evidence + said - said.mean()
        back = range(n - 1, -1, -1)
        weight = np.array([m["places"][min(u, len(m["places"]) - 1)] for u in back])
        if m["attention"] is not None:
            weight = weight + x[-1] @ m["attention"] @ x.T
        weight = np.exp(weight - weight.max())
        mean = (weight / weight.sum()) @ x + m["transition"] @ x[-1]
        q, pull = m["scale"] * mean / np.linalg.norm(mean), m["strength"] * pull
        latest = {item: u for u, item in enumerate(clicks)}
        bias = [m["repeat_bias"][min(n - 1 - u, 9)] if latest[clicks[u]] == u else 0.0
                for u in range(n)]  # fmt: skip
        log_z = np.log(np.exp(items[1:] @ q + pull[:, 1:]).sum(axis=1))
        more = sum(np.expm1(bias[u]) * np.exp(q @ x[u] + pull[:, clicks[u]] - log_z)
                   for u in range(n))  # fmt: skip
        log_z = log_z + np.log1p(np.maximum(more, -1 + 1e-6))
        weights = np.exp((evidence - evidence.max()) / m["temperature"])
        weights /= weights.sum()
        found = items @ q + np.log(weights @ np.exp(pull - log_z[:, None]))
        for item, u in latest.items():
            found[item] += bias[u] + m["repeat_level"]
        found[0] = -np.inf
        if task == "unseen":
            found[clicks] = -np.inf
        return weights, found

    return scores


@pytest.mark.parametrize("attention", [True, False])
def test_a_model_that_travels_answers_as_it_did(
    tmp_path: Path, literal: Callable[..., Any], attention: bool
) -> None:
    view = made_up_layout(
        RunView.of(latent_run(tmp_path, attention=attention), part="train", max_drawn=50)
    )
    tree = payload(view, travels=True).tree
    assert (tree["meta"]["offline_what_if"], tree["offline"]["kind"]) == ("", "latent_proxy")
    assert sorted(tree["items"]["index"]) == list(range(1, view.model.n_items + 1))
    with torch.inference_mode():
        for clicks in ([3], [3, 9, 3], [1, 2, 3, 4, 5, 6], [7, 7, 8, 7]):
            batch = batch_of([clicks])
            weights, scores = literal(tree["offline"], clicks, "repeat")
            np.testing.assert_allclose(weights, view.model.weigh(batch)[1][0], atol=1e-5)
            np.testing.assert_allclose(scores[1:], view.model.score(batch)[0, 1:], atol=1e-4)


def test_a_large_model_stays_at_home(latent: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxysr.explorer.payload.PORTABLE", 100)
    tree = payload(latent, travels=True).tree
    assert tree["offline"] is None
    assert "too large for this file" in tree["meta"]["offline_what_if"]
    assert payload(latent).tree["offline"] is None, "a live host is asked"
