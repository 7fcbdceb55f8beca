"""What must stay true of the whole project: light imports, short files, pages that work."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import proxysr
from tests.conftest import ROOT

LONGEST_FILE = 400


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after running ``code`` in a fresh interpreter."""
    tail = "\nimport sys\nprint('\\nLOADED', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


HEAVY = {
    "torch",
    "pandas",
    "numpy",
    "plotly",
    "ipywidgets",
    "ibis",
    "duckdb",
    "papermill",
    "optuna",
}


HELP = "from proxysr.__main__ import main\nmain(['{}', '--help'])"
CORE = "import proxysr.training, proxysr.evaluation, proxysr.running, proxysr.recommender\n"


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import proxysr; " + HELP.format("--help"), HEAVY),
        (HELP.format("prepare"), {"torch", "plotly"}),
        (
            CORE + HELP.format("train"),
            HEAVY - {"torch", "pandas", "numpy"}
            | {"pooch", "anywidget", "openTSNE", "sklearn", "sqlalchemy"},
        ),
    ],
    ids=["help", "prepare", "train, evaluate, recommend"],
)
def test_imports_stay_light(code: str, unwanted: set[str]) -> None:
    assert not loaded_by(code) & unwanted


def test_public_names_exist() -> None:
    for name in proxysr.__all__:
        assert getattr(proxysr, name) is not None
    assert dir(proxysr) == sorted(proxysr.__all__)
    with pytest.raises(AttributeError, match="module 'proxysr' has no attribute 'prepaire'"):
        _ = proxysr.prepaire


def test_files_are_short() -> None:
    rooms = ("proxysr", "tests", "benchmarks")
    files = [path for room in rooms for path in ROOT.glob(f"{room}/**/*.py")]
    lengths = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8").count("\n") for p in files}
    long = {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE}
    assert not long, "which of their ideas can have a file of its own?"


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def test_make_targets_are_declared_and_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == make_targets() >= {"demo", "test", "lab", "help"}
    listed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    for target in make_targets():
        assert re.search(rf"^  make {target} +\w", listed.stdout, flags=re.MULTILINE)


def test_ci_runs_the_tests_that_the_readme_names() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
    assert "make test" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_large_pages_are_asked_for_unless_the_caller_says_otherwise(
    given: str | None, expected: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    environment |= {} if given is None else {"THP_MEM_ALLOC_ENABLE": given}
    code = "import os, proxysr; print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
