"""One notebook in a process of its own: ``python -m proxysr.notebooks.worker JOB.json``.

The job names ``source``, ``executed`` (a place to work in), ``target``, ``page``, ``mark``,
``parameters``, ``progress`` and ``result``. Each notebook gets the mark, with the seconds that it
took if it succeeds, and is written as an offline page.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxysr.disk import explained
from proxysr.files import read_json, replacing, write_json
from proxysr.notebooks.index import title_of
from proxysr.processes import end_with_parent, ending_on_sigterm
from proxysr.text import visible

MARK = "proxysr"
"""Key of the mark in an executed notebook's metadata: it was written here, and from what."""
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"


def main(job_file: str) -> None:
    """Execute the notebook of a job, write its page, and leave the result."""
    job = read_json(Path(job_file))
    executed, target = Path(job["executed"]), Path(job["target"])
    try:
        started = time.perf_counter()
        problem = execute(job)
        seconds = round(time.perf_counter() - started, 1)
        if executed.is_file():
            clean(executed, job["mark"] | ({} if problem else {"seconds": seconds}))
            with replacing(target) as temporary:
                shutil.copyfile(executed, temporary)
            write_page(target, Path(job["page"]))
        write_json(Path(job["result"]), {"problem": problem, "seconds": seconds})
    except OSError as error:  # such as a full disk; not an error of the notebook
        sys.exit(visible(str(explained(error, target) or error)))


def execute(job: dict[str, Any]) -> dict[str, Any] | None:
    """Run the notebook; returns None, or the cell that failed and its error."""
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    config = Config()
    if os.name == "posix":  # files instead of ports: notebooks side by side cannot collide
        config.KernelManager.transport = "ipc"
        # by default, sockets of all kernels are named alike in the caller's folder
        config.KernelManager.ip = str(Path(job["result"]).with_name("kernel"))
    try:
        papermill.execute_notebook(
            job["source"],
            job["executed"],
            parameters=job["parameters"],
            kernel_name="python3",
            progress_bar={"desc": Path(job["source"]).stem} if job["progress"] else False,
            store_widget_state=False,
            # parallel kernels would wait for one history database
            extra_arguments=["--HistoryManager.enabled=False"],
            config=config,
        )
    except PapermillExecutionError as error:
        return {
            "cell": error.exec_count,
            "source": error.source,
            "error": error.ename,
            "message": error.evalue,
        }
    return None


def clean(executed: Path, mark: Mapping[str, Any] | None) -> None:
    """Remove widgets, which need a kernel, and write the mark.

    The text of a cell's value stays.
    """
    import nbformat

    content = nbformat.read(executed, as_version=4)
    content.metadata.pop("widgets", None)
    if mark is not None:
        content.metadata[MARK] = dict(mark)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                out for out in cell.outputs
                if WIDGET not in out.get("data", {}) or out.output_type == "execute_result"
            ]  # fmt: skip
            for out in cell.outputs:
                out.get("data", {}).pop(WIDGET, None)
    with replacing(executed) as temporary:
        nbformat.write(content, temporary)


def write_page(notebook: Path, page: Path) -> None:
    """Write an executed notebook as one HTML file without outside requests.

    Figures are data in the notebook; the page includes plotly's script once to draw them.
    """
    import nbformat
    import plotly.graph_objects as go
    from nbconvert import HTMLExporter

    content = nbformat.read(notebook, as_version=4)
    script = True
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if PLOTLY in output.get("data", {}):
                figure = go.Figure(output.data[PLOTLY]["data"], output.data[PLOTLY]["layout"])
                output.data = {
                    "text/html": figure.to_html(full_html=False, include_plotlyjs=script)
                }
                script = False
    exporter = HTMLExporter(embed_images=True)
    exporter.mathjax_url = ""  # it would be fetched from elsewhere
    exporter.require_js_url = ""
    body, _ = exporter.from_notebook_node(content, {"metadata": {"name": title_of(notebook)}})
    with replacing(page) as temporary:
        temporary.write_text(body, encoding="utf-8")


if __name__ == "__main__":
    end_with_parent()
    with ending_on_sigterm():
        main(sys.argv[1])
