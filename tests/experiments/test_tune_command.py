"""``proxysr tune``: one object or a page of text, errors of one line, interrupts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxysr.__main__ import main
from proxysr.experiments import tuning
from proxysr.run import RunDir

FIXED = ["embedding_dim=16", "batch_size=16", "device=cpu"]


@pytest.fixture
def words(tune_data: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "space.yml").write_text("learning_rate: [1e-5, 1e-2]\n")
    space = str(tmp_path / "space.yml")
    return [
        "tune", str(tune_data), str(tmp_path / "study"), "--model", "mean", "--trials", "2",
        "--epochs", "2", "--space", space, "--set", *FIXED,
    ]  # fmt: skip


def test_one_object_then_a_page(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["states"] == {"complete": 2}
    assert [trial["trial"] for trial in found["trials"]] == [0, 1]
    assert found["best"] == max(found["trials"], key=lambda trial: trial["R@20"])
    assert "trial-0000: complete, R@20 0." in captured.err
    run = RunDir(found["best"]["run"])
    assert (run.model_name, run.train_config.epochs) == ("mean", 2)
    assert main(words) == 0
    text = capsys.readouterr().out
    assert f"{tmp_path / 'study'}: 2 trials, 2 complete; all in " in text
    assert f"Best on validation: {run.path.name}, R@20 {found['best']['R@20']:.4f}" in text
    assert text.endswith(f"Next: proxysr evaluate {run.path}\n")
    assert (tmp_path / "study" / "trials.csv").is_file()


@pytest.mark.parametrize("seed", [4295, 2**40])
def test_large_seeds_are_seeds(
    tune_data: Path, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", str(tune_data), str(tmp_path / "study"), "--model", "cooccurrence"]
    assert main([*words, "--trials", "2", "--seed", str(seed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["states"] == {"complete": 2}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "embeding_dim=3"], "'embeding_dim' is not a known setting of mean or its train"),
        (["--set", "learning_rate=0.1"], "learning_rate is fixed and searched at once; leave one"),
        (["--set", "epochs=3"], "--epochs and --set epochs=… are one; leave one out."),
        (["--epochs", "0"], "epochs is at least 1; received 0."),
        (["--trials", "x"], "trials is a whole number; received 'x'."),
        (["--storage", "x"], "'x' is no URL of a database"),
        (["--model", "naam"], "'naam' is not a known model. Did you mean 'narm'?"),
        (["--space", "absent.yml"], "absent.yml: No such file or directory"),
        (["--spce", "x"], "'--spce' is not a known option. Did you mean '--space'?"),
    ],
)
def test_errors_are_one_line(
    words: list[str],
    more: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*words, *more]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert message in captured.err
    assert not (tmp_path / "study" / "study.json").exists()


def test_an_interrupt_says_that_the_same_command_goes_on(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "train_run", interrupted)
        assert main(words) == 130
    assert "interrupted. Finished trials and epochs are kept; the same command con" in (
        capsys.readouterr().err
    )
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["states"] == {"complete": 2}


def test_an_error_in_one_of_several_processes_is_told(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [(0, ""), (1, "trial-0002 is not empty.")]
    monkeypatch.setattr(tuning, "in_processes", lambda *arguments: iter(ended))
    assert main([*words, "--jobs", "2"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        "trial-0002 is not empty. What is finished is kept; once that is mended, the same comm"
        in (captured.err)
    )


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--help"]) == 0
    page = capsys.readouterr().out
    assert "proxysr: learning_rate, batch_size, weight_decay, embedding_dim, dropout, n_" in page
    assert "n_proxies: [30, 100, 300]" in page
