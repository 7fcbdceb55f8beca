"""Executed notebooks as pages that open offline, and an index of them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, NamedTuple

from proxysr.files import read_json, replacing

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
STYLE = """
body { font: 16px/1.5 Helvetica, Arial, sans-serif; color: #222; max-width: 1100px;
       margin: 2rem auto; padding: 0 1rem; }
a { color: #0072B2; } h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.failed { color: #B00020; } .about { color: #666; font-size: .9rem; }
.figures { display: grid; gap: 1.5rem;
           grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); }
figure { margin: 0; border: 1px solid #ddd; padding: .6rem; } img { width: 100%; height: auto; }
figcaption { font-size: .9rem; } pre { white-space: pre-wrap; font-size: .85rem; color: #B00020; }
"""


class Page(NamedTuple):
    """One executed notebook, for the index."""

    notebook: Path
    page: Path
    seconds: float
    problem: str | None


def without_widgets(notebook: Path) -> None:
    """Drop what shows nothing without its kernel, such as progress bars, from a notebook."""
    import nbformat

    content = nbformat.read(notebook, as_version=4)
    content.metadata.pop("widgets", None)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    with replacing(notebook) as temporary:
        nbformat.write(content, temporary)


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


def write_index(out: Path, pages: list[Page]) -> Path:
    """Write ``index.html``: the notebooks, and the figures they left, with titles escaped."""
    lines = ["<h1>Notebooks</h1>", "<ol>"]
    for page in pages:
        title = html.escape(title_of(page.notebook))
        if page.page.is_file():
            title = f'<a href="{html.escape(page.page.name)}">{title}</a>'
        state = "" if page.problem is None else ' <strong class="failed">failed</strong>'
        name = html.escape(page.notebook.name)
        lines.append(f'<li>{title}{state} <span class="about">{name}, {page.seconds:.0f} s</span>')
        if page.problem is not None:
            lines.append(f"<pre>{html.escape(page.problem)}</pre>")
        lines.append("</li>")
    lines.append("</ol>")
    figures = sorted((out / "figures").glob("*.json"))
    if figures:
        lines += ["<h2>Figures</h2>", '<div class="figures">']
        lines += [_card(read_json(path)) for path in figures]
        lines.append("</div>")
    body = "\n".join(lines)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>proxysr notebooks</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )
    with replacing(out / "index.html") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return out / "index.html"


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


def _card(about: dict[str, Any]) -> str:
    """One figure of the index, from its NAME.json."""
    name, title = html.escape(about["name"]), html.escape(re.sub(r"<[^>]*>", " ", about["title"]))
    has_picture = f"{about['name']}.png" in about["files"]
    shown = f'<img src="figures/{name}.png" alt="{title}">' if has_picture else ""
    command = html.escape(about["command"] or "")
    return (
        f'<figure><a href="figures/{name}.html">{shown}</a><figcaption>'
        f'<a href="figures/{name}.html">{title}</a> <span class="about">{command}</span>'
        "</figcaption></figure>"
    )
