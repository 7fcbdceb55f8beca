"""What a share of known users gives is what the kept ranks and the model itself say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.analysis.significance import CompareConfig, holm
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import values_of
from proxysr.experiments import Variant, run_spec
from proxysr.models import ProxySR
from proxysr.paper.known_users import (
    KNOWN,
    NOBODY,
    OTHERS,
    WITH,
    WITHOUT,
    Shares,
    agreement_of_shares,
    choices_of_shares,
    data_of_shares,
    effects,
    effects_as_read,
    known_table,
    share_specs,
    sharpness,
)
from tests.explorer.small import SETTINGS, split_of

QUICK = CompareConfig(metrics=("R@5", "MRR@5"), resamples=200)
N_USERS = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sessions, dict[int, Path], Shares]:
    """True sessions of the test part, data of each share, and runs of two seeds."""
    folder = tmp_path_factory.mktemp("shares")
    split = split_of(90)
    parts: dict[str, Any] = {
        name: replace(
            split.part(name),
            user_index=np.arange(len(split.part(name)), dtype=np.int32) % (N_USERS + 1) - 1,
        )
        for name in ("train", "valid", "test")
    }
    users = pd.DataFrame({"user_id": [f"u{u}" for u in range(N_USERS)]})
    data = replace(split, users=users, **parts).save(folder / "data")
    folders = data_of_shares(data, [40, 0, 80], folder / "runs", min_sessions=2)
    train = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05}
    proxysr = Variant("ProxySR", "proxysr", SETTINGS)
    specs = share_specs(proxysr, folders, seeds=(0, 1), train=train)
    groups = run_spec(specs, folder / "runs", device="cpu", progress=False).groups()
    return parts["test"], folders, dict(zip(folders, groups.values(), strict=True))


def test_each_share_has_data_and_runs_of_its_own(made: Any) -> None:
    sessions, folders, runs = made
    assert list(folders) == list(runs) == [0, 40, 80]
    table = known_table(folders)
    assert table["known_users"].tolist() == [0, 2, 4]
    assert (table["of_users"] == N_USERS).all()
    for share, members in runs.items():
        assert [run.train_config.seed for run in members] == [0, 1]
        for run in members:
            split = run.split()
            assert split.n_users == run.model_config.n_users == table["known_users"][share]
            assert len(run.users) == split.n_users
            known = split.test.user_index >= 0
            assert known.sum() == table["test_sessions"][share]
            assert known.mean() == table["of_test"][share]
            assert np.array_equal(split.test.items, sessions.items)


def test_effects_are_those_of_the_kept_ranks(made: Any) -> None:
    _, _, runs = made
    table = effects(runs, config=QUICK)
    assert len(table) == 2 + 2 * 3 * 2
    for row in table.to_dict("records"):
        split = runs[row["share"]][0].split()
        of_known = set(split.test.session_ids[split.test.user_index >= 0])
        found: dict[int, list[float]] = {}
        for share in (0, row["share"]):
            for run in runs[share]:
                ranks = run.ranks("test", "unseen")
                inside = [
                    row["sessions"] == "all" or (one in of_known) == (row["sessions"] == KNOWN)
                    for one in ranks["session_id"]
                ]
                values = values_of(ranks["rank"].to_numpy()[inside], row["metric"])
                found.setdefault(share, []).append(values.mean())
                assert row["n_targets"] == len(values)
                assert row["n_sessions"] == ranks["session_id"][inside].nunique()
        own, base = found[row["share"]], found[0]
        assert row["value"] == pytest.approx(np.mean(own[:2]))
        if row["share"]:
            before = row["value"] - row["difference"]
            assert before == pytest.approx(np.mean(base[:2]))
        assert row["low"] <= row["value"] <= row["high"]
        if row["share"]:
            differences = np.subtract(own, base)
            assert row["difference"] == pytest.approx(differences.mean())
            assert row["least"] == pytest.approx(differences.min())
            assert row["most"] == pytest.approx(differences.max())
            assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    tested = table[table["share"] > 0]
    assert np.array_equal(tested["p_holm"], holm(tested["p_value"].to_numpy()))
    read = effects_as_read(table)
    read = read.reset_index().set_index(["sessions", "share"])
    assert read.loc[(KNOWN, 80), "n_users"] <= 4
    (own,) = table.query(f"sessions == '{KNOWN}' and share == 80 and metric == 'R@5'").itertuples()
    assert read.loc[(KNOWN, 80), "R@5, seeds"] == f"{own.least:+.4f} to {own.most:+.4f}"
    assert list(dict.fromkeys(read.index.get_level_values(0))) == ["all", KNOWN, OTHERS]


def test_choices_are_those_of_the_model(made: Any) -> None:
    _, _, runs = made
    choices = choices_of_shares(runs)
    assert len(choices) == 2 * (1 + 2 + 2) * len(runs[0][0].split().test)
    for share, seed in [(0, 1), (80, 0)]:
        run = runs[share][seed]
        model, test = run.model(), run.split().test
        assert isinstance(model, ProxySR)
        some = choices[(choices["share"] == share) & (choices["seed"] == seed)]
        for choice, rows in some.groupby("choice"):
            assert rows["session_id"].tolist() == list(test.session_ids)
            for s, row in enumerate(rows.to_dict("records")):
                user = int(test.user_index[s])
                told = user if choice == WITH else -1
                weights = model.weigh(batch_of([test[s].tolist()], users=[told]))[1][0]
                assert row["known"] == (user >= 0)
                assert row["proxy"] == int(weights.argmax())
                assert row["probability"] == pytest.approx(float(weights.max()), abs=1e-5)
                entropy = float(torch.special.entr(weights).sum())
                assert row["entropy"] == pytest.approx(entropy, abs=1e-4)


def test_the_bias_counts_for_known_users_only(made: Any) -> None:
    _, _, runs = made
    choices = choices_of_shares(runs)
    some = choices[choices["share"] > 0]
    told, untold = (
        some[some["choice"] == choice].drop(columns="choice").reset_index(drop=True)
        for choice in (WITH, WITHOUT)
    )
    strangers = ~told["known"]
    pd.testing.assert_frame_equal(told[strangers], untold[strangers], check_exact=True)
    differs = told["probability"] != untold["probability"]
    assert differs[told["known"]].mean() > 0.5
    found = sharpness(choices)
    assert len(found) == 2 * 2 * 3
    for row in found.to_dict("records"):
        inside = (told["share"] == row["share"]) & (told["seed"] == row["seed"]) & told["known"]
        ids = told["session_id"][inside]
        share, choice = (0, WITHOUT) if row["choice"] == NOBODY else (row["share"], row["choice"])
        own = choices[
            (choices["share"] == share) & (choices["seed"] == row["seed"])
            & (choices["choice"] == choice) & choices["session_id"].isin(ids)
        ]  # fmt: skip
        assert row["n_sessions"] == len(own) == len(ids)
        assert row["mean_max_pi"] == pytest.approx(own["probability"].mean())
        assert row["entropy"] == pytest.approx(own["entropy"].mean())
        moved = (told["proxy"] != untold["proxy"])[inside].mean()
        expected = {WITH: moved, WITHOUT: 0.0, NOBODY: np.nan}[row["choice"]]
        assert row["moved"] == pytest.approx(expected, nan_ok=True)


def test_agreement_is_with_the_true_users(made: Any) -> None:
    """A bias made so strong that each known user has a proxy: they agree, the others do not."""
    sessions, _, runs = made
    choices = choices_of_shares(runs)
    users = pd.Series(sessions.user_index, index=sessions.session_ids)
    by_user = choices["session_id"].map(users)
    own = choices["known"] & (choices["choice"] == WITH)
    choices.loc[own, "proxy"] = by_user[own]
    found = agreement_of_shares(choices, sessions, n_permutations=50)
    known = found[found["sessions"] == KNOWN].set_index(["share", "seed", "choice"])
    assert (known.xs(WITH, level="choice")["ami"] == 1).all()
    assert (known.xs(WITHOUT, level="choice")["ami"] < 0.9).all()
    assert set(found[found["sessions"] == OTHERS]["choice"]) == {WITH, NOBODY}
    with pytest.raises(ConfigError, match="not those of these sessions"):
        agreement_of_shares(choices, sessions.select(np.arange(len(sessions))[::-1]))


def test_there_has_to_be_something_to_compare(made: Any) -> None:
    _, _, runs = made
    with pytest.raises(ConfigError, match="runs of 0 and of at least one more .* received 40 %"):
        effects({40: runs[40]})
    with pytest.raises(ConfigError, match="Every share needs runs with the same seeds"):
        choices_of_shares({0: runs[0], 40: runs[40][:1]})


def test_shares_are_held_against_nobody(tiny_split: SessionSplit, tmp_path: Path) -> None:
    data = tiny_split.save(tmp_path / "data")
    with pytest.raises(ConfigError, match="0 and at least one more are needed; received 10, 30"):
        data_of_shares(data, [10, 30], tmp_path)
    with pytest.raises(ConfigError, match="received none"):
        data_of_shares(data, [], tmp_path)
    with pytest.raises(ConfigError, match="0 users with at least 10 training sessions"):
        data_of_shares(data, [0, 50], tmp_path)
    found = data_of_shares(data, [50, 0, 100], tmp_path, min_sessions=1)
    assert list(found) == [0, 50, 100]
    assert known_table(found)["known_users"].tolist() == [0, 1, 2]
    assert data_of_shares(data, [0, 50, 100], tmp_path, min_sessions=1) == found
    with pytest.raises(ConfigError, match="Only ProxySR has a bias of known users; 'x' is a mean"):
        share_specs(Variant("x", "mean"), found)
