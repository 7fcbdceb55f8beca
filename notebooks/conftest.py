"""Under test, notebooks leave their runs and figures in a folder that goes away."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

folder = Path(tempfile.mkdtemp(prefix="proxysr-notebooks-"))
atexit.register(shutil.rmtree, folder, ignore_errors=True)
# before nbval starts a kernel, which inherits them
os.environ["PROXYSR_RUNS"] = str(folder / "runs")
os.environ["PROXYSR_FIGURES"] = str(folder / "figures")
os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Kernels, which start here, draw no pictures: tests/plots and tests/notebooks do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROWSER_PATH", str(folder / "none"))
        return (yield)
