"""Two processes of ``torchrun`` make one run, and the numbers of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from proxysr import distributed
from proxysr.evaluation import evaluate
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.conftest import ROOT
from tests.contract.small import SMALL, small
from tests.together import CASES, ONE_PREFIX, SPLIT, drawn, trained

TIMING = ["train_seconds", "eval_seconds", "sessions_per_second"]
LIMIT = 180
"""Most seconds that processes may take; they are ended then, and the test fails."""


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = subprocess.Popen(
        [*command, "-m", *arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.terminate()  # it ends those that it started
        process.communicate(timeout=LIMIT)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both processes wrote."""
    path = tmp_path_factory.mktemp("together")
    done = torchrun("tests.together", str(path))
    assert done.returncode == 0, done.stderr
    return path


def written(folder: Path, name: str, rank: int) -> tuple[pd.DataFrame, list[int], dict[str, Any]]:
    rows, snapshots = json.loads((folder / f"{name}-{rank}.json").read_text())
    return pd.DataFrame(rows), snapshots, load_file(folder / f"{name}-{rank}.safetensors")


def answer(folder: Path, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"answer-{rank}.json").read_text())
    return found


def without_timing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[name for name in frame if name not in TIMING]]


@pytest.mark.parametrize("case", [*CASES, "continued"])
def test_two_processes_are_one(folder: Path, case: str) -> None:
    history, checkpoints, final = trained("means" if case == "continued" else case)
    frame, snapshots, tensors = written(folder, case, 0)
    pd.testing.assert_frame_equal(
        without_timing(frame), without_timing(history.frame), check_dtype=False, rtol=1e-9, atol=0
    )
    assert frame["R@20"].tolist() == history.frame["R@20"].tolist()
    assert snapshots == sorted(history.snapshots)
    expected = {f"model.{k}": v for k, v in checkpoints[-1].model.items()}
    expected |= {f"optimizer.{k}": v for k, v in checkpoints[-1].optimizer.items()}
    expected |= {f"final.{k}": v for k, v in final.items()}
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(tensors[name], tensor, rtol=1e-7, atol=1e-9, msg=name)


@pytest.mark.parametrize("case", [*CASES, "continued"])
def test_processes_stay_equal_bit_for_bit(folder: Path, case: str) -> None:
    first, _, ours = written(folder, case, 0)
    second, snapshots, theirs = written(folder, case, 1)
    assert without_timing(first).equals(without_timing(second))
    assert snapshots == []
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_early_stopping_stops_both(folder: Path) -> None:
    frames = [written(folder, "patience", rank)[0] for rank in (0, 1)]
    assert len(frames[0]) == len(frames[1]) < CASES["patience"][2]["epochs"]


@pytest.mark.parametrize("rank", [0, 1])
def test_evaluation_is_shared_and_each_gets_the_whole(folder: Path, rank: int) -> None:
    model = small("proxysr")
    alone = [evaluate(model, s).ranks["rank"].tolist() for s in (SPLIT.test, ONE_PREFIX)]
    assert answer(folder, rank)["ranks"] == alone


def test_random_numbers_of_the_first_process_are_those_of_one(folder: Path) -> None:
    assert answer(folder, 0)["random"] == drawn() != answer(folder, 1)["random"]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("about", "message"),
    [
        (
            "csrm",
            "CSRM cannot be trained by 2 processes: it remembers something from batch to batch",
        ),
        (
            "hrnn",
            "HRNN cannot be trained by 2 processes: it remembers something from batch to batch",
        ),
        ("gpu", "2 processes cannot share 1 GPU(s) of a machine. Start one a GPU (--nproc-per-"),
        ("nan", "The loss is not finite in epoch 0, batch 1 of 4: loss = nan, hinge = "),
    ],
)
def test_every_process_says_what_is_wrong(
    folder: Path, about: str, message: str, rank: int
) -> None:
    assert answer(folder, rank)["told"][about].startswith(message)


def test_an_error_of_one_process_ends_all_and_is_told_once() -> None:
    done = torchrun("tests.together")
    assert done.returncode != 0
    assert done.stderr.count("ValueError: Only the second process finds this.") == 1
    assert "Connection closed" not in done.stderr


def test_one_process_is_by_itself() -> None:
    value = torch.ones(2)
    distributed.average(value)
    distributed.copy_first([value])
    assert value.tolist() == [1, 1]
    assert (distributed.rank(), distributed.world_size(), distributed.is_first()) == (0, 1, True)
    assert distributed.from_first(3) == 3
    assert distributed.gathered(3) == [3]


def test_the_command_writes_one_run_that_any_number_of_processes_continues(tmp_path: Path) -> None:
    data = str(SPLIT.save(tmp_path / "data"))
    run_dir, whole = tmp_path / "run", tmp_path / "whole"
    options = {"batch_size": 16, "learning_rate": 1e-2, "device": "cpu"}
    settings = [f"{name}={value}" for name, value in SMALL["proxysr"].items()]
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    train = ("proxysr", "train", data, str(run_dir))
    named = ("--model", "proxysr")

    first = torchrun(*train, *named, "--epochs=2", *words, "--json", "--set", *settings)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["epochs"] == 2  # one object, of one process
    assert first.stderr.count("epochs:   0%") == 1  # the bar of one, too
    assert json.loads(first.stdout)["findings"] == RunDir(run_dir).findings
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["processes"] == 2

    config = TrainConfig(epochs=4, **options)
    ours = train_run(data, run_dir, train=config, resume=True, progress=False)
    train_run(
        data,
        whole,
        model="proxysr",
        model_config=SMALL["proxysr"],
        train=config,
        progress=False,
    )
    pd.testing.assert_frame_equal(
        without_timing(ours.history()), without_timing(RunDir(whole).history()), rtol=1e-4
    )
    assert ours.config == RunDir(whole).config
    assert ours.counters == RunDir(whole).counters
    found = evaluate_run(run_dir, part="valid", ks=(20,), progress=False)
    assert found.metrics["R@20"] == ours.history()["R@20"].max()

    again = torchrun(*train, *words)
    assert again.returncode != 0
    assert again.stdout == ""
    assert again.stderr.count(f"proxysr train: error: {run_dir} is not empty") == 1
