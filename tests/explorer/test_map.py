"""The map: as many points as sessions, colours of one byte, and no geometry for a new colour."""

from __future__ import annotations

import numpy as np
import pytest
from plotly.colors import hex_to_rgb

from proxysr.explorer import ProxyExplorer, colouring, figure
from proxysr.explorer.state import NONE
from proxysr.plots.theme import VERMILION
from proxysr.runs import RunDir
from tests.explorer.small import HOSTILE, Wire, run_of, view_of


def cloud(explorer: ProxyExplorer) -> object:
    return explorer.map.map.data[figure.SESSIONS]


def circles(explorer: ProxyExplorer) -> object:
    return explorer.map.map.data[figure.PROXIES]


def test_counts_in_are_points_out(explorer: ProxyExplorer) -> None:
    view = explorer.scene.view
    assert len(cloud(explorer).x) == len(view.table) == len(view.drawn)
    assert len(circles(explorer).x) == view.n_proxies
    for trace, dtype in ((cloud(explorer), "float32"), (circles(explorer), "float32")):
        assert trace.x.dtype == trace.y.dtype == dtype
    assert cloud(explorer).marker.color.dtype == np.uint8
    assert cloud(explorer).type == "scattergl"
    assert circles(explorer).type == "scatter"
    assert sum(trace.type == "scattergl" for trace in explorer.map.map.data) == 1


def test_a_sample_is_drawn_and_says_so(run: RunDir) -> None:
    explorer = ProxyExplorer(view_of(run, max_drawn=10))
    assert len(cloud(explorer).x) == 10
    assert "10 of 30 sessions drawn (a sample; tables count all)" in explorer.map.legend.html
    explorer.store.choose_proxy(int(explorer.scene.by_size[0]))
    n = int(explorer.scene.proxies["n_sessions"].max())
    assert f"<b>{n}</b><span>sessions" in explorer.card.card.html
    explorer.map._lassoed([0, 9])
    assert explorer.store.state.listed.tolist() == sorted(explorer.scene.view.drawn[[0, 9]])


def test_progress_moves_everything_on_straight_ways(explorer: ProxyExplorer) -> None:
    view, store = explorer.scene.view, explorer.store
    for progress, share in ((50, 0.0), (70, 0.4), (100, 1.0)):
        store.change(progress=progress)
        for trace, half, full in (
            (cloud(explorer), view.half_positions, view.positions),
            (circles(explorer), view.half_proxy_positions, view.proxy_positions),
        ):
            expected = (1 - share) * half.astype(float) + share * full.astype(float)
            np.testing.assert_allclose(np.column_stack([trace.x, trace.y]), expected, atol=1e-5)
        assert explorer.map.progress.value == progress


def test_ways_lead_from_half_to_full(explorer: ProxyExplorer) -> None:
    view, way = explorer.scene.view, explorer.map.map.data[figure.DRIFT]
    used = explorer.scene.proxies["n_sessions"].to_numpy() > 0
    assert way.visible is False
    explorer.map.drift.value = True
    assert way.visible is True
    np.testing.assert_array_equal(way.x[0::3], view.half_proxy_positions[used, 0])
    np.testing.assert_array_equal(way.y[1::3], view.proxy_positions[used, 1])
    assert np.isnan(way.x[2::3]).all()


def test_choosing_fades_the_others_and_filters_hide(explorer: ProxyExplorer) -> None:
    store, table = explorer.store, explorer.scene.table
    proxy = int(explorer.scene.by_size[0])
    store.choose_proxy(proxy)
    codes = cloud(explorer).marker.color
    assert ((codes == colouring.FADED) == (table["proxy"] != proxy)).all()
    store.filter("n_clicks", 4, 9)
    codes = cloud(explorer).marker.color
    assert ((codes == colouring.HIDDEN) == (table["n_clicks"] < 4)).all()
    assert circles(explorer).marker.line.color[proxy] == VERMILION
    assert list(circles(explorer).marker.line.color).count(VERMILION) == 1


def test_a_new_colour_sends_colours_and_no_geometry(explorer: ProxyExplorer, wire: Wire) -> None:
    fig, n = explorer.map.map, len(explorer.scene.view.drawn)
    for column in ("probability", "taste", "proxy"):
        wire.clear()
        explorer.store.change(colour=column)
        assert wire.to(fig, "_py2js_restyle") == []
        states = [m["state"] for target, m, _ in wire.sent if target is fig]
        updates = [state["_py2js_update"] for state in states if state.get("_py2js_update")]
        assert len(updates) == 1, "one redraw"
        message = updates[0]
        assert {key for key in message["style_data"]} <= {"marker.color", "marker.colorscale"}
        assert sum(size for target, _, size in wire.sent if target is fig) < 4000 + n


