"""Attack files, disks and processes at length: ``python -m tests.hostile``.

Every attack is refused in readable words or survived. It counts as lost if something is, such as a
run that cannot go on or comes to another result, or if it ends in a traceback. Prints how many of
each there were, and ends with 1 if any was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings

from proxysr.data.sessions import SessionSplit
from proxysr.recommender import Recommender
from tests.hostile import shop
from tests.hostile.damage import damages, files_of, tried
from tests.hostile.disk import faulty
from tests.notebooks.small import write

REFUSED, SURVIVED, LOST = "refused cleanly", "survived", "lost"
Outcome = tuple[str, str]
SYNTHETIC = ["--format", "synthetic", "--set", "n_sessions=4000"]
TRAINING = ["--epochs", "4", "--set", "embedding_dim=8", "n_proxies=3"]


class Tally:
    """What became of each attack, by kind."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, int]] = {}

    def add(self, kind: str, outcome: Outcome) -> None:
        """One more; what was lost is told at once."""
        how, said = outcome
        row = self.rows.setdefault(kind, dict.fromkeys((REFUSED, SURVIVED, LOST), 0))
        row[how] += 1
        if how == LOST:
            sys.stderr.write(f"LOST, {kind}: {said}\n")

    def attack(self, kind: str, work: Callable[[], Outcome]) -> None:
        """Try; what nobody foresaw is a loss."""
        try:
            self.add(kind, work())
        except Exception as error:
            self.add(kind, (LOST, f"{type(error).__name__}: {error}"))

    def __str__(self) -> str:
        names = ("tried", REFUSED, SURVIVED, LOST)
        lines = [f"{'':<28}" + "".join(f"{name:>17}" for name in names)]
        total = dict.fromkeys(names, 0)
        for kind, row in [*self.rows.items(), ("all", total)]:
            counts = row if kind == "all" else {"tried": sum(row.values())} | row
            if kind != "all":
                total.update({name: total[name] + counts[name] for name in names})
            lines.append(f"{kind:<28}" + "".join(f"{counts[name]:>17,}" for name in names))
        return "\n".join(lines)


def command(*words: object) -> list[str]:
    """A command of proxysr."""
    return [sys.executable, "-m", "proxysr", *map(str, words)]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, check=False)


# -- damaged files -------------------------------------------------------------------------


def damaged(tally: Tally, place: Path, minutes: float) -> None:
    """Damaged runs and splits, for so many minutes."""
    data = shop.split().save(place / "split")
    path = shop.train(data, place / "run").path
    shop.evaluated(path)
    end = time.monotonic() + 60 * minutes
    seed = 0
    while time.monotonic() < end:
        seed += 1
        for whole, is_split in ((path, False), (data, True)):
            for tied in (True, False):
                _feed(tally, place, whole, tied, is_split)


