"""What must stay true of the whole project: light imports, short files, pages that work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import proxysr
from tests.conftest import ROOT

LONGEST_FILE = 460


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


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import proxysr", HEAVY),
        ("from proxysr.__main__ import main\nmain(['--help'])", HEAVY),
        ("from proxysr.__main__ import main\nmain(['prepare', '--help'])", {"torch", "plotly"}),
        (
            "import proxysr.training, proxysr.evaluation, proxysr.models",
            {"ibis", "duckdb", "pooch", "plotly", "ipywidgets", "anywidget", "openTSNE", "sklearn"},
        ),
        (
            "import proxysr.running, proxysr.recommender",
            {"ibis", "duckdb", "plotly", "papermill", "optuna"},
        ),
        ("from proxysr.__main__ import main\nmain(['train', '--help'])", {"optuna", "sqlalchemy"}),
    ],
)
def test_imports_stay_light(code: str, unwanted: set[str]) -> None:
    assert not loaded_by(code) & unwanted


def test_public_names_exist() -> None:
    for name in proxysr.__all__:
        assert getattr(proxysr, name) is not None
    assert dir(proxysr) == sorted(proxysr.__all__)
    with pytest.raises(AttributeError, match="module 'proxysr' has no attribute 'prepaire'"):
        _ = proxysr.prepaire


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("proxysr/**/*.py"), *ROOT.glob("tests/**/*.py")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{lines} lines: which of its ideas can have a file of its own?"


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
