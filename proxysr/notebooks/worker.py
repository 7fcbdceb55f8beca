"""One notebook in a process of its own: ``python -m proxysr.notebooks.worker JOB.json``.

The job names ``source``, ``target``, ``page``, ``mark``, ``parameters``, ``progress`` and
``result``; the result tells what happened. A notebook that ends well gets the mark.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from proxysr.disk import explained
from proxysr.files import read_json, write_json
from proxysr.processes import end_with_parent, ending_on_sigterm
from proxysr.text import visible


def main(job_file: str) -> None:
    """Execute the notebook of a job, write its page, and tell the result."""
    job = read_json(Path(job_file))
    try:
        _run(job)
    except OSError as error:  # a disk that is full, and no fault of the notebook
        sys.exit(visible(str(explained(error, Path(job["target"])) or error)))


def _run(job: dict[str, Any]) -> None:
    started = time.perf_counter()
    problem = execute(job)
    seconds = round(time.perf_counter() - started, 1)
    if Path(job["target"]).is_file():
        from proxysr.notebooks.marks import finish
        from proxysr.notebooks.pages import write_page

        done = job["mark"] | {"seconds": seconds}
        finish(Path(job["target"]), done if problem is None else None)
        write_page(Path(job["target"]), Path(job["page"]))
    write_json(Path(job["result"]), {"problem": problem, "seconds": seconds})


def execute(job: dict[str, Any]) -> dict[str, Any] | None:
    """Run the notebook; None, or which cell failed and how."""
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
            job["target"],
            parameters=job["parameters"],
            kernel_name="python3",
            progress_bar={"desc": Path(job["source"]).stem} if job["progress"] else False,
            store_widget_state=False,
            # several kernels would wait for one history database
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


if __name__ == "__main__":
    end_with_parent()
    with ending_on_sigterm():
        main(sys.argv[1])