def _feed(tally: Tally, place: Path, whole: Path, tied: bool, is_split: bool) -> None:
    kind = "damaged splits" if is_split else "damaged runs"

    def look(damage: tuple[str, tuple[str, object]]) -> Outcome:
        said = tried(whole, place / "hurt", *damage, tied=tied, split=is_split)
        return (SURVIVED, "") if said is None else (REFUSED, said)

    @settings(
        max_examples=50, database=None, derandomize=False, deadline=None,
        phases=[Phase.generate], suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(damages(files_of(whole)))
    def attack(damage: tuple[str, tuple[str, object]]) -> None:
        tally.attack(kind, lambda: look(damage))

    attack()


# -- killed processes ----------------------------------------------------------------------


def killed(tally: Tally, place: Path, times: int, draw: random.Random) -> None:
    """Kill -9 at random moments; then the same command, or its --resume, ends as if unharmed."""
    data, whole = place / "data", place / "whole"
    began = time.monotonic()
    run("prepare", "synthetic", data, *SYNTHETIC)
    took = {"prepare": time.monotonic() - began}
    began = time.monotonic()
    run("train", data, whole, *TRAINING)
    took["train"] = time.monotonic() - began
    fingerprint, outcome = SessionSplit.load(data).fingerprint(), shop.outcome(whole)
    (place / "notebooks").mkdir()
    write(place / "notebooks", "01_a", *["import time; time.sleep(0.3)"] * 5)
    began = time.monotonic()
    run("notebooks", "--out", place / "pages")
    took["notebooks"] = time.monotonic() - began
    for number in range(times):
        what = ("prepare", "train", "notebooks")[number % 3]
        after = draw.uniform(0.2, 1.0) * took[what]

        def prepare(after: float = after) -> Outcome:
            _kill(after, "prepare", "synthetic", data, *SYNTHETIC)
            if SessionSplit.load(data).fingerprint() != fingerprint:
                return LOST, "another split"
            done = run("prepare", "synthetic", data, *SYNTHETIC)
            return _clean(done, place)

        def train(after: float = after, path: Path = place / f"run-{number}") -> Outcome:
            _kill(after, "train", data, path, *TRAINING)
            resume = ["--resume"] if (path / "config.json").is_file() else []
            done = run("train", data, path, *TRAINING, *resume)
            if shop.outcome(path) != outcome:
                return LOST, "another result"
            shutil.rmtree(path)
            return _clean(done, place)

        def notebooks(after: float = after, out: Path = place / f"pages-{number}") -> Outcome:
            _kill(after, "notebooks", "--out", out)
            done = run("notebooks", "--out", out, "--resume")
            whole = (out / "index.html").is_file() and (out / "01_a.html").is_file()
            return _clean(done, place) if whole else (LOST, done.stderr[-400:])

        works = {"prepare": prepare, "train": train, "notebooks": notebooks}
        tally.attack(f"kill -9, {what}", works[what])


def _kill(after: float, *words: object) -> None:
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _clean(done: subprocess.CompletedProcess[str], place: Path) -> Outcome:
    """Whether a command ended well and nothing temporary is left."""
    if done.returncode:
        return LOST, done.stderr.strip()[-400:]
    left = [*place.rglob(".*.tmp"), *place.rglob(".*.old")]
    left += [*Path(tempfile.gettempdir()).glob("proxysr-*")]
    return (LOST, f"left behind: {left[0]}") if left else (SURVIVED, "")


# -- full disks ----------------------------------------------------------------------------


def full(tally: Tally, place: Path, times: int, draw: random.Random) -> None:
    """A disk that is full from a random moment on; then there is space again."""
    data = shop.split().save(place / "old")
    old, other = shop.files_in(data), shop.split(seed=8)
    with faulty() as saving:
        new = shop.files_in(other.save(place / "new"))
    with faulty() as training:
        outcome = shop.outcome(shop.train(data, place / "whole").path)
    with faulty() as evaluating:
        metrics = shop.evaluated(place / "whole")

    def save(at: int) -> Outcome:
        said = _failing(lambda: other.save(data), at)
        if shop.files_in(data) not in (old, new):
            return LOST, "neither the old nor the new split"
        shop.split().save(data)
        return said

    def train(at: int) -> Outcome:
        path = place / "run"
        said = _failing(lambda: shop.train(data, path), at)
        shop.train(data, path, resume=(path / "config.json").is_file())
        same = shop.outcome(path) == outcome
        shutil.rmtree(path)
        return said if same else (LOST, "another result")

    def evaluate(at: int) -> Outcome:
        said = _failing(lambda: shop.evaluated(place / "whole"), at)
        same = shop.evaluated(place / "whole") == metrics
        return said if same else (LOST, "other metrics")

    for number in range(times):
        what, work, n = (
            ("prepare", save, saving.n), ("train", train, training.n),
            ("evaluate", evaluate, evaluating.n),
        )[number % 3]  # fmt: skip
        at = draw.randint(1, n)
        tally.attack(f"full disk, {what}", lambda work=work, at=at: work(at))  # type: ignore[misc]


def _failing(work: Callable[[], object], at: int) -> Outcome:
    with faulty(at):
        try:
            work()
        except OSError as error:
            readable = "cannot be written" in str(error)
            return (REFUSED if readable else LOST), str(error)
    return SURVIVED, ""


# -- several at once -----------------------------------------------------------------------


def together(tally: Tally, place: Path, threads: int) -> None:
    """Many threads on one recommender, and two processes on one folder."""
    data = shop.split().save(place / "split")
    recommender = Recommender.load(shop.train(data, place / "run"))
    asked = [[f"item {1 + (7 * i + j) % 40}" for j in range(1 + i % 5)] for i in range(threads)]
    alone = [recommender.recommend(clicks, k=5).items for clicks in asked]

    def ask(number: int) -> Outcome:
        for _ in range(50):
            found = recommender.recommend(asked[number], k=5).items
            same = found["item_id"].equals(alone[number]["item_id"])
            if not same or not np.allclose(found["score"], alone[number]["score"]):
                return LOST, "another list than alone"
        return SURVIVED, ""

    workers = [
        threading.Thread(target=tally.attack, args=("threads", lambda i=i: ask(i)))
        for i in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for _ in range(3):
        tally.attack("two on one folder", lambda: _race(data, place / "race"))


def _race(data: Path, path: Path) -> Outcome:
    """Two processes that train the same new run at once: one is refused, the other is whole."""
    words = command("train", data, path, "--epochs", "3", "--set", "embedding_dim=4", "n_proxies=2")
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    whole = shop.outcome(path)
    shutil.rmtree(path)
    if codes != [0, 2] or not whole:
        return LOST, f"exit codes {codes}: {said}"
    refused = next(text for text, one in zip(said, both, strict=True) if one.returncode == 2)
    readable = "not empty" in refused or "being trained by another" in refused
    return (REFUSED if readable else LOST), refused


def tested(tally: Tally) -> None:
    """The tests of ended processes, also those that are too long for every day."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA"]
    words += ["tests/hostile/test_processes.py"]
    done = subprocess.run(
        words,
        env=os.environ | {"PROXYSR_HOSTILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith(("PASSED", "FAILED", "ERROR")):
            tally.add("ended processes", (SURVIVED if line.startswith("P") else LOST, line))


def main(words: Sequence[str] | None = None) -> int:
    """Attack, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of damaged files [10]")
    parser.add_argument("--kills", type=int, default=50, help="processes killed [50]")
    parser.add_argument("--full", type=int, default=20, help="moments of full disks [20]")
    parser.add_argument("--threads", type=int, default=20, help="on one recommender [20]")
    parser.add_argument(
        "--tests", action=argparse.BooleanOptionalAction, default=True, help="of ended processes"
    )
    parser.add_argument("--seed", type=int, default=None, help="of the moments [another each time]")
    args = parser.parse_args(words)
    seed = random.randrange(10**6) if args.seed is None else args.seed
    sys.stderr.write(f"--seed {seed}\n")
    draw, tally = random.Random(seed), Tally()
    torch.set_num_threads(1)
    kept = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        for name, work in {
            "together": lambda place: together(tally, place, args.threads),
            "full": lambda place: full(tally, place, args.full, draw),
            "killed": lambda place: killed(tally, place, args.kills, draw),
            "damaged": lambda place: damaged(tally, place, args.minutes),
        }.items():
            place = Path(folder, name)
            place.mkdir()
            os.environ |= {"PROXYSR_HOME": str(place), "TMPDIR": folder}
            tempfile.tempdir = folder
            sys.stderr.write(f"{name} …\n")
            work(place)
    os.environ["TMPDIR"] = tempfile.tempdir = kept
    if args.tests:
        tested(tally)
    sys.stdout.write(f"{tally}\n")
    return int(any(row[LOST] for row in tally.rows.values()))


if __name__ == "__main__":
    sys.exit(main())
