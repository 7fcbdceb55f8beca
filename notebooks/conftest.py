"""Under test, notebooks leave their runs and figures in a folder that goes away."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp(prefix="proxysr-notebooks-"))
atexit.register(shutil.rmtree, folder, ignore_errors=True)
# before nbval starts a kernel, which inherits them
os.environ["PROXYSR_RUNS"] = str(folder / "runs")
os.environ["PROXYSR_FIGURES"] = str(folder / "figures")
os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
os.environ["BROWSER_PATH"] = str(folder / "none")  # tests/plots and tests/notebooks draw pictures
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
