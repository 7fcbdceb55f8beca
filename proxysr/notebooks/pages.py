"""An executed notebook as a page that opens offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from proxysr.files import read_json, replacing

PLOTLY = "application/vnd.plotly.v1+json"


def write_page(notebook: Path, page: Path) -> None:
    """Write an executed notebook as one HTML file without outside requests.

    Figures are kept in the notebook as data alone; in the page they come alive with
    one copy of plotly's script.
    """
    import nbformat
    from nbconvert import HTMLExporter

    content = nbformat.read(notebook, as_version=4)
    needs_script = True
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if PLOTLY in output.get("data", {}):
                output.data = {"text/html": _figure(output.data[PLOTLY], needs_script)}
                needs_script = False
    exporter = HTMLExporter(embed_images=True)
    exporter.mathjax_url = ""  # it would be fetched from elsewhere
    exporter.require_js_url = ""
    body, _ = exporter.from_notebook_node(content, {"metadata": {"name": title_of(notebook)}})
    with replacing(page) as temporary:
        temporary.write_text(body, encoding="utf-8")


def title_of(notebook: Path) -> str:
    """The first heading of a notebook, else its name."""
    for cell in read_json(notebook)["cells"] if notebook.is_file() else []:
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        heading = re.search(r"^#+ +(.+)$", source, flags=re.MULTILINE)
        if cell["cell_type"] == "markdown" and heading:
            return heading[1].strip()
    return notebook.stem


def _figure(figure: dict[str, Any], with_script: bool) -> str:
    import plotly.graph_objects as go

    fig = go.Figure(figure["data"], figure["layout"])
    return str(fig.to_html(full_html=False, include_plotlyjs=with_script))
