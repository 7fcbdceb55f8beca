"""The questions of an analyst, each answered by looking or in at most two clicks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxysr.analysis.interest_names import FILE
from proxysr.explorer import Selection
from tests.browser.hosts import HOSTS, Opened
from tests.explorer.shop import Shop


@pytest.fixture(scope="module", params=list(HOSTS))
def opened(
    request: pytest.FixtureRequest, browser: Any, shop: Shop, tmp_path_factory: Any
) -> Iterator[Opened]:
    with HOSTS[request.param](browser, shop, tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(autouse=True)
def afresh(opened: Opened) -> None:
    """Each question is asked of the page as it opens."""
    opened.app("set({view: 'map', progress: 100, colour: 'proxy', tab: 'sessions'})")
    opened.app("set({pins: {a: null, b: null}, session: null, edit: null})")
    opened.app("reset()")


def largest(opened: Opened) -> int:
    return int(np.argmax([proxy["n"] for proxy in opened.tree["proxies"]]))


def choose(opened: Opened, proxy: int) -> None:
    opened.part("interests").locator(f"[data-proxy='{proxy}']").click()


def test_1_which_interests_are_there(opened: Opened) -> None:
    proxies = opened.tree["proxies"]
    names = opened.part("interests").locator(".row button.name").all_inner_texts()
    used = sorted((p for p in proxies if p["n"]), key=lambda p: -p["n"])
    assert [name.strip() for name in names] == [p["name"] for p in used]
    choose(opened, largest(opened))
    assert (
        opened.rows == np.flatnonzero(opened.tree["sessions"]["proxy"] == largest(opened)).tolist()
    )
    panel = opened.text("interest-panel")
    top = used[0]["items"][0]
    assert opened.tree["items"]["title"][top["item"]] in panel
    assert f"{top['lift']:.1f}×" in panel


def test_1_names_are_given_by_hand(opened: Opened, shop: Shop) -> None:
    proxy = largest(opened)
    choose(opened, proxy)
    button = opened.part("interest-panel").get_by_role("button", name="Rename")
    if opened.app("host.name") == "report":
        assert button.count() == 0  # a file keeps no names
        return
    button.click()
    field = opened.page.get_by_label("New name of")
    field.fill("<b>Winter</b>")
    field.press("Enter")
    opened.page.get_by_role("heading", name="<b>Winter</b>").wait_for()
    assert shop.scene.view.proxy_label(proxy).endswith("<b>Winter</b>")
    assert (shop.run.path / FILE).is_file()
    button.click()
    opened.page.get_by_label("New name of").fill("")
    opened.page.get_by_label("New name of").press("Enter")
    opened.page.get_by_role("heading", name="<b>Winter</b>").wait_for(state="detached")


def test_2_how_well_is_each_served(opened: Opened) -> None:
    proxy = largest(opened)
    p = opened.tree["proxies"][proxy]
    line = opened.part("interests").locator(
        ".row", has=opened.page.locator(f"[data-proxy='{proxy}']")
    )
    versus = opened.tree["compare"]["by_proxy"][proxy]["difference"]
    assert f"{abs(versus):.3f}"[1:] in line.inner_text()
    choose(opened, proxy)
    assert f"{abs(p['difference']):.3f}"[1:] in opened.text("interest-panel")
    assert f"{p['recall']:.3f}"[1:] in opened.text("interest-panel")
    assert f"{p['low']:.3f}"[1:] in opened.text("interest-panel")


def test_3_which_are_one_and_which_are_empty(opened: Opened) -> None:
    said = opened.text("interests")
    assert f"{sum(p['n'] > 0 for p in opened.tree['proxies'])} in use" in said
    assert f"as many as {opened.tree['meta']['effective']:.1f} of equal size" in said
    choose(opened, largest(opened))
    nearest = opened.tree["proxies"][largest(opened)]["nearest"]
    panel = opened.part("interest-panel")
    for one in nearest:
        name = opened.tree["proxies"][one["proxy"]]["name"]
        assert panel.get_by_role("button", name=name).count() >= 1
    assert f"2nd of {100 * nearest[0]['overlap']:.0f} %" in panel.inner_text()


def test_4_which_sessions_follow_it_since_when_and_why(opened: Opened) -> None:
    choose(opened, largest(opened))
    opened.part("sessions-table").locator(".vbody button").first.click()
    row = opened.app("state.session")
    sessions = opened.tree["sessions"]
    assert sessions["proxy"][row] == largest(opened)
    panel = opened.text("session-panel")
    since = int(sessions["since"][row])
    assert ("from the first click on" if since <= 1 else f"since click {since} of") in panel
    first, last = sessions["offsets"][row : row + 2]
    strengths = opened.part("session-panel").locator("ol.clicks .num").all_inner_texts()
    added = [float(text.replace("−", "-")) for text in strengths]
    wanted = [sessions["prior"][row], *sessions["evidence"][first:last]]
    np.testing.assert_allclose(added, wanted[: len(added)], atol=0.011)


def test_4_changes_of_interest_are_flows(opened: Opened) -> None:
    opened.part("view-flow").click()
    ribbons = opened.part("flow").get_by_role("button", name=" to ")
    assert ribbons.count() > 0
    label = ribbons.first.get_attribute("aria-label")
    ribbons.first.press("Enter")
    n = len(opened.rows)
    assert 0 < n <= int(str(label).rpartition(":")[2].replace(",", ""))
    path, offsets = opened.tree["sessions"]["path"], opened.tree["sessions"]["offsets"]
    for row in opened.rows:
        assert len(set(path[offsets[row] : offsets[row + 1]].tolist())) > 1


def test_5_who_follows_it(opened: Opened) -> None:
    opened.part("table-customers").click()
    opened.part("customers-table").locator(".vbody button").first.click()
    user = opened.app("state.user")
    assert opened.rows == np.flatnonzero(opened.tree["sessions"]["user"] == user).tolist()
    panel = opened.text("customer-panel")
    assert opened.tree["users"]["id"][user] in panel
    assert "between sessions" in panel


def test_6_when(opened: Opened) -> None:
    choose(opened, largest(opened))
    panel = opened.part("interest-panel")
    assert panel.get_by_role("img", name="Months").count() == 1
    assert panel.get_by_role("img", name="Weekdays").count() == 1
    opened.part("view-matrix").click()
    cells = opened.part("matrix").locator("button.cell")
    assert cells.count() > 0
    label = str(cells.first.get_attribute("aria-label"))
    cells.first.click()
    assert f": {len(opened.rows)} session" in label


def test_7_what_if(opened: Opened) -> None:
    row = int(np.argmax(opened.tree["sessions"]["n_clicks"]))
    opened.app(f"go.session({row})")
    leader = opened.part("what-if-leader")
    leader.wait_for()
    part = opened.part("what-if")
    part.get_by_role("button", name="Drop click 1", exact=True).click()
    part.get_by_text("would still follow").or_(part.get_by_text("would follow")).wait_for()
    other = (int(opened.tree["sessions"]["proxy"][row]) + 1) % len(opened.tree["proxies"])
    part.get_by_label("Force an interest").select_option(str(other))
    part.get_by_text("It would follow").wait_for()
    assert opened.tree["proxies"][other]["name"] in leader.inner_text()
    part.get_by_role("button", name="as it was").click()
    part.get_by_text("It follows").wait_for()
    part.get_by_role("button", name="smallest change").click()
    part.get_by_text("makes it follow").or_(part.get_by_text("No change")).wait_for()
    assert opened.app("stats.what_if") < 2000  # a limit of patience; speed is a benchmark's


def test_8_what_do_two_differ_in(opened: Opened) -> None:
    for key, proxy in zip(
        "ab", np.argsort([-p["n"] for p in opened.tree["proxies"]])[:2], strict=True
    ):
        opened.app(f"go.interest({proxy})")
        opened.part(f"pin-{key}").click()
    found = opened.text("comparison")
    for proxy in np.argsort([-p["n"] for p in opened.tree["proxies"]])[:2]:
        assert f"{opened.tree['proxies'][proxy]['n']:,}" in found


def test_8_a_selection_is_compared_with_all_sessions_on_the_same_clicks(opened: Opened) -> None:
    rank, k = opened.tree["sessions"]["rank"], opened.tree["meta"]["k"]

    def recall(rows: Any = slice(None)) -> str:
        known = rank[rows][~np.isnan(rank[rows])]
        return f"{(known <= k).mean():.3f}".removeprefix("0")

    words = rf"R@{k} of the last click\s+"
    opened.app("filter({by: 'n_clicks', low: 4, high: null})")
    of_all = rf"of all sessions\s+{re.escape(recall())}"
    panel = opened.text("group-panel")
    assert re.search(words + re.escape(recall(opened.rows)), panel)
    assert re.search(of_all, panel)
    opened.part("pin-a").click()
    opened.app("go.interest(0)")
    opened.part("pin-b").click()
    assert re.search(words, opened.text("comparison"))
    opened.app("set({pins: {a: null, b: null}, filters: []})")
    opened.app("go.user(0)")
    panel = opened.text("customer-panel")
    assert re.search(words + re.escape(recall(opened.rows)), panel)
    assert re.search(of_all, panel)


def test_9_how_did_it_come_about(opened: Opened) -> None:
    slider = opened.part("progress")
    slider.fill("50")
    opened.until("state.progress === 50")
    sizes = {ring["k"]: ring["now"] for ring in opened.app("map.rings()")}
    assert sizes == {k: p["n_half"] for k, p in enumerate(opened.tree["proxies"]) if p["n_half"]}
    row = 7
    half = opened.dot(row)
    slider.fill("100")
    opened.until("state.progress === 100")
    assert opened.dot(row) != half
    opened.part("view-flow").click()
    opened.part("flow-training").click()
    said = opened.text("flow")
    assert "Born since half-way" in said
    assert "Died since half-way" in said


def test_10_is_run_a_better_and_for_whom(opened: Opened) -> None:
    compare = opened.tree["compare"]
    assert "A − B" in opened.text("interests")
    assert f"{abs(compare['overall']['difference']):.3f}"[1:] in opened.text("overview")
    opened.part("overview").get_by_role("button", name="run B ranks it better").click()
    own, other = opened.tree["sessions"]["rank"], compare["rank"]
    assert opened.rows == np.flatnonzero(other < own).tolist()


def test_11_where_is_the_model_wrong(opened: Opened) -> None:
    opened.part("overview").get_by_role("button", name="rank above 100").click()
    rank = opened.tree["sessions"]["rank"]
    assert opened.rows == np.flatnonzero(rank > 100).tolist()
    assert opened.part("chips").get_by_role("button").count() >= 2


def test_one_box_finds_items_sessions_and_customers(opened: Opened) -> None:
    box = opened.part("search")
    tree = opened.tree
    for text, wanted in (
        (tree["items"]["title"][0], "Items"), (tree["sessions"]["id"][3], "Sessions"),
        (tree["users"]["id"][2], "Customers"), (tree["proxies"][1]["name"][:8], "Interests"),
    ):  # fmt: skip
        box.fill(text)
        opened.page.get_by_role("listbox").get_by_text(wanted, exact=True).wait_for()
    for _ in range(2):  # the same again
        box.fill("")
        box.fill(tree["items"]["title"][0])
        box.press("Enter")
        assert 0 < len(opened.rows) < len(tree["sessions"]["id"])
    opened.lasso([(0.12, 0.03), (0.97, 0.03), (0.97, 0.97), (0.12, 0.97)])
    assert box.input_value() == ""  # what it found is no longer what is listed


def test_filters_are_chips_that_can_be_taken_away(opened: Opened) -> None:
    choose(opened, largest(opened))
    opened.app("filter({by: 'probability', low: .5, high: null})")
    opened.app("filter({by: 'n_clicks', low: null, high: 9})")
    assert opened.part("chips").locator(".chip").count() == 3
    opened.part("chips").locator(".chip").first.click()
    assert opened.part("chips").locator(".chip").count() == 2
    opened.part("reset").click()
    assert len(opened.rows) == len(opened.tree["sessions"]["id"])
    assert opened.app("state.filters") == []


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_selections_leave_and_come_back(
    opened: Opened, shop: Shop, tmp_path: Path, kind: str
) -> None:
    choose(opened, largest(opened))
    rows = opened.rows
    opened.page.get_by_text("Selection", exact=True).click()
    with opened.page.expect_download() as waiting:
        opened.part(f"save-{kind}").click()
    file = tmp_path / f"selection.{kind}"
    waiting.value.save_as(file)
    assert Selection.load(file).on_page(shop.scene) == (rows, [])
    opened.app("reset()")
    opened.part("load-file").set_input_files(file)
    opened.until(f"rows.length === {len(rows)}")
    assert opened.rows == rows
    bad = tmp_path / "other.csv"
    bad.write_text("session_id\nnobody\n", encoding="utf-8")
    opened.part("load-file").set_input_files(bad)
    opened.part("notices").get_by_text("nobody").or_(
        opened.part("notices").get_by_text("None of the")
    ).first.wait_for()
    assert opened.rows == rows  # nothing was lost


def test_nothing_is_saved_where_nothing_is_selected(opened: Opened) -> None:
    files: list[Any] = []
    opened.page.on("download", lambda file: files.append(file))
    opened.app("filter({by: 'n_clicks', low: 1000, high: null})")
    assert opened.rows == []
    notices = opened.part("notices")
    for save in opened.page.locator("[data-testid^=save-]").all():
        save.evaluate("(button) => button.click()")
        notices.get_by_text("No session is selected, so there is nothing to save.").wait_for()
        notices.get_by_role("button").click()
    opened.page.wait_for_timeout(200)
    assert files == []


def test_a_link_brings_the_view_back(opened: Opened) -> None:
    choose(opened, largest(opened))
    opened.app("filter({by: 'probability', low: .5, high: null})")
    opened.app("set({colour: 'n_clicks', session: 4})")
    rows, state = opened.rows, opened.app("state")
    opened.part("copy-link").click()
    opened.page.reload(wait_until="commit")
    opened.page.wait_for_selector("[data-drawn]")
    assert opened.rows == rows
    assert opened.app("state") == state
    opened.page.evaluate("location.hash = '#v=9.e30'")
    opened.part("notices").get_by_text("version 9").wait_for()
    opened.page.evaluate("history.replaceState(null, '', location.pathname + location.search)")


@pytest.mark.parametrize("colour", ["user", "n_clicks", "started", "probability", "rank", "margin"])
def test_colours_have_a_legend_that_filters(opened: Opened, colour: str) -> None:
    opened.page.get_by_label("Colour by").select_option(colour)
    legend = opened.part("legend").get_by_role("button")
    assert legend.count() > 1
    legend.first.click()
    assert 0 < len(opened.rows) < len(opened.tree["sessions"]["id"])
    assert opened.part("chips").locator(".chip").count() == 1
