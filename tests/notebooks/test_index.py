"""The index lists notebooks and shows figures; nothing in it is taken for markup."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from proxysr.files import write_json
from proxysr.notebooks.index import Page, write_gallery, write_index
from proxysr.notebooks.running import _earlier, mark_of
from proxysr.notebooks.worker import clean
from tests.notebooks.small import write

HOSTILE = '<script>alert("&")</script>'


class Reader(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, attribute: str) -> list[str | None]:
        return [attributes.get(attribute) for name, attributes in self.tags if name == tag]


def figure(folder: Path, name: str, *ends: str, **about: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for end in ends:
        (folder / f"{name}.{end}").touch()
    files = [f"{name}.{end}" for end in ("html", "png")]
    write_json(folder / f"{name}.json", {"name": name, "files": files, **about})


def test_figures_are_pictures_with_their_command(tmp_path: Path) -> None:
    figure(
        tmp_path / "figures",
        "01_a",
        "html",
        "png",
        title="Who & <b>what</b><br><sup>a note</sup>",
        command=HOSTILE,
    )
    figure(tmp_path / "figures", "01_b", "html", title="no browser drew it", command=None)
    figure(tmp_path / "figures", "01_c", "png", command="python x")
    page = Reader(write_index(tmp_path, []))
    assert page.all("img", "src") == ["figures/01_a.png", "figures/01_c.png"]
    assert page.all("img", "alt") == ["Who &  what", "01_c"]
    assert page.all("iframe", "src") == ["figures/01_b.html"]
    assert page.all("a", "href")[::2] == [
        "figures/01_a.html",
        "figures/01_b.html",
        "figures/01_c.png",
    ]
    assert page.all("script", "src") == []
    assert HOSTILE in page.text
    assert "python x" in page.text


def test_notebooks_are_escaped(tmp_path: Path) -> None:
    notebook = write(tmp_path, "01_a", heading=f"# Is {HOSTILE}?")
    (tmp_path / "01_a.html").touch()
    page = Page(notebook, tmp_path / "01_a.html", 3.0, f"bad {HOSTILE}", f"proxysr {HOSTILE}")
    read = Reader(write_index(tmp_path, [page]))
    assert read.all("script", "src") == []
    assert read.text.count(HOSTILE) == 3
    assert read.all("a", "href") == ["01_a.html"]
    assert "failed" in read.text


def test_what_was_executed_before_is_listed_too(tmp_path: Path) -> None:
    sources = [write(tmp_path, name) for name in ("01_a", "02_b", "03_c", "04_d")]
    for source in sources[:2]:
        clean(source, mark_of(source, {}) | {"command": "x", "seconds": 1.0})
    (tmp_path / "04_d.ipynb").write_text("{")
    found = _earlier(tmp_path, sources[1:2])
    assert [page.notebook.name for page in found] == ["01_a.ipynb"]


def test_a_gallery_has_a_part_for_every_folder(tmp_path: Path) -> None:
    figure(tmp_path / "shop", "map", "png", command="a")
    figure(tmp_path / "data & more", "curves", "png", command="b")
    read = Reader(write_gallery(tmp_path))
    assert read.all("img", "src") == ["data%20%26%20more/curves.png", "shop/map.png"]
    assert "Figures – data & more" in read.text
    (tmp_path / "shop" / "map.json").write_text("[]")
    with pytest.raises(ValueError, match="map.json is damaged: it holds no JSON object"):
        write_gallery(tmp_path)
