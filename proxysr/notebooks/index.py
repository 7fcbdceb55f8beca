"""One page that lists executed notebooks, and figures as pictures with what made them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from proxysr.files import read_json, read_object, replacing

TITLE = "proxysr notebooks"
INDEX_MARK = f"<title>{TITLE}</title>"
"""Text by which an index is known as one."""
STYLE = """
body { font: 16px/1.5 Helvetica, Arial, sans-serif; color: #222; max-width: 1100px;
       margin: 2rem auto; padding: 0 1rem; }
a { color: #0072B2; } h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.failed { color: #B00020; } .about { color: #666; font-size: .9rem; }
.figures { display: grid; gap: 1.5rem;
           grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); }
figure { margin: 0; border: 1px solid #ddd; padding: .6rem; } img { width: 100%; height: auto; }
iframe { width: 100%; height: 260px; border: 0; } figcaption { font-size: .9rem; }
code { color: #666; font-size: .8rem; overflow-wrap: anywhere; display: block; }
pre { white-space: pre-wrap; font-size: .85rem; color: #B00020; }
"""


class Page(NamedTuple):
    """One executed notebook, for the index."""

    notebook: Path
    page: Path
    seconds: float
    problem: str | None
    command: str


def write_index(out: Path, pages: Iterable[Page]) -> Path:
    """Write ``out/index.html``: the notebooks, and the figures that lie under ``out``."""
    lines = ["<h1>Notebooks</h1>", "<ol>"]
    for page in pages:
        title = html.escape(title_of(page.notebook))
        if page.page.is_file():
            title = f'<a href="{quote(page.page.name)}">{title}</a>'
        state = "" if page.problem is None else ' <strong class="failed">failed</strong>'
        name = html.escape(page.notebook.name)
        lines.append(f'<li>{title}{state} <span class="about">{name}, {page.seconds:.0f} s</span>')
        lines.append(f"<code>{html.escape(page.command)}</code>")
        if page.problem is not None:
            lines.append(f"<pre>{html.escape(page.problem)}</pre>")
        lines.append("</li>")
    lines.append("</ol>")
    return _write(out, TITLE, [*lines, *_figures(out / "figures", out)])


def write_gallery(folder: Path) -> Path:
    """Write ``folder/index.html``: the figures in the folder and those below."""
    return _write(folder, "proxysr figures", _figures(folder, folder))


def _write(folder: Path, title: str, lines: list[str]) -> Path:
    body = "\n".join(lines)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )
    with replacing(folder / "index.html") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / "index.html"


def _figures(folder: Path, base: Path) -> list[str]:
    """A heading and cards for every folder of figures; their links are relative to ``base``."""
    lines = []
    for parent in sorted({path.parent for path in folder.rglob("*.json")}):
        name = " – ".join(("Figures", *parent.relative_to(folder).parts))
        lines += [f"<h2>{html.escape(name)}</h2>", '<div class="figures">']
        for path in sorted(parent.glob("*.json")):
            figure = read_object(path, {"name": str, "files": list})
            lines.append(_card(figure, path.parent, base))
        lines.append("</div>")
    return lines


def _card(figure: dict[str, Any], folder: Path, base: Path) -> str:
    """One figure: a picture that leads to its page, the title, and the command."""
    first_line = re.split(r"<br */?>", str(figure.get("title") or figure["name"]))[0]
    title = html.escape(re.sub(r"<[^>]*>", " ", first_line).strip())
    links = {
        end: quote((folder / f"{figure['name']}.{end}").relative_to(base).as_posix())
        for end in ("png", "html")
        if f"{figure['name']}.{end}" in figure["files"]
        and (folder / f"{figure['name']}.{end}").is_file()
    }
    page = links.get("html") or links.get("png", "")
    shown = f'<iframe src="{page}" title="{title}" loading="lazy"></iframe>' if page else ""
    if "png" in links:
        shown = f'<a href="{page}"><img src="{links["png"]}" alt="{title}" loading="lazy"></a>'
    command = html.escape(str(figure.get("command") or ""))
    return (
        f'<figure>{shown}<figcaption><a href="{page}">{title}</a>'
        f"<code>{command}</code></figcaption></figure>"
    )


def title_of(notebook: Path) -> str:
    """The first heading of a notebook, else its name."""
    for cell in read_json(notebook)["cells"] if notebook.is_file() else []:
        heading = re.search(r"^#+ +(.+)$", "".join(cell["source"]), flags=re.MULTILINE)
        if cell["cell_type"] == "markdown" and heading:
            return heading[1].strip()
    return notebook.stem
