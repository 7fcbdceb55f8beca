"""The command line: answers on stdout, the rest on stderr, errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from proxysr import __version__, running
from proxysr.__main__ import COMMANDS, main
from proxysr.data.sessions import SessionSplit
from proxysr.run import RunDir

QUICK = ["--epochs", "2", "--set", "embedding_dim=4", "n_proxies=3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 60 visits through a shop of ten items, prepared and trained on."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [
        {
            "visit": f"v{v:02}",
            "sku": f"sku-{(v + step) % 10}",
            "when": 1_700_000_000 + 100 * v + step,
        }
        for v in range(60)
        for step in range(4)
    ]
    pd.DataFrame(rows).to_csv(folder / "clicks.csv", index=False)
    skus = [f"sku-{i}" for i in range(10)]
    titles = [f"Thing {i}" for i in range(10)]
    pd.DataFrame({"item_id": skus, "title": titles}).to_csv(folder / "things.csv", index=False)
    columns = ["--item", "sku", "--time", "when", "--session", "visit"]
    data, run = str(folder / "data"), str(folder / "run")
    items = ["--items", str(folder / "things.csv")]
    assert main(["prepare", str(folder / "clicks.csv"), data, *columns, *items]) == 0
    assert main(["train", data, run, *QUICK]) == 0
    return folder


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ask = Callable[..., Said]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command in this process."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


def refused(said: Said) -> str:
    """The one line of an error; nothing else was said."""
    assert said.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("proxysr")
    return said.err


def test_help_teaches(ask: Ask) -> None:
    overview = ask("--help")
    assert overview.code == 0
    assert "a first tour" in overview.out
    for name in COMMANDS:
        page = ask(name, "--help")
        assert page.code == 0
        assert f"examples:\n  proxysr {name} " in page.out
    assert ask("--version").out == f"proxysr {__version__}\n"


def test_every_training_option_is_explained(ask: Ask) -> None:
    page = " ".join(ask("train", "--help").out.split())
    assert "--learning-rate X Step size of Adam; by default the model's own" in page
    assert "n_proxies=none Number K of proxies" in page
    assert "proxysr-small" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trian"], "'trian' is not a known command. Did you mean 'train'?"),
        (["train"], "required: DATA_DIR, RUN_DIR (proxysr train --help explains)"),
        (["recommend"], "required: RUN_DIR"),
        (["train", "--set", "a=3", "data", "run"], "RUN_DIR. --set takes all words after it: put"),
    ],
)  # fmt: skip
def test_misuse_is_one_line(ask: Ask, words: list[str], message: str) -> None:
    assert message in refused(ask(*words))


def test_prepare_asks_for_a_place_before_it_reads(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*args: Any, **options: Any) -> None:
        raise AssertionError("it read the log")

    monkeypatch.setattr("proxysr.data.sources.base.Source.prepare", read)
    log = tmp_path / "clicks.csv"
    log.touch()
    said = refused(ask("prepare", log, tmp_path))
    assert f"{tmp_path} exists and is not a proxysr split; nothing was written" in said
    assert f"{log}/data cannot be written" in refused(ask("prepare", log, log / "data"))


def test_prepare_tells_what_was_kept(ask: Ask, folder: Path, tmp_path: Path) -> None:
    words = ["--item", "sku", "--time", "when", "--session", "visit", "--min-session-length", "3"]
    said = ask("prepare", folder / "clicks.csv", tmp_path / "data", *words)
    assert said.code == 0
    assert "rows read" in said.out
    assert "240" in said.out
    assert f"Next: proxysr train {tmp_path / 'data'}" in said.out
    answer = ask("prepare", folder / "clicks.csv", tmp_path / "data", *words, "--json").json
    split = SessionSplit.load(tmp_path / "data")
    assert answer["sessions"] == {"train": 48, "valid": 6, "test": 6}
    assert answer["n_items"] == split.n_items == 10
    assert answer["fingerprint"] == split.fingerprint()
    assert answer["provenance"] == split.provenance
    assert split.provenance["options"]["min_session_length"] == 3


def test_titles_from_a_table_of_items_are_kept(folder: Path) -> None:
    items = SessionSplit.load(folder / "data").items
    assert (items["title"] == items["item_id"].str.replace("sku-", "Thing ")).all()


def test_malformed_rows_are_refused_or_named(ask: Ask, folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "bad.csv"
    log.write_text((folder / "clicks.csv").read_text() + "v99,sku-1,yesterday\n")
    words = [log, tmp_path / "data", "--item", "sku", "--time", "when", "--session", "visit"]
    assert "bad.csv, line 242" in refused(ask("prepare", *words))
    dropped = ask("prepare", *words, "--on-bad-rows", "drop", "--json")
    assert dropped.json["provenance"]["bad_rows"][0]["malformed"] == 1
    assert "  line 242: time 'yesterday'" in dropped.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["diginetica"], "diginetica does not exist. Did you mean --format diginetica?"),
        (["nowhere.csv"], "nowhere.csv is not a file. Hand in"),
        (["clicks.csv", "--item", "skus"], "'skus' is not a known column of clicks.csv. Did you"),
        (["clicks.csv", "--format", "event"], "'event' is not a known format. Did you mean 'eve"),
        (["clicks.csv", "--min-item-count", "few"], "min_item_count is a whole number; received"),
        (["clicks.csv", "--set", "n=1"], "'n' is not a known option of format 'events'"),
        (["nowhere", "--format", "lastfm1k"], "nowhere does not exist. Get lastfm-dataset-1K"),
        (["nowhere", "--format", "lastfm1k"], "Licence: non-commercial"),
        (
            ["nowhere", "--format", "lastfm1k", "--item", "x"],
            "'item' is not a known option of format",
        ),
        (["toy", "--format", "synthetic"], "toy is not a file. Nothing to download"),
        (
            ["synthetic", "--format", "synthetic", "--set", "n_sesions=5"],
            "'n_sesions' is not a known option of format 'synthetic'. Did you mean 'n_sessions'?",
        ),
    ],
)
def test_what_prepare_refuses(
    ask: Ask,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert message in refused(ask("prepare", words[0], tmp_path / "data", *words[1:]))
    assert not (tmp_path / "data").exists()


def test_synthetic_sessions_keep_what_was_planted(ask: Ask, tmp_path: Path) -> None:
    words = ["prepare", "synthetic", tmp_path / "toy", "--format", "synthetic", "--json"]
    answer = ask(*words, "--set", "n_sessions=400", "seed=3").json
    split = SessionSplit.load(tmp_path / "toy")
    assert "planted_interest" in split.session_info
    assert answer["provenance"]["source"]["settings"]["seed"] == 3


def test_train_evaluate_recommend(ask: Ask, folder: Path) -> None:
    run = RunDir(folder / "run")
    assert run.config["model_config"]["embedding_dim"] == 4
    said = ask("evaluate", folder / "run", "--task", "repeat", "--ks", "1,3", "--json")
    answer = said.json
    assert set(answer["metrics"]) == {"R@1", "MRR@1", "R@3", "MRR@3"}
    assert (answer["task"], answer["split"], answer["n_targets"]) == ("repeat", "test", 18)
    assert run.metrics()["test-repeat"]["metrics"] == answer["metrics"]
    plain = ask("evaluate", folder / "run")
    assert "task unseen: 18 targets after at least 1 click(s)" in plain.out
    assert f"{run.metrics()['test-unseen']['metrics']['R@20']:.4f}" in plain.out

    found = ask("recommend", folder / "run", "sku-1", "sku-2", "-k", "3", "--json")
    assert [item["rank"] for item in found.json["items"]] == [1, 2, 3]
    assert found.json["items"][0]["title"].startswith("Thing ")
    assert not {"sku-1", "sku-2"} & {item["item_id"] for item in found.json["items"]}
    assert "Thing " in ask("recommend", folder / "run", "sku-1").out


def test_models_that_count_are_trained_evaluated_and_asked_alike(
    ask: Ask, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--model", "cooccurrence", "--valid-min-prefix", "2", "--set", "direction=forward"]
    said = ask("train", folder / "data", run, *words)
    assert said.out.startswith(f"{run}: counted once; on validation R@20 1.0000, MRR@20 ")
    assert ask("train", folder / "data", run, "--resume", "--json").json["epochs"] == 1
    assert "only counts: --epochs" in refused(
        ask("train", folder / "data", run, "--resume", "--epochs", "3")
    )
    answer = ask("evaluate", run, "--ks", "1", "--json").json
    assert answer["metrics"]["R@1"] == 1.0
    assert answer["min_prefix"] == 2
    found = ask("recommend", run, "sku-1", "sku-2", "-k", "1", "--json").json
    assert found["items"][0]["item_id"] == "sku-3"


def test_runs_are_compared(ask: Ask, folder: Path, tmp_path: Path) -> None:
    simple, run = tmp_path / "simple", folder / "run"
    assert ask("train", folder / "data", simple, "--model", "popularity").code == 0
    for path in (simple, run):
        assert ask("evaluate", path, "--split", "valid").code == 0
    words = ["compare", simple, run, "--split", "valid", "--metrics", "R@1,R@3"]
    answer = ask(*words, "--resamples", "50", "--confidence", "0.9", "--json").json
    assert (answer["split"], answer["task"], answer["n_sessions"]) == ("valid", "unseen", 6)
    assert [row["metric"] for row in answer["differences"]] == ["R@1", "R@3"]
    assert {"low", "high", "p_value", "p_holm"} < set(answer["differences"][0])
    assert answer["runs"][0] | {"metrics": {}} == {
        "run_dirs": [str(simple)], "model": "popularity", "seeds": [0], "metrics": {},
    }  # fmt: skip
    plain = ask(*words, "--resamples", "50")
    assert "18 targets of 6 sessions after at least 1 click(s)" in plain.out
    assert f"Differences to {simple}:" in plain.out
    assert "95 % from" in plain.out
    assert "at least two runs; received 1" in refused(ask("compare", run))
    assert "has no ranks for train" in refused(ask("compare", run, simple, "--split", "train"))


def test_unknown_items_are_reported_not_fatal(ask: Ask, folder: Path, tmp_path: Path) -> None:
    said = ask("recommend", folder / "run", "sku-1", "hat", "--json")
    assert said.json["unknown"] == ["hat"]
    assert "left out: hat" in said.err
    begun = ask("recommend", folder / "run", "hat")  # it knows what sessions begin with
    assert begun.code == 0
    assert "sku-" in begun.out
    ask("train", folder / "data", tmp_path / "counted", "--model", "cooccurrence")
    nothing = ask("recommend", tmp_path / "counted", "hat")
    assert nothing.code == 0
    assert "nothing to recommend from" in nothing.out
    every = [f"sku-{i}" for i in range(10)]
    assert "All known items are clicked" in ask("recommend", folder / "run", "hat", *every).out
    assert "sku-3" in ask("recommend", folder / "run", *every, "--task", "repeat").out


def test_json_is_the_whole_of_stdout(
    ask: Ask, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chatty(*args: Any, **options: Any) -> RunDir:
        sys.stdout.write("a library says hello\n")
        return RunDir(folder / "run")

    monkeypatch.setattr("proxysr.cli.train.train_run", chatty)
    said = ask("train", folder / "data", tmp_path / "run", "--json")
    assert said.json["run_dir"] == str(folder / "run")
    assert said.json["epochs"] == 2
    assert "a library says hello" in said.err


def test_resume_continues_to_more_epochs(ask: Ask, folder: Path, tmp_path: Path) -> None:
    data, run = folder / "data", tmp_path / "run"
    first = ask("train", data, run, *QUICK)
    assert "On validation, MRR@20 of latent_proxy is " in first.out  # of ten items, all are shown
    assert first.out.splitlines()[-1].startswith("Next: proxysr evaluate")
    assert "is not empty; nothing was overwritten. Add --resume" in refused(ask("train", data, run))
    more = ask("train", data, run, "--resume", "--epochs", "3", "--json")
    assert more.json["epochs"] == 3
    assert more.json["findings"] == RunDir(run).findings
    assert set(more.json["counters"]) == {"cooccurrence", "popularity"}
    assert RunDir(run).train_config.epochs == 3
    assert "\nAll 3 epochs were there; --resume" in ask("train", data, run, "--resume").out
    fewer = refused(ask("train", data, run, "--resume", "--epochs", "2"))
    assert "has 3 epochs already; received epochs = 2. Take at least as many" in fewer
    changed = ask("train", data, run, "--resume", "--batch-size", "7")
    assert "batch_size = 32 (asked for: 7)" in refused(changed)
    changed = ask("train", data, run, "--resume", "--set", "n_proxies=9")
    assert "n_proxies = 3 (asked for: 9)" in refused(changed)


def test_a_preset_is_overridden_by_options(ask: Ask, folder: Path, tmp_path: Path) -> None:
    words = ["--preset", "proxysr-small", "--epochs", "1", "--set", "n_proxies=4"]
    assert ask("train", folder / "data", tmp_path / "run", *words).code == 0
    run = RunDir(tmp_path / "run")
    assert run.config["model_config"]["n_proxies"] == 4
    assert run.config["model_config"]["embedding_dim"] == 32
    assert run.train_config.epochs == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "proxyrs"], "'proxyrs' is not a known model. Did you mean 'proxysr'?"),
        (["--preset", "proxysr-smal"], "'proxysr-smal' is not a known preset. Did you mean"),
        (["--preset", "proxysr-small", "--model", "x"], "is for model 'proxysr'; received --model"),
        (
            ["--set", "n_proxy=3"],
            "'n_proxy' is not a known option of LatentProxyConfig. Did you mean",
        ),
        (["--set", "n_proxies"], "--set takes NAME=VALUE, such as n_proxies=100; received"),
        (["--set", "a=1", "--set", "a=2"], "--set names a twice: '1' and '2'"),
        (["--set", "n_proxies=0"], "n_proxies is at least 1; received 0"),
        (["--learning-rate", "-1"], "learning_rate is positive; received -1.0"),
        (["--resume"], "is not a proxysr run: it has no config.json"),
        (
            ["--model", "popularity", "--epochs", "3", "--task=unseen", "--valid-task=repeat"],
            "Model 'popularity' only counts: --epochs, --task would have no effect. Leave",
        ),
        (
            ["--model", "popularity", "--set", "window=3"],
            "'window' is not a known option of PopularityConfig. Known: none.",
        ),
    ],
)
def test_what_train_refuses(
    ask: Ask, folder: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    assert message in refused(ask("train", folder / "data", tmp_path / "run", *words))
    assert not (tmp_path / "run").exists()


def test_an_interrupt_says_how_to_go_on(
    ask: Ask, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = folder / "data", tmp_path / "run"
    original = running.fit

    def interrupted(*args: Any, on_epoch: Callable[[Any], None], **options: Any) -> Any:
        def stop(state: Any) -> None:
            on_epoch(state)
            raise KeyboardInterrupt

        return original(*args, on_epoch=stop, **options)

    with monkeypatch.context() as patch:
        patch.setattr(running, "fit", interrupted)
        said = ask("train", data, run, *QUICK)
    assert (said.code, said.out) == (130, "")
    assert "interrupted" in said.err
    assert "--resume continues the training" in said.err
    assert ask("train", data, run, "--resume", "--json").json["epochs"] == 2


def test_a_missing_extra_says_what_to_install(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*args: Any) -> None:
        raise ModuleNotFoundError("No module named 'papermill'")

    monkeypatch.setattr("proxysr.cli.bench.bench", lacking)
    assert "No module named 'papermill'. It comes with pip install '.[note" in refused(ask("bench"))


def test_errors_of_the_program_itself_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("proxysr.cli.bench.bench", broken)
    with pytest.raises(KeyError, match="oops"):
        main(["bench"])


def test_as_a_program() -> None:
    words = [sys.executable, "-m", "proxysr", "trian"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("proxysr: error: 'trian' is not a known command. Did you mean")
    assert done.stderr.count("\n") == 1