def test_one_redraw_an_action(explorer: ProxyExplorer, wire: Wire) -> None:
    store, fig = explorer.store, explorer.map.map

    def redraws() -> dict[str, int]:
        parts = {"card": explorer.card.card, "rows": explorer.sessions.rows,
                 "why": explorer.session.why, "next": explorer.session.next,
                 "result": explorer.what_if.result, "clicks": explorer.what_if.clicks}  # fmt: skip
        found = {name: len(wire.to(part, "html")) for name, part in parts.items()}
        wire.clear()
        return found

    store.choose_proxy(int(explorer.scene.by_size[0]))
    geometry = [m for t, m, _ in wire.sent if t is fig and "'x'" in repr(m)]
    assert geometry == []
    assert redraws() == {"card": 1, "rows": 1, "why": 0, "next": 0, "result": 0, "clicks": 0}
    store.choose_session(int(explorer.scene.table["n_clicks"].argmax()))
    assert redraws() == {"card": 0, "rows": 1, "why": 1, "next": 1, "result": 1, "clicks": 1}
    explorer.what_if.clicks.press("drop", 0)
    assert redraws() == {"card": 0, "rows": 0, "why": 0, "next": 0, "result": 1, "clicks": 1}
    explorer.session.after.value = 1
    assert redraws() == {"card": 0, "rows": 0, "why": 0, "next": 1, "result": 0, "clicks": 0}
    explorer.what_if.force.value = int(explorer.scene.by_size[1])
    assert redraws()["result"] == 1


def test_clicks_on_the_map_choose(explorer: ProxyExplorer) -> None:
    explorer.map._clicked([4])
    assert explorer.store.state.session == int(explorer.scene.view.drawn[4])
    explorer.map._clicked_proxy([2])
    assert explorer.store.state.proxy == 2
    explorer.store.filter("n_clicks", 5, 9)
    explorer.map._lassoed(list(range(20)))
    chosen = explorer.store.state.chosen
    assert chosen is not None
    assert explorer.scene.table["n_clicks"].iloc[chosen.rows].min() >= 5, "what is hidden stays out"
    assert explorer.store.state.proxy == NONE


def test_an_outline_goes_when_others_are_chosen(explorer: ProxyExplorer) -> None:
    fig = explorer.map.map
    fig.layout.selections = [{"type": "path", "path": "M0,0L1,0L1,1Z", "xref": "x", "yref": "y"}]
    explorer.map._lassoed([0, 1, 2])
    assert len(fig.layout.selections) == 1
    explorer.store.choose_proxy(0)
    assert len(fig.layout.selections) == 0


def test_text_of_the_data_is_no_markup(explorer: ProxyExplorer) -> None:
    explorer.map.colour.value = "taste"
    assert HOSTILE not in explorer.map.legend.html
    assert "&lt;img" in explorer.map.legend.html
    for text in [*cloud(explorer).hovertext, *circles(explorer).hovertext]:
        assert "<img" not in text


def test_without_a_snapshot_half_way_there_is_one_map(tmp_path: object) -> None:
    explorer = ProxyExplorer(view_of(run_of(tmp_path, epochs=1)))
    assert explorer.map.progress.disabled
    assert explorer.map.drift.disabled
    assert "Half-way is the best epoch itself (0): there is one map." in notes(explorer)
    explorer.store.change(progress=50, drift=True)
    np.testing.assert_array_equal(cloud(explorer).x, explorer.scene.view.positions[:, 0])


def notes(explorer: ProxyExplorer) -> str:
    return " ".join(w.value for w in explorer.toolbar.children if hasattr(w, "value"))


@pytest.mark.parametrize("by", ["proxy", "user", "n_clicks", "started_at", "probability", "taste"])
def test_every_colour_is_in_the_scale(explorer: ProxyExplorer, by: str) -> None:
    colours = colouring.colouring(explorer.scene, by)
    stops = [place for place, _ in colours.scale]
    assert stops == sorted(stops)
    assert (stops[0], stops[-1]) == (0, 1)
    assert len(colours.codes) == len(explorer.scene.table)
    assert colours.codes.min() >= colouring.FIRST


def test_names_get_hues_by_size_and_unknown_is_grey(explorer: ProxyExplorer) -> None:
    colours = colouring.colouring(explorer.scene, "user")
    users = explorer.scene.table["user"]
    sizes = users[users != ""].value_counts()
    largest = users == sizes.index[0]
    assert (colours.codes[largest] == colouring.FIRST).all()
    unknown = set(colours.codes[users == ""])
    assert unknown == {colouring.FIRST + len(sizes)}
    assert colours.legend[-1][0] == colouring.REST


def test_numbers_rise_with_their_codes(explorer: ProxyExplorer) -> None:
    codes = colouring.colouring(explorer.scene, "probability").codes.astype(int)
    order = np.argsort(explorer.scene.values("probability"), kind="stable")
    assert (np.diff(codes[order]) >= 0).all()
    assert (codes.min(), codes.max()) == (colouring.FIRST + 1, 255)


def test_nearest_proxies_differ_in_hue(explorer: ProxyExplorer) -> None:
    hues = colouring.hues_of_proxies(explorer.scene)
    assert len(set(hues.tolist())) == min(explorer.scene.n_proxies, len(colouring.HUES))


def test_hues_are_told_apart_without_colour_vision() -> None:
    """Lightness of the ramp rises from end to end."""
    light = [np.dot(hex_to_rgb(hue), [0.2126, 0.7152, 0.0722]) for hue in colouring.RAMP]
    assert light == sorted(light)
    assert light[-1] > light[0] * 1.5
