"""Processes that are ended: workers end with them, nothing temporary stays, and work goes on."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxysr.processes import EXIT_CODE, is_alive
from tests.hostile import shop
from tests.notebooks.small import write

LONG = ["--epochs", 500, "--patience", 500]
QUICK = ["--set", "embedding_dim=4", "n_proxies=2"]
PATIENCE = 120.0
SIGNALS = [
    signal.SIGTERM,
    pytest.param(
        signal.SIGKILL,
        marks=pytest.mark.skipif(
            "PROXYSR_HOSTILE" not in os.environ, reason="long; make hostile runs it"
        ),
    ),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop.split(n=3_000).save(tmp_path_factory.mktemp("data") / "split")


@contextmanager
def begun(folder: Path, *words: object, by: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """A command of proxysr in a process of its own, with a folder of its own for what passes."""
    environment = os.environ | {"TMPDIR": str(scratch_of(folder)), "PROXYSR_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, *by, "-m", "proxysr", *map(str, words)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def scratch_of(folder: Path) -> Path:
    """For what passes; its name is short, since sockets in it have a longest name."""
    number = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    scratch = Path(tempfile.gettempdir(), f"scratch-{number}")
    scratch.mkdir(exist_ok=True)
    return scratch


@pytest.fixture(autouse=True)
def _no_scratch(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(scratch_of(tmp_path))


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate())
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def temporary(folder: Path) -> list[Path]:
    """What nobody should find afterwards; holders of Jupyter and optuna for their own aside."""
    found = [*folder.rglob(".*.tmp"), *folder.rglob(".*.old"), *folder.rglob(".proxysr-*")]
    return [*found, *scratch_of(folder).glob("proxysr-*")]


def descendants(pid: int) -> set[int]:
    """Processes that one has begun, and theirs."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def gone(pids: set[int]) -> bool:
    return not any(is_alive(pid) and not _is_zombie(pid) for pid in pids)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_training_that_is_ended_goes_on(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with begun(tmp_path, "train", data, path, *LONG, *QUICK) as process:
        wait_for((path / "checkpoints" / "last.safetensors").is_file, process)
        refused = subprocess.run(
            [sys.executable, "-m", "proxysr", "train", data, path, "--resume"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert refused.returncode == 2
        assert "run is being trained by another process. Wait for it" in refused.stderr
        assert f"It is held by process {process.pid} on " in refused.stderr
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == EXIT_CODE
    assert said.strip().endswith(
        "proxysr train: ended. Finished epochs are kept; the same command with --resume "
        "continues the training."
    )
    assert not temporary(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no list of processes in /proc")
@pytest.mark.parametrize("number", SIGNALS)
def test_workers_of_a_sweep_end_with_it(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    words = ["tune", data, tmp_path / "study", "--jobs", 2, "--epochs", 500, *QUICK]
    with begun(tmp_path, *words) as process:
        wait_for(lambda: len([*tmp_path.glob("study/runs/*/history.csv")]) == 2, process)
        workers = descendants(process.pid)
        assert len(workers) >= 2
        process.send_signal(number)
        process.wait(PATIENCE)
        wait_for(lambda: gone(workers))
    assert process.returncode == (EXIT_CODE if number == signal.SIGTERM else -number)
    assert not temporary(tmp_path)


@pytest.mark.skipif("PROXYSR_HOSTILE" not in os.environ, reason="long; make hostile runs it")
def test_processes_that_train_together_end(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    by = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with begun(tmp_path, "train", data, path, *LONG, *QUICK, "--device", "cpu", by=by) as process:
        wait_for((path / "checkpoints" / "last.safetensors").is_file, process)
        workers = descendants(process.pid)
        assert len(workers) >= 2
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        wait_for(lambda: gone(workers))
    assert not temporary(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "proxysr", "train", data, path, "--resume", "--patience", "0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


SLEEPS = """\
import os, time
from pathlib import Path
Path("pid").write_text(str(os.getpid()))
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no list of processes in /proc")
@pytest.mark.parametrize("number", SIGNALS)
def test_kernels_of_notebooks_end_with_them(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    pid = tmp_path / "pid"
    write(tmp_path / "notebooks", "01_a", SLEEPS)
    with begun(tmp_path, "notebooks", "--out", tmp_path / "out") as process:
        wait_for(lambda: pid.is_file() and pid.read_text() != "", process)
        others = descendants(process.pid)
        assert int(pid.read_text()) in others
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        wait_for(lambda: gone(others))
    if number == signal.SIGTERM:
        assert process.returncode == EXIT_CODE
        assert "Finished notebooks are in" in said
        assert not temporary(tmp_path)
    else:  # what it left is swept by the next
        with begun(tmp_path, "prepare", "synthetic", tmp_path / "data", "--format", "synthetic",
                   "--set", "n_sessions=300") as process:  # fmt: skip
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert not temporary(tmp_path)


ANSWERS = """\
import sys
from types import SimpleNamespace
from proxysr import __main__ as program
from proxysr.cli.answer import Answer
long = SimpleNamespace(run=lambda args: Answer({}, "x" * 10**6))
program.parsed = lambda words: (long, SimpleNamespace(json=False))
sys.exit(program.main(["train"]))
"""


def test_who_stops_reading_is_told_nothing() -> None:
    command = f"{sys.executable} -m proxysr train --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("usage: proxysr train")
    assert done.stderr == ""
    read, wrote = os.pipe()
    os.close(read)
    for words in (["-m", "proxysr", "train", "--help"], ["-c", ANSWERS]):
        done = subprocess.run(
            [sys.executable, *words],
            stdout=wrote, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        # argparse itself looks away where help is not read
        assert done.returncode == 141 or "--help" in words
    os.close(wrote)
