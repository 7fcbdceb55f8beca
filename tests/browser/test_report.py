"""The report in a real browser, from a file, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxysr.data.batches import batch_of
from proxysr.explorer import report
from proxysr.explorer.report import write_report
from tests.explorer.standin import HOSTILE, View, hostile_run, view_of

READY = "() => document.documentElement.dataset.ready"  # strings are not evaluated: the policy
WAIT = 60_000


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    return view_of(hostile_run(tmp_path_factory.mktemp("hostile")))


@pytest.fixture(scope="module")
def file(view: View, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(view, tmp_path_factory.mktemp("page") / "page.html")


class Opened:
    """A page, what it asked of a network, and what it complained about."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1400, "height": 950}, **options)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.got: list[str] = []
        self.page.on("response", lambda response: self.got.append(response.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_function(READY)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def wait_for_text(self, selector: str, text: str) -> None:
        script = "([where, what]) => document.querySelector(where).innerText.includes(what)"
        self.page.wait_for_function(script, arg=[selector, text])

    def column(self, name: str) -> list[str]:
        heads = [head.split(" ▲")[0] for head in self.page.locator("#head th").all_inner_texts()]
        place = heads.index(name) + 1
        found = self.page.locator(f"#rows tr[data-row] td:nth-child({place})").all_inner_texts()
        return [str(text) for text in found]


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Opened]:
    found = Opened(browser, file, color_scheme="light", reduced_motion="reduce")
    yield found
    assert [url for url in found.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert found.said == []
    found.context.close()


def largest(view: View, table: Any = None) -> tuple[int, int]:
    """The proxy of most sessions, and how many these are."""
    sizes = (view.table if table is None else table)["proxy"].value_counts()
    return int(sizes.index[0]), int(sizes.iloc[0])


def test_a_proxy_of_the_list_changes_card_and_table(opened: Opened, view: View) -> None:
    proxy, n = largest(view)
    assert opened.text("#found") == f"{len(view.table)} sessions on this page"
    button = opened.page.locator("#card .proxies button").first
    assert button.locator(".number").inner_text() == str(n)
    button.press("Enter")
    opened.wait_for_text("#card h3", f"Proxy {proxy}")
    assert opened.text("#found") == f"{n} sessions of Proxy {proxy}"
    assert set(opened.column("Proxy")) == {str(proxy)}
    assert f"{n} (" in opened.text("#card .facts")
    titles = {" ".join(str(title).split()) for title in view.items["title"]}
    shown = opened.page.locator("#card .items .item").all_inner_texts()
    assert shown
    assert set(shown) <= titles
    opened.page.locator("#card button.link").click()
    opened.wait_for_text("#found", "on this page")


def test_a_click_on_the_map_selects(opened: Opened, view: View) -> None:
    proxy, n = largest(view)
    chosen = opened.page.locator("#map .scatterlayer .trace").nth(1).locator("path.point")
    box = chosen.nth(proxy).bounding_box()
    assert box is not None
    at = (box["x"] + box["width"] / 2, box["y"] + 1)  # the ring itself, where no dot is above it
    opened.page.mouse.move(*at)
    opened.page.wait_for_function("() => document.getElementById('map')._hoverdata?.length")
    opened.page.wait_for_timeout(300)
    opened.page.mouse.click(*at)
    opened.wait_for_text("#card h3", f"Proxy {proxy}")
    opened.wait_for_text("#found", f"{n} sessions of Proxy {proxy}")
    dots = "document.getElementById('map')._fullData[0].selectedpoints?.length"
    opened.page.wait_for_function(f"() => {dots} === {n}")


def test_a_lasso_selects_what_lies_in_it(opened: Opened, view: View) -> None:
    box = opened.page.locator("#map .nsewdrag").bounding_box()
    assert box is not None
    left, bottom = box["x"] + 2, box["y"] + box["height"] - 2
    right, top = box["x"] + box["width"] - 2, box["y"] + 2
    corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
    opened.page.mouse.move(*corners[0])
    opened.page.mouse.down()
    for corner in (*corners[1:], corners[0]):
        opened.page.mouse.move(*corner, steps=5)
    opened.page.mouse.up()
    opened.wait_for_text("#found", f"{len(view.table)} sessions in the selected area")
    opened.wait_for_text("#card h3", f"{len(view.table)} sessions selected")
    lifts = opened.page.locator("#card .items td:nth-child(3)").all_inner_texts()
    assert set(lifts) == {"1.0×"}  # everything beside everything
    opened.page.locator("#clear").click()
    opened.wait_for_text("#found", "on this page")


def test_items_of_a_proxy_are_the_same_by_lasso(opened: Opened, view: View) -> None:
    """The page's own counting of a selection agrees with the figures that came with it."""
    proxy, _ = largest(view)
    opened.page.select_option("#proxy", str(proxy))
    opened.wait_for_text("#card h3", f"Proxy {proxy}")
    cells = "tr => [...tr].map(row => [...row.cells].slice(0, 3).map(cell => cell.innerText))"
    rows = "#card .items tbody tr"
    own = opened.page.locator(rows).evaluate_all(cells)
    inside = np.flatnonzero(view.table["proxy"] == proxy).tolist()
    opened.page.evaluate(
        "rows => document.getElementById('map').emit('plotly_selected', "
        "{lassoPoints: {}, points: rows.map(row => ({curveNumber: 0, pointNumber: row}))})",
        inside,
    )
    opened.wait_for_text("#card h3", f"{len(inside)} sessions selected")
    assert opened.page.locator(rows).evaluate_all(cells) == own


def test_search_sort_and_pages(opened: Opened, view: View) -> None:
    opened.page.fill("#search", "t7")
    opened.wait_for_text("#found", "1 of ")
    assert opened.column("Session")[0].startswith("t7 ")
    opened.page.fill("#search", "no such words")
    opened.wait_for_text("#rows", "No session of the selection has all these words.")
    opened.page.fill("#search", "")
    opened.wait_for_text("#pages", f"Page 1 of {-(-len(view.table) // 20)}")
    opened.page.get_by_role("button", name="Probability").press("Enter")
    opened.page.wait_for_selector("#head th[aria-sort=ascending]")
    first = opened.column("Probability")
    opened.page.get_by_role("button", name="Next", exact=True).click()
    opened.wait_for_text("#pages", "Page 2")
    found = [float(text) for text in first + opened.column("Probability")]
    assert found == [round(v, 3) for v in np.sort(view.table["probability"].to_numpy(float))][:40]


def test_a_row_opens_by_keyboard_to_clicks_and_recommendations(opened: Opened, view: View) -> None:
    row = opened.page.locator("#rows tr[data-row]").nth(1)
    row.focus()
    opened.page.keyboard.press("ArrowUp")
    opened.page.keyboard.press("Enter")
    opened.wait_for_text("#rows .detail", "Recommended after all clicks but the last")
    clicks = opened.page.locator("#rows .detail ol").first.locator("li").all_inner_texts()
    titles = view.items["title"].to_numpy()[view.sessions[0] - 1]
    path = view.model.path(batch_of([view.sessions[0].tolist()]))[0].max(dim=1)
    after = zip(path.indices.tolist(), path.values.tolist(), strict=True)
    assert clicks == [
        f"{' '.join(title.split())} → {proxy} · {probability:.2f}"
        for title, (proxy, probability) in zip(titles, after, strict=True)
    ]
    assert "True next item" in opened.text("#rows .detail")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#rows .detail", state="detached")


def test_half_way_is_one_switch_away(opened: Opened, view: View) -> None:
    at = "document.getElementById('map')._fullData[0].x[0]"
    before = opened.page.evaluate(at)
    opened.page.locator("input[value=half]").check(force=True)
    proxy, n = largest(view, view.half_table)
    opened.wait_for_text("#card h3", "in use at 50 %")
    opened.page.wait_for_function(f"() => {at} !== {before}")
    assert opened.page.locator("#card .proxies .number").first.inner_text() == str(n)
    opened.page.select_option("#proxy", str(proxy))
    opened.wait_for_text("#found", f"{n} sessions of Proxy {proxy}")
    opened.page.locator("input[value=full]").check(force=True)
    opened.page.wait_for_function(f"() => {at} === {before}")


@pytest.mark.parametrize("colour", ["user", "n_clicks", "started", "probability", "column-0"])
def test_colours_change_with_the_menu(opened: Opened, colour: str) -> None:
    dots = "JSON.stringify(document.getElementById('map')._fullData[0].marker.color)"
    before = opened.page.evaluate(dots)
    opened.page.select_option("#colour", colour)
    opened.page.wait_for_function(f"before => {dots} !== before", arg=before)
    if colour == "column-0":
        assert HOSTILE[0] in opened.text("#legend")


def test_the_theme_follows_the_system_and_the_button(browser: Any, file: Path) -> None:
    opened = Opened(browser, file, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = opened.page.evaluate(ground)
    opened.page.locator("#theme").click()
    opened.page.wait_for_function(f"() => {ground} !== '{dark}'")
    assert opened.text("#theme") == "Dark"
    assert opened.said == []
    opened.context.close()


def test_nothing_is_wider_than_a_narrow_window(browser: Any, file: Path) -> None:
    opened = Opened(browser, file)
    for width in (900, 1000, 1400):
        opened.page.set_viewport_size({"width": width, "height": 900})
        opened.page.wait_for_timeout(200)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.context.close()


def test_the_policy_forbids_what_is_not_of_the_page(browser: Any, file: Path) -> None:
    opened = Opened(browser, file)
    opened.page.evaluate(
        "() => { const script = document.createElement('script');"
        "script.textContent = 'window.foreign = true'; document.body.append(script);"
        "const image = new Image(); image.src = 'https://example.com/x.png';"
        "document.body.append(image); }"
    )
    opened.page.wait_for_timeout(500)
    assert opened.page.evaluate("window.foreign") is None
    assert sum("Content Security Policy" in text for text in opened.said) == 2
    assert [url for url in opened.got if url.startswith("http")] == []
    opened.context.close()


def test_many_sessions_are_drawn_by_webgl(
    browser: Any, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SVG_SESSIONS", 5)
    opened = Opened(browser, write_report(view, tmp_path / "many.html"))
    kind = opened.page.evaluate("document.getElementById('map')._fullData[0].type")
    has_webgl = "Boolean(document.createElement('canvas').getContext('webgl'))"
    assert kind == ("scattergl" if opened.page.evaluate(has_webgl) else "scatter")
    assert "WebGL is not supported" not in opened.text("#map")
    at = "document.getElementById('map')._fullData[0].x[0]"
    before = opened.page.evaluate(at)
    opened.page.locator("input[value=half]").check(force=True)
    opened.page.wait_for_function(f"() => {at} !== {before}")
    opened.context.close()


def test_a_page_without_half_users_or_times_works(browser: Any, view: View, tmp_path: Path) -> None:
    bare = replace(
        view,
        table=view.table.iloc[:, :7],
        half_table=None,
        half_positions=None,
        half_proxy_positions=None,
        half_projection=None,
    )
    opened = Opened(browser, write_report(bare, tmp_path / "bare.html"))
    assert opened.page.locator("input[value=half]").is_disabled()
    assert "User" not in opened.page.locator("#head th").all_inner_texts()
    opened.page.locator("#card .proxies button").first.click()
    opened.wait_for_text("#found", "of Proxy")
    assert opened.said == []
    opened.context.close()
