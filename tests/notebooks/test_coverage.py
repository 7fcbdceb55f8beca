"""Every notebook is executed by the tests and by ``proxysr notebooks``, with all of its cells."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from proxysr.notebooks.running import chosen_notebooks
from tests.conftest import ROOT


def tracked() -> set[Path]:
    """The notebooks of the project: not those that tools leave in folders git ignores."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.ipynb"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:  # no checkout of git
        return {path.relative_to(ROOT) for path in (ROOT / "notebooks").glob("**/*.ipynb")}
    return {Path(line) for line in done.stdout.splitlines()}


def test_none_is_left_out(pytestconfig: pytest.Config) -> None:
    assert "notebooks" in pytestconfig.getini("testpaths"), "what `make test` collects"
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*words, "notebooks"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = re.findall(r"^(\S+\.ipynb)::Cell \d+$", done.stdout, flags=re.MULTILINE)
    collected = Counter(map(Path, found))
    assert {*collected} == tracked() == {p.relative_to(ROOT) for p in chosen_notebooks(None)}
    for path, n in collected.items():
        cells = json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert n == len(code), f"{path} has cells that are not run"
        for cell in code:
            said = json.dumps(cell["metadata"]) + "".join(cell["source"])
            assert not re.search(r"nbval[-_ ](skip|ignore)", said, re.IGNORECASE), path


def test_make_test_runs_all_that_pytest_collects() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^test: .*\bpytest\b", makefile, flags=re.MULTILINE)
    assert re.search(
        r"^pytest: .*\n\t\$\(BIN\)/pytest -n \$\(JOBS\) --dist loadfile$",
        makefile,
        flags=re.MULTILINE,
    )
