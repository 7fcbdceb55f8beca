"""The report: that nothing of the data acts in it, that it stays small, and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxysr.explorer import assets, report
from proxysr.explorer.payload import payload
from proxysr.explorer.report import check_place, embedded, page, write_report
from proxysr.run import RunDir
from tests.explorer.large import enlarged
from tests.explorer.small import view_of
from tests.explorer.standin import HOSTILE
from tests.explorer.unpacking import unpack


@pytest.fixture(scope="module")
def hostile(hostile_dir: Path) -> Any:
    return view_of(RunDir(hostile_dir), part="test")


@pytest.fixture(scope="module")
def text(hostile: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    return write_report(hostile, path, command="made & <by>").read_text(encoding="utf-8")


def part_of(text: str, start: str) -> str:
    found = re.search(rf"<{start}>(.*?)</", text, re.DOTALL)
    assert found is not None
    return found[1]


def payload_of(text: str) -> dict[str, Any]:
    """What the page reads."""
    header = json.loads(part_of(text, 'script type="application/json" id="payload"'))
    blob = base64.b64decode(part_of(text, 'script type="text/plain" id="blob"'))
    return dict(unpack(header, gzip.decompress(blob)))


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_payload_is_in_it_rounded(hostile: Any, text: str) -> None:
    tree, own = payload_of(text), payload(hostile, n_top=2000, travels=True).tree
    assert tree["sessions"]["id"] == own["sessions"]["id"]
    for name, step in report.STEPS.items():
        np.testing.assert_allclose(tree["sessions"][name], own["sessions"][name], atol=step / 2)
    for name in ("clicks", "path", "rank", "top", "proxy"):
        np.testing.assert_array_equal(tree["sessions"][name], own["sessions"][name])
    assert tree["meta"]["notes"] == own["meta"]["notes"]
    assert ["made by", "made & <by>"] in [
        pair for group in tree["meta"]["origin"] for pair in group["pairs"]
    ]


def test_no_text_of_the_data_is_markup(text: str) -> None:
    page = Elements(text)
    tags = [tag for tag, _ in page.found]
    assert tags.count("script") == 3
    assert not {"img", "svg", "b", "i", "iframe", "link", "a"} & set(tags)
    assert not [name for _, attributes in page.found for name in attributes if name[:2] == "on"]
    titles = payload_of(text)["items"]["title"]
    assert titles[0] in {" ".join(f"{HOSTILE[row % 5]} {row}".split()) for row in range(40)}


@pytest.mark.parametrize("hostile", [*HOSTILE, "]]>", "</SCRIPT >", "\\u003c/script>", "\u2029"])
def test_embedded_json_ends_no_script_and_reads_back(hostile: str) -> None:
    text = embedded({hostile: [hostile, 1.5, None]})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {hostile: [hostile, 1.5, None]}


def test_nothing_is_fetched_and_only_its_own_script_runs(text: str) -> None:
    fetched = ("src", "href", "data", "action", "srcset", "poster")
    assert not [name for _, attributes in Elements(text).found for name in attributes
                if name in fetched]  # fmt: skip
    style, script = part_of(text, "style"), part_of(text, 'script type="module"')
    assert "@import" not in style
    assert "url(" not in style
    for code in (style, script):
        assert "</" not in code.replace("</=", ""), "an element would end there"
        assert "<!--" not in code
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    rules = dict(rule.split(" ", 1) for rule in found[1].split("; "))
    assert rules["default-src"] == "'none'"
    for name, code in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert "unsafe" not in found[1]
    assert "http" not in found[1].replace("http-equiv", "")


def test_the_page_makes_no_markup_of_text() -> None:
    """No HTML from texts, no code from texts, no address from elsewhere."""
    for host in (None, "server", "report"):
        script = assets.module(host)
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                    "new Function", "setTimeout('"):  # fmt: skip
            assert way not in script, way
        named = set(re.findall(r"https?://[^'\"`\s]*", script))
        assert named <= {"http://www.w3.org/2000/svg"}
        assert script.count("export default") == 1
        assert not re.search(r"^import ", script, re.MULTILINE)


def test_a_sample_is_in_proportion_and_says_so(hostile: Any, tmp_path: Path) -> None:
    path = write_report(hostile, tmp_path / "few.html", max_sessions=12)
    tree = payload_of(path.read_text(encoding="utf-8"))
    known = dict(zip(hostile.table["session_id"], hostile.table["proxy"], strict=True))
    assert [known[name] for name in tree["sessions"]["id"]] == tree["sessions"]["proxy"].tolist()
    assert len(tree["sessions"]["id"]) == 12
    assert sum(proxy["n"] for proxy in tree["proxies"]) == len(hostile.table)
    assert any("show 12 of 40 sessions, a sample" in note for note in tree["meta"]["notes"])


def test_a_page_that_grows_too_large_shows_fewer(hostile: Any, tmp_path: Path) -> None:
    whole = write_report(hostile, tmp_path / "whole.html").stat().st_size
    path = write_report(hostile, tmp_path / "less.html", max_bytes=whole - 1)
    assert path.stat().st_size < whole
    tree = payload_of(path.read_text(encoding="utf-8"))
    assert 0 < len(tree["sessions"]["id"]) < 40
    assert any("a sample" in note for note in tree["meta"]["notes"])
    with pytest.raises(ValueError, match=r"even with 1 session\(s\) on its map; 1,000 are allowed"):
        write_report(hostile, tmp_path / "none.html", max_bytes=1_000)
    assert not (tmp_path / "none.html").exists()


def test_many_sessions_fit_into_ten_megabytes(view: Any) -> None:
    tree = payload(view, n_top=30, travels=True).tree
    assert len(page(enlarged(tree, 50_000)).encode()) < report.MOST_BYTES


def test_only_an_earlier_report_is_replaced(hostile: Any, tmp_path: Path) -> None:
    path = write_report(hostile, tmp_path / "page.html")
    before = path.read_bytes()
    assert write_report(hostile, path).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    (tmp_path / "notes.html").write_text("<p>mine</p>")
    (tmp_path / "folder.html").mkdir()
    for name, message in (
        ("notes.html", "exists and is not a proxysr report; nothing was overwritten"),
        ("folder.html", "is a folder; nothing was written"),
        ("report", r"A report is an HTML file, such as report\.html; received"),
    ):
        with pytest.raises(ValueError, match=message):
            check_place(tmp_path / name)
    assert (tmp_path / "notes.html").read_text() == "<p>mine</p>"
