"""What proxies are held against is what is known, and what is not known is said."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.analysis import proxies_hold as ph
from proxysr.analysis.assignments import decisions
from proxysr.config import ConfigError
from proxysr.data.sessions import PARTS, Sessions, SessionSplit
from proxysr.running import train_run
from proxysr.training import TrainConfig


def at(*days: str) -> np.ndarray:
    return np.array([
        dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp() if day else np.nan
        for day in days
    ])  # fmt: skip


def test_seasons_are_months_or_weeks_of_short_logs() -> None:
    unit, codes = ph.season_of(at("2010-12-03", "2011-12-03", "", "2011-12-30"))
    assert (unit, codes.tolist()) == ("month", [0, 1, -1, 1])
    unit, codes = ph.season_of(at("2020-01-06", "2020-01-12", "2020-01-13", "2020-02-20"))
    assert (unit, codes.tolist()) == ("week", [0, 0, 1, 2])
    with pytest.raises(ConfigError, match="not known when these sessions began"):
        ph.season_of(np.array([np.nan, 12.0]))  # running numbers are no times
    with pytest.raises(ConfigError, match="All of these sessions began in one week"):
        ph.season_of(at("2020-01-06", "2020-01-07"))


def test_what_is_not_known_is_said() -> None:
    found, notes = ph.truths_of(Sessions.from_lists([[1, 2], [3, 4], [5]]))
    assert found == {}
    assert len(notes) == 2
    assert notes[0].startswith("Users are left out. Agreement needs at least two known users")
    assert notes[1] == "The season is left out. It is not known when these sessions began."
    sessions = Sessions.from_lists(
        [[1], [2], [3], [4], [5]],
        user_index=[1, 0, 1, 2, 0],
        started_at=list(at("2020-01-06", "", "2020-01-20", "2020-01-21", "2020-01-07")),
    )
    found, notes = ph.truths_of(sessions)
    assert list(found) == ["user", "week"]
    assert notes == []
    assert [part.tolist() for part in found["user"][:2]] == [[0, 1, 2, 4], [1, 0, 1, 0]]
    assert [part.tolist() for part in found["week"][:2]] == [[0, 2, 3, 4], [0, 1, 1, 0]]


def test_use_is_counted_by_hand() -> None:
    choices = pd.DataFrame({
        "seed": 7, "part": ["train"] * 4 + ["test"], "n_clicks": [4, 2, 2, 4, 3],
        "proxy": [5, 5, 1, 1, 2], "proxies_met": [1, 2, 1, 4, 3], "decided_after": [1, 2, 1, 4, 2],
    })  # fmt: skip
    table = ph.use_by_part(choices).set_index("part")
    train = table.loc["train"]
    assert train["effective"] == pytest.approx(2)
    assert train[["sessions", "largest", "n_clicks"]].tolist() == [4, 0.5, 3]
    assert train[["proxies_met", "met_one", "decided_after"]].tolist() == [2, 0.5, 2]
    assert table.loc["test", "effective"] == pytest.approx(1)


def planted(n: int, seed: int, first_day: int) -> Sessions:
    """Users 0 to 3 have ten items each; weeks and users have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    users = rng.integers(4, size=n)
    clicks = [(1 + 10 * user + rng.integers(10, size=5)).tolist() for user in users]
    started = 1.6e9 + 86400 * (first_day + np.sort(rng.uniform(0, 42, size=n)))
    ids = [f"{first_day}-{i}" for i in range(n)]
    return Sessions.from_lists(clicks, session_ids=ids, user_index=users.tolist(),
                               started_at=started.tolist())  # fmt: skip


def test_planted_users_are_held_and_weeks_are_not(tmp_path: Path) -> None:
    split = SessionSplit(
        planted(200, 0, 0), planted(40, 1, 50), planted(40, 2, 100),
        items=pd.DataFrame({"item_id": [f"i{i}" for i in range(40)]}),
        users=pd.DataFrame({"user_id": list("abcd")}),
    )  # fmt: skip
    data = split.save(tmp_path / "data")
    items = torch.eye(4).repeat_interleave(10, dim=0)
    run = train_run(
        data, tmp_path / "run", model="latent_proxy", progress=False,
        model_config={"embedding_dim": 4, "n_proxies": 4},
        weights={"items": torch.cat([torch.zeros(1, 4), items]), "proxies": 3 * torch.eye(4)},
        train=TrainConfig(epochs=1, learning_rate=1e-6, device="cpu"),
    )  # fmt: skip
    choices = ph.decisions_of([run])
    assert choices["part"].drop_duplicates().tolist() == list(PARTS)
    assert len(choices) == 280
    pd.testing.assert_frame_equal(
        choices[choices["part"] == "test"].drop(columns=["seed", "part"]).reset_index(drop=True),
        decisions(run.model(), split.test),
    )
    table, notes = ph.agreement_by_truth([run], choices, n_permutations=50)
    assert notes == []
    assert table[["labels", "truth"]].to_numpy().tolist() == [
        ["proxies", "user"], ["k-means of items", "user"],
        ["proxies", "week"], ["k-means of items", "week"],
        ["proxies", "k-means of items"],
    ]  # fmt: skip
    by_truth = table[table["labels"] == "proxies"].set_index("truth")
    assert by_truth.loc["user", "ami"] > 0.9 > by_truth.loc["user", "null_high"]
    week = by_truth.loc["week"]
    assert week["ami"] < 0.1
    assert week["n_sessions"] == 200
    said = ph.agreement_sentences(table)
    assert [line.partition(" by chance")[0] for line in said] == [
        "Proxies agree with the user more than",
        "Proxies agree with the week no more than",
        "Proxies agree with the k-means of items more than",
    ]
    beside = table.set_index(["labels", "truth"])["ami"]["k-means of items", "user"]
    assert said[0].endswith(f"; k-means of items: {beside:.3f}.")
    with pytest.raises(ConfigError, match="not those of the sessions of valid, one by one"):
        ph.agreement_by_truth([run], choices[choices["part"] == "train"], part="valid")
