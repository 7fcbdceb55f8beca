"""The figures of the house, each beside its target: what is true today, over target or not.

    python -m benchmarks.facts

The *main road* is what a log takes: it is read, prepared, saved and loaded as a split; proxysr and
latent_proxy are trained on it for an epoch and evaluated. Its lines are those of functions that are
executed a second time along it, when all is imported; its files are those such lines are in.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import proxysr as ps
from proxysr.data.synthetic import SyntheticConfig
from proxysr.models import create
from tests.conftest import ROOT

PACKAGE = ROOT / "proxysr"
ROAD, SIZE, LONGEST, TWICE = 2500, 17_000, 400, 10


def main_road(folder: Path) -> None:
    """From a log to metrics of both proxy models."""
    ps.prepare(ps.read_events(folder / "log.csv")).save(folder / "split")
    split = ps.SessionSplit.load(folder / "split")
    for name in ("proxysr", "latent_proxy"):
        model = create(name, split.n_items, {"embedding_dim": 8, "n_proxies": 4})
        ps.fit(model, split, ps.TrainConfig(epochs=1, device="cpu"), progress=False)
        ps.evaluate(model, split.test)


def lines_executed() -> Counter[str]:
    """Number of lines of functions that the main road executes, by file of the package."""
    seen: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(str(PACKAGE)):
            return None
        if event == "line":
            seen.add((file, frame.f_lineno))
        return trace

    log, _, _ = ps.synthetic_events(SyntheticConfig(n_sessions=400, n_items=100))
    for tracer in (None, trace):
        with tempfile.TemporaryDirectory() as folder:
            log.to_csv(Path(folder) / "log.csv", index=False)
            before = sys.gettrace()
            sys.settrace(tracer or before)
            main_road(Path(folder))
            sys.settrace(before)
    return Counter(file for file, _ in seen)


def sources() -> dict[Path, list[str]]:
    """Lines of all source files of the package."""
    found = (path for ending in ("py", "js", "css") for path in PACKAGE.rglob(f"*.{ending}"))
    return {path: path.read_text(encoding="utf-8").splitlines() for path in sorted(found)}


def written_twice(files: dict[Path, list[str]], n: int = TWICE) -> list[str]:
    """Where n lines begin, blank ones aside, that stand elsewhere or further up, too."""
    first: dict[tuple[str, ...], str] = {}
    found = []
    for path, lines in files.items():
        filled = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip()]
        before = False
        for start in range(len(filled) - n + 1):
            window = tuple(line for _, line in filled[start : start + n])
            place = f"{path.relative_to(ROOT)}:{filled[start][0]}"
            again = window in first
            if again and not before:  # longer ones count once
                found.append(f"{place} as {first[window]}")
            first.setdefault(window, place)
            before = again
    return found


def main() -> None:
    """Print each figure and its target."""
    warnings.simplefilter("ignore")
    files, road = sources(), lines_executed()
    long = [f"{p.relative_to(ROOT)} {len(lines)}" for p, lines in files.items()
            if len(lines) > LONGEST]  # fmt: skip
    twice = written_twice(files)
    length = sum(len(files[Path(file)]) for file in road)
    rows: list[tuple[str, int, int, list[str]]] = [
        ("lines executed on the main road", road.total(), ROAD, []),
        (f"lines of the {len(road)} files it runs through", length, ROAD,
         [f"{Path(file).relative_to(ROOT)} {n} of {len(files[Path(file)])}"
          for file, n in road.most_common()]),
        ("lines of the package (py, js, css)", sum(map(len, files.values())), SIZE, []),
        (f"files above {LONGEST} lines", len(long), 0, long),
        (f"times that {TWICE} lines stand twice", len(twice), 0, twice),
    ]  # fmt: skip
    for what, value, target, more in rows:
        mark = "" if value <= target else "  over"
        print(f"{what:42} {value:7,}  target {target:6,}{mark}")
        for line in more:
            print(f"    {line}")


if __name__ == "__main__":
    main()
