"""Put fresh outputs into the notebooks: ``python -m tools.refresh_notebooks [NAME …]``.

Run it after changing a notebook or what its outputs show; parameters keep their defaults.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

from proxysr.files import replacing
from proxysr.notebooks.running import chosen_notebooks, run_notebooks
from proxysr.notebooks.worker import PLOTLY


def refresh(names: Sequence[str] | None = None) -> list[Path]:
    """Execute notebooks with their default parameters and store the outputs in them.

    Figures are stored as data, for JupyterLab, and as pictures, for viewers that run no scripts.

    Raises
    ------
    NotebookError
        If a notebook fails; none is changed then.
    DrawingError
        If there is no browser to draw the pictures with.
    """
    sources = chosen_notebooks(names)
    with tempfile.TemporaryDirectory() as folder:
        run_notebooks(names, out=folder)
        for source in sources:
            put_back(Path(folder) / source.name, source)
    return sources


def put_back(executed: Path, source: Path) -> None:
    """Copy outputs and their numbers from an executed notebook, and nothing about the machine."""
    import plotly.graph_objects as go

    from proxysr.plots.drawing import draw

    done, kept = nbformat.read(executed, as_version=4), nbformat.read(source, as_version=4)
    for cell, run in zip(kept.cells, done.cells, strict=True):
        if cell.cell_type != "code":
            continue
        cell.execution_count, cell.outputs = run.execution_count, run.outputs
        for output in cell.outputs:
            if PLOTLY in output.get("data", {}):
                figure = output.data[PLOTLY]
                image = draw(go.Figure(figure["data"], figure["layout"]), scale=1)
                output.data["image/png"] = base64.b64encode(image).decode()
    with replacing(source) as temporary:
        nbformat.write(kept, temporary)


if __name__ == "__main__":
    refresh(sys.argv[1:] or None)
