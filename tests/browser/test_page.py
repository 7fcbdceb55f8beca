"""What the page must not do again: lose lassos, cover its panels, hide what was picked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxysr.analysis.run_view import RunView
from proxysr.explorer.packing import pack
from proxysr.explorer.report import write_report
from proxysr.explorer.scene import Scene
from tests.browser.hosts import APP, HOSTS, Opened, in_jupyterlab, serving
from tests.explorer.large import enlarged
from tests.explorer.shop import Shop, around
from tests.explorer.standin import HOSTILE, hostile_run

WHOLE = [(0.12, 0.03), (0.97, 0.03), (0.97, 0.97), (0.12, 0.97)]


@pytest.fixture
def opened(browser: Any, shop: Shop, tmp_path: Path) -> Iterator[Opened]:
    with HOSTS["report"](browser, shop, tmp_path) as page:
        yield page


@pytest.mark.parametrize(("slowed", "n"), [(1, 50), (4, 12)])
def test_no_quick_lasso_is_lost(opened: Opened, slowed: float, n: int) -> None:
    opened.slowed(slowed)
    for turn in range(n):
        opened.lasso([(0.15, 0.1 + 0.01 * turn), (0.9, 0.1), (0.9, 0.9)], steps=1)
        assert opened.app("stats.lassos") == turn + 1
    assert 0 < len(opened.rows) < len(opened.tree["sessions"]["id"])


def test_a_lasso_lists_what_lies_in_it_and_dots_in_it_can_be_picked(opened: Opened) -> None:
    opened.lasso(WHOLE)
    row = opened.rows[len(opened.rows) // 2]
    opened.page.mouse.click(*opened.dot(row))
    picked = opened.app("state.session")
    near, own = opened.dot(picked), opened.dot(row)
    assert np.hypot(near[0] - own[0], near[1] - own[1]) < 8
    assert opened.app("state.lasso !== null")


def test_the_picked_dot_is_marked_and_its_panel_in_view(opened: Opened) -> None:
    opened.part("detail").locator(".scroll").evaluate("(el) => { el.scrollTop = 1e6 }")
    opened.part("sessions-table").locator(".vbody [role=row]").nth(1).locator(
        "button"
    ).first.click()
    row = opened.app("state.session")
    box = opened.part("picked").bounding_box()
    x, y = opened.dot(row)
    assert abs(box["x"] + box["width"] / 2 - x) < 2
    assert abs(box["y"] + box["height"] / 2 - y) < 2
    panel = opened.part("session-panel").bounding_box()
    assert 0 <= panel["y"] < 300


def test_the_middle_of_a_dense_ring_is_the_interest(opened: Opened) -> None:
    ring = opened.app("map.rings()")[0]
    box = opened.part("map").bounding_box()
    opened.page.mouse.click(box["x"] + ring["x"], box["y"] + ring["y"])
    assert opened.app("state.interest") == ring["k"]
    assert opened.app("state.session") is None


def test_reset_leaves_no_filter_on(opened: Opened) -> None:
    opened.app("filter({by: 'n_clicks', low: 3, high: 6})")
    opened.lasso(WHOLE)
    opened.part("reset").click()
    assert opened.app("state.filters") == []
    assert len(opened.rows) == len(opened.tree["sessions"]["id"])


def test_and_more_shows_more(opened: Opened) -> None:
    row = int(np.argmax(opened.tree["sessions"]["n_clicks"]))
    opened.app(f"go.session({row})")
    lines = opened.part("session-panel").locator("ol.clicks li:not(.before)")
    before = lines.count()
    lines.get_by_role("button", name="more").click()
    assert lines.count() == opened.tree["sessions"]["n_clicks"][row] > before


def test_a_stop_stays_beside_the_name_before_it(opened: Opened) -> None:
    row = int(np.flatnonzero(opened.tree["sessions"]["user"] >= 0)[0])
    for length in (5, 12, 40):
        names = f"d.proxies.forEach((p) => {{ p.name = 'lamps, '.repeat({length}) }})"
        opened.page.evaluate(f"{APP}.{names}")
        opened.app("set({session: null})")
        opened.app(f"go.session({row})")
        places = (
            opened.part("session-panel")
            .locator(".joined")
            .evaluate_all(
                "(all) => all.map((el) => { const range = document.createRange();"
                "range.selectNodeContents(el.lastChild);"
                "const [name, stop] = [el.firstChild, range].map((x) => x.getBoundingClientRect());"
                "return [stop.left - name.right, stop.top - name.bottom, name.top - stop.bottom,"
                "stop.right - el.parentElement.getBoundingClientRect().right] })"
            )
        )
        assert len(places) == 2
        for gap, below, above, over in places:
            assert abs(gap) < 2
            assert max(below, above) < 0
            assert over < 1


@pytest.mark.parametrize("width", [900, 1280, 1500, 2000])
def test_the_map_covers_nothing_and_nothing_spills_over(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 1000})
    opened.page.wait_for_timeout(300)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = {name: opened.part(name).bounding_box() for name in ("map", "detail", "interests")}
    for one in ("detail", "interests"):
        a, b = boxes["map"], boxes[one]
        apart = (
            a["x"] + a["width"] <= b["x"] + 1 or b["x"] + b["width"] <= a["x"] + 1
            or a["y"] + a["height"] <= b["y"] + 1 or b["y"] + b["height"] <= a["y"] + 1
        )  # fmt: skip
        assert apart, one
    canvas = opened.part("map").locator("canvas").bounding_box()
    assert abs(canvas["width"] - boxes["map"]["width"]) < 2
    charts = opened.part("overview").locator("svg.lines")
    panel = opened.part("detail").bounding_box()
    for place in range(charts.count()):
        box = charts.nth(place).bounding_box()
        assert box["x"] + box["width"] <= panel["x"] + panel["width"]


@pytest.mark.parametrize("width", [320, 400, 760])
def test_a_narrow_page_is_one_column_with_everything_in_reach(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 800})
    opened.page.wait_for_timeout(300)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("map", "detail", "interests", "sessions-table"):
        box = opened.part(name).bounding_box()
        assert box["x"] >= 0, name
        assert 0.95 * width < box["x"] + box["width"] <= width, name
        assert box["width"] > 0.95 * width, name
        assert box["height"] > 150, name
    opened.lasso(WHOLE)
    assert len(opened.rows) > 500
    opened.app(f"go.session({opened.rows[0]})")
    controls = opened.page.locator(":is(button:enabled, select, summary):not(.vbody *):visible")
    assert controls.count() > 40
    for control in controls.all():
        control.click(trial=True)  # can be scrolled to, and nothing lies above it
        box = control.bounding_box()
        assert 0 <= box["x"] < width - 8, control


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["map", "flow", "matrix"])
def test_axe_finds_nothing_serious(
    browser: Any, shop: Shop, tmp_path: Path, view: str, scheme: str
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    with HOSTS["server"](browser, shop, tmp_path, color_scheme=scheme, bypass_csp=True) as opened:
        opened.app(f"set({{view: '{view}'}})")
        opened.app("go.session(3)" if view == "map" else "go.interest(0)")
        opened.page.wait_for_timeout(300)
        found = axe.Axe().run(opened.page).response["violations"]
    serious = [v["id"] for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []


def test_everything_by_keyboard(opened: Opened) -> None:
    press = opened.page.keyboard.press
    opened.part("map").focus()
    press("n")
    first = opened.app("state.session")
    assert first is not None
    press("n")
    assert opened.app("state.session") != first
    press("Escape")
    press("v")
    assert opened.app("state.lasso !== null")
    press("Escape")
    scale = opened.app("map.view.scale")
    press("+")
    assert opened.app("map.view.scale") > scale
    opened.part("view-map").focus()
    press("ArrowRight")
    assert opened.app("state.view") == "flow"
    opened.part("sessions-table").focus()
    press("ArrowDown")
    assert opened.app("state.session") is not None


@pytest.mark.parametrize("by", ["n_clicks", "rank"])
def test_keys_move_brushes_to_the_next_whole_number(opened: Opened, by: str) -> None:
    def pressed(name: str, key: str) -> list[Any]:
        """The bound after each press, until it stays."""
        slider = opened.part(f"brush-{by}").get_by_label(name)
        slider.focus()
        bounds = []
        for _ in range(200):
            slider.press(key)
            filters = opened.app("state.filters")
            bound = filters[0]["low" if name == "Least" else "high"] if filters else None
            if bounds and bound == bounds[-1]:
                break
            bounds.append(bound)
        text = str(opened.part(f"brush-{by}").locator(".line .soft").inner_text())
        assert slider.get_attribute("aria-valuetext") in text.split(" to ")
        return bounds

    values = opened.tree["sessions"][by]
    low, high = np.nanmin(values), np.nanmax(values)
    up = pressed("Least", "ArrowRight")
    assert up[:3] == [np.floor(low) + 1, np.floor(low) + 2, np.floor(low) + 3]
    assert up[-1] == high
    assert opened.rows == np.flatnonzero(values >= high).tolist()
    down = pressed("Least", "ArrowLeft")
    assert down[-4:] == [np.floor(low) + 3, np.floor(low) + 2, np.floor(low) + 1, None]
    down = pressed("Most", "ArrowLeft")
    assert all(before > after for before, after in pairwise(down))
    assert down[-1] == low
    assert pressed("Most", "PageUp")[-1] is None


def test_the_theme_follows_the_system_until_it_is_chosen(
    browser: Any, shop: Shop, tmp_path: Path
) -> None:
    with HOSTS["report"](browser, shop, tmp_path, color_scheme="dark") as opened:
        theme = opened.part("proxysr")
        assert theme.get_attribute("data-theme") == "dark"
        opened.app("set({theme: 'light'})")
        assert theme.get_attribute("data-theme") == "light"


def test_nothing_foreign_runs_in_a_report(opened: Opened) -> None:
    opened.page.evaluate(
        "() => { const script = document.createElement('script');"
        "script.textContent = 'window.foreign = true'; document.body.append(script);"
        "const image = new Image(); image.src = 'https://example.com/x.png';"
        "document.body.append(image);"
        # later: what is asked from outside may make functions of text
        "setTimeout(() => {"
        "try { window.made = Function('return 1')() } catch { window.made = 'refused' } }) }"
    )
    opened.page.wait_for_timeout(500)
    assert opened.page.evaluate("window.foreign") is None
    assert opened.page.evaluate("window.made") == "refused"
    assert sum("Content Security Policy" in text for text in opened.said) >= 2
    opened.said.clear()
    opened.asked[:] = [url for url in opened.asked if "example.com" not in url]


def test_text_of_the_data_stays_text(browser: Any, tmp_path: Path) -> None:
    view = around(RunView.of(hostile_run(tmp_path)))
    file = write_report(view, tmp_path / "hostile.html")
    opened = Opened(browser, Scene(view).tree)
    opened.go(file.as_uri())
    for name in ("map", "flow", "matrix"):
        opened.app(f"set({{view: '{name}'}})")
    opened.app("go.user(0)")
    opened.app("go.session(0)")
    assert HOSTILE[0].split("<img")[0] in opened.text("session-panel") or "u0" in opened.text(
        "sessions-table"
    )
    assert opened.page.locator("img, b b, svg[onload], a[href*='example']").count() == 0
    opened.close()


def test_a_page_without_half_users_or_times_works(browser: Any, shop: Shop, tmp_path: Path) -> None:
    whole = shop.scene.view
    table = whole.table[["session_id", "n_clicks", "proxy", "probability", "runner_up", "margin",
                         "entropy"]]  # fmt: skip
    bare = replace(whole, table=table, half_model=None, half_table=None)
    bare.__dict__["layout"] = whole.projection
    opened = Opened(browser, Scene(bare).tree)
    opened.go(write_report(bare, tmp_path / "bare.html").as_uri())
    assert opened.part("progress").count() == 0
    assert opened.part("table-customers").count() == 0
    opened.part("interests").locator("button.name").first.click()
    assert opened.part("interest-panel").count() == 1
    opened.close()


def test_a_payload_of_another_version_is_told(browser: Any, shop: Shop, tmp_path: Path) -> None:
    file = write_report(shop.scene.view, tmp_path / "other.html")
    text = file.read_text(encoding="utf-8")
    assert '"version":1' in text
    file.write_text(text.replace('"version":1', '"version":7', 1), encoding="utf-8")
    opened = Opened(browser, shop.scene.tree)
    opened.page.goto(file.as_uri())
    opened.page.get_by_role("alert").get_by_text("version 7").wait_for()
    opened.close(allowed=("version",))


def test_many_sessions_are_quick_and_without_webgl_they_are_there(browser: Any, shop: Shop) -> None:
    scene = Scene(shop.scene.view)
    scene.tree = enlarged(scene.tree, 20_000)
    header, blob = pack(scene.tree)
    scene.packed = lambda: (header, blob)  # type: ignore[method-assign]
    with serving(scene) as server:
        opened = Opened(browser, scene.tree)
        opened.go(server.link)
        opened.lasso(WHOLE)
        assert len(opened.rows) > 10_000
        opened.close()
        plain = Opened(browser, scene.tree)
        plain.context.add_init_script(
            "const get = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
            "return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest) }"
        )
        plain.go(server.link)
        assert plain.app("map.kind()") == "2d"
        plain.lasso(WHOLE)
        assert len(plain.rows) > 10_000
        plain.close()


def test_warnings_stay_in_the_heading(browser: Any, shop: Shop) -> None:
    scene = Scene(shop.scene.view)
    texts = ["The proxies have collapsed: 1.2 of 8 are in use. Try more epochs.", "Or less."]
    for warnings in ([], texts):
        scene.tree = scene.tree | {"meta": scene.tree["meta"] | {"warnings": warnings}}
        header, blob = pack(scene.tree)
        scene.packed = lambda given=(header, blob): given  # type: ignore[misc,method-assign]
        with serving(scene) as server:
            opened = Opened(browser, scene.tree).go(server.link)
            opened.app("go.interest(0)")
            assert opened.part("warning").all_inner_texts() == warnings
            box = opened.part("map").bounding_box()
            assert box["height"] > 400
            for place in range(len(warnings)):
                warning = opened.part("warning").nth(place).bounding_box()
                assert 0 < warning["y"] < warning["y"] + warning["height"] < box["y"]
            opened.close()


def test_in_jupyterlab(browser: Any, shop: Shop, own_folders: Path, tmp_path: Path) -> None:
    with in_jupyterlab(browser, shop, tmp_path) as opened:
        assert len(opened.rows) == len(opened.tree["sessions"]["id"])
        opened.part("interests").locator("button.name").first.click()
        n = len(opened.rows)
        opened.part("sessions-table").locator(".vbody button").first.click()
        opened.part("what-if-leader").wait_for()  # the kernel has answered
        opened.part("what-if").get_by_role("button", name="Drop click 1", exact=True).click()
        opened.part("what-if").get_by_text("would").first.wait_for()
        for turn in range(5):
            opened.lasso([(0.2, 0.1 + 0.05 * turn), (0.9, 0.1), (0.9, 0.9)], steps=1)
            assert opened.app("stats.lassos") == turn + 1
        opened.app(
            "go.interest(Number(" + APP + ".root.querySelector('[data-proxy]').dataset.proxy))"
        )
        opened.page.wait_for_timeout(500)  # the state is on its way
        script = (
            "async () => { const panel = jupyterapp.shell.currentWidget;"
            "const kernel = panel.sessionContext.session.kernel;"
            "const asked = kernel.requestExecute({code: 'print(len(explorer.selection))'});"
            "let said = ''; asked.onIOPub = (m) => { said += m.content.text ?? '' };"
            "await asked.done; return said }"
        )
        assert opened.page.evaluate(script).strip() == str(n)
        box, detail = opened.part("map").bounding_box(), opened.part("detail").bounding_box()
        assert (
            box["x"] + box["width"] <= detail["x"] + 1
            or box["y"] >= detail["y"] + detail["height"] - 1
            or box["y"] + box["height"] <= detail["y"] + 1
        )
