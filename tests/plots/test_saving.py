"""A saved figure is a page that opens offline, a picture, and an account of how it was made."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from proxysr.config import ConfigError
from proxysr.plots import drawing, saving
from proxysr.plots.saving import NoBrowserWarning, save_figure
from proxysr.plots.theme import COLOURS, finish

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
has_browser = any(shutil.which(name) for name in BROWSERS)


@pytest.fixture
def fig() -> go.Figure:
    return finish(go.Figure(go.Scatter(y=[1, 3, 2])), "Up & down", width=300, height=200)


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fig: go.Figure) -> bytes:
        raise drawing.DrawingError("no browser here")

    monkeypatch.setattr(saving, "draw", fail)


@pytest.mark.usefixtures("no_browser")
def test_without_a_browser_the_page_is_written_and_a_sentence_says_what_to_do(
    fig: go.Figure, tmp_path: Path
) -> None:
    (tmp_path / "curve.png").write_bytes(b"an old picture")
    with pytest.warns(NoBrowserWarning, match=r"curve.png was not drawn \(no browser here\); the "
                      "page beside it was written.*apt install chromium"):  # fmt: skip
        saved = save_figure(fig, "curve", folder=tmp_path, settings={"k": 5}, command="make it")
    assert saved.png is None
    assert not (tmp_path / "curve.png").exists()
    about = json.loads(saved.json.read_text())
    assert about["title"] == "Up & down"
    assert about["settings"] == {"k": 5}
    assert about["command"] == "make it"
    assert about["files"] == ["curve.html"]
    page = saved.html.read_text()
    assert re.findall(r'<script[^>]* src="([^"]+)"', page) == ["plotly.min.js"]
    assert (tmp_path / "plotly.min.js").stat().st_size > 1e6
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curve.html", "curve.json", "plotly.min.js",
    ]  # fmt: skip


@pytest.mark.usefixtures("no_browser")
@pytest.mark.filterwarnings("ignore::proxysr.plots.saving.NoBrowserWarning")
def test_the_same_figure_gives_the_same_files(fig: go.Figure, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        save_figure(fig, "curve", folder=tmp_path / folder)
    for name in ("curve.html", "curve.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.usefixtures("no_browser")
@pytest.mark.filterwarnings("ignore::proxysr.plots.saving.NoBrowserWarning")
def test_figures_go_to_the_project_by_default(
    fig: go.Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYSR_FIGURES", str(tmp_path / "pictures"))
    assert save_figure(fig, "curve").html == tmp_path / "pictures" / "curve.html"


@pytest.mark.skipif(not has_browser, reason="no Chrome or Chromium on this machine")
def test_a_picture_is_drawn_at_twice_the_size(fig: go.Figure, tmp_path: Path) -> None:
    saved = save_figure(fig, "curve", folder=tmp_path)
    assert saved.png is not None
    image = saved.png.read_bytes()
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(image[at : at + 4], "big") for at in (16, 20)]
    assert size == [600, 400]


def test_a_browser_that_does_not_start_is_named(
    fig: go.Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))
    drawing._browser.cache_clear()
    with pytest.raises(drawing.DrawingError, match=r"\w"):
        drawing.draw(fig)
    drawing._browser.cache_clear()


@pytest.mark.parametrize("name", ["", "../up", "a b", "a.png", "ü"])
def test_names_that_are_not_plain_are_refused(name: str, fig: go.Figure, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="letters, digits, - and _; received"):
        save_figure(fig, name, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_colours_stand_out_from_the_white_page() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in COLOURS)


@pytest.mark.usefixtures("no_browser")
@pytest.mark.filterwarnings("ignore::proxysr.plots.saving.NoBrowserWarning")
def test_the_numbers_of_a_figure_lie_beside_it(fig: go.Figure, tmp_path: Path) -> None:
    table = pd.DataFrame({"run": ["a,b", "c"], "value": [1 / 3, 2.0]}, index=[7, 8])
    saved = save_figure(fig, "curve", table=table, folder=tmp_path)
    assert saved.csv is not None
    assert saved.csv.read_text() == 'run,value\n"a,b",0.333333\nc,2\n'
    assert json.loads(saved.json.read_text())["files"] == ["curve.html", "curve.csv"]
    assert save_figure(fig, "plain", folder=tmp_path).csv is None
