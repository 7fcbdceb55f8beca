"""Maps and flows show the points they were given, and text of the data as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.plots.flow import flow_picture
from proxysr.plots.maps import MOST_LABELS, SVG, half_full_maps, session_map, small_maps

POINTS = np.arange(12.0).reshape(6, 2)


def test_every_session_is_shown_once_with_its_label() -> None:
    fig = session_map(POINTS, ["b", "a", "b", None, "a", "<i>"], label_name="taste")
    shown = {line.name: list(zip(line.x, line.y, strict=True)) for line in fig.data}
    assert shown == {
        "others": [(6, 7)],
        "a": [(2, 3), (8, 9)],
        "b": [(0, 1), (4, 5)],
        "&lt;i&gt;": [(10, 11)],
    }
    looks = {(line.marker.color, line.marker.symbol) for line in fig.data}
    assert len(looks) == 4
    assert fig.layout.legend.title.text == "taste"


def test_the_most_frequent_labels_have_colours_and_the_rest_are_others() -> None:
    labels = [i for i in range(20) for _ in range(20 - i)]
    fig = session_map(np.random.default_rng(0).normal(size=(len(labels), 2)), labels)
    sizes = {line.name: len(line.x) for line in fig.data}
    assert len(sizes) == MOST_LABELS + 1
    assert sizes["0"] == 20
    assert sizes["others"] == sum(20 - i for i in range(MOST_LABELS, 20))


def test_proxies_that_nobody_chose_are_left_out() -> None:
    fig = session_map(POINTS, proxy_positions=POINTS[:4] + 0.5, proxy_sizes=[3, 0, 2, 1])
    proxies = next(line for line in fig.data if line.name == "proxy")
    assert list(proxies.x) == [0.5, 4.5, 6.5]
    assert list(proxies.text) == ["<b>0</b>", "<b>2</b>", "<b>3</b>"]
    assert proxies.customdata.tolist() == [[0, 3], [2, 2], [3, 1]]
    nowhere = np.where(np.arange(4)[:, None] == 0, np.nan, POINTS[:4])
    fig = session_map(POINTS, proxy_positions=nowhere)
    assert len(next(line for line in fig.data if line.name == "proxy").x) == 3


def test_panels_of_a_pair_have_one_scale_and_equal_axes() -> None:
    fig = half_full_maps(POINTS, POINTS * 3, list("aabbcc"), names=("early", "late"))
    x, x2, y, y2 = (fig.layout[name] for name in ("xaxis", "xaxis2", "yaxis", "yaxis2"))
    assert x.range == x2.range
    assert y.range == y2.range
    assert x.range[1] - x.range[0] == pytest.approx(y.range[1] - y.range[0])
    assert x.range[0] < 0
    assert x.range[1] > 30
    assert (y.scaleanchor, y2.scaleanchor) == ("x", "x2")
    assert [a.text for a in fig.layout.annotations] == ["early", "late"]
    assert sum(bool(line.showlegend) for line in fig.data) == 3


def test_small_maps_keep_the_look_of_a_label() -> None:
    panels = {(row, column): POINTS for row in ("A", "B", "C") for column in ("half", "full")}
    users = [f"u{i}" for i in range(6)]
    notes = {("B", "full"): "purity 0.5 & more"}
    fig = small_maps(panels, dict.fromkeys(panels, users), notes=notes)
    assert len(fig.data) == 36
    looks = {(line.name, line.marker.color, line.marker.symbol) for line in fig.data}
    assert len(looks) == 6
    assert sum(bool(line.showlegend) for line in fig.data) == 6
    assert "B, full" in fig.layout.annotations[3].text
    assert "purity 0.5 &amp; more" in fig.layout.annotations[3].text


def test_large_clouds_are_drawn_by_webgl() -> None:
    random = np.random.default_rng(0)
    assert session_map(random.normal(size=(SVG, 2))).data[0].type == "scatter"
    assert session_map(random.normal(size=(SVG + 1, 2))).data[0].type == "scattergl"


def test_maps_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ConfigError, match="one a session; received 2 for 6"):
        session_map(POINTS, ["a", "b"])
    with pytest.raises(ConfigError, match="the same sessions; received 6 and 5"):
        half_full_maps(POINTS, POINTS[1:])
    with pytest.raises(ConfigError, match="no map to show"):
        small_maps({}, {})
    with pytest.raises(ConfigError, match="nothing to show"):
        flow_picture(pd.DataFrame({"half": [], "full": [], "n_sessions": []}))


def test_bands_are_the_flows() -> None:
    flows = pd.DataFrame({"half": [0, 0, 1, 2], "full": [0, 1, 1, 5], "n_sessions": [5, 3, 4, 2]})
    (sankey,) = flow_picture(flows).data
    names = list(sankey.node.label)
    shown = {
        (names[source], names[target]): value
        for source, target, value in zip(
            sankey.link.source, sankey.link.target, sankey.link.value, strict=True
        )
    }
    assert shown == {("0", "0"): 5, ("0", "1"): 3, ("1", "1"): 4, ("2", "5"): 2}
    assert all(source < 3 <= target for source, target in
               zip(sankey.link.source, sankey.link.target, strict=True))  # fmt: skip
    colours = dict(zip(shown, sankey.link.color, strict=True))
    assert colours["0", "0"] == colours["1", "1"] != colours["0", "1"]


def test_small_proxies_are_put_together() -> None:
    flows = pd.DataFrame({"half": range(40), "full": [0] * 40, "n_sessions": [50] * 10 + [1] * 30})
    (sankey,) = flow_picture(flows).data
    names = list(sankey.node.label)
    assert "30 others" in names
    assert names[-1] == "0"
    assert sum(sankey.link.value) == 530
