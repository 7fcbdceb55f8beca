"""Answers are those of the analyses; whatever is asked, there is one, with the request's id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.analysis.attribution import contributions, proxy_path, smallest_flip
from proxysr.analysis.counterfactuals import rank_of, recommendations_under
from proxysr.explorer.packing import pack
from proxysr.explorer.requests import KINDS_OF_REQUEST, answer
from proxysr.explorer.scene import Scene
from tests.explorer.small import HOSTILE


@pytest.fixture
def names(scene: Scene) -> Iterator[Path]:
    """The file of names, put away again."""
    path = scene.view.hand_names.path
    yield path
    path.unlink(missing_ok=True)
    scene.view.hand_names.names = {}


def asked(scene: Scene, kind: str, **args: Any) -> Any:
    found = answer(scene, {"id": 7, "kind": kind, **args})
    assert (found["id"], found["kind"]) == (7, kind)
    json.dumps(found, allow_nan=False)
    return found["answer"]


def refused(scene: Scene, kind: str, **args: Any) -> str:
    found = answer(scene, {"id": 7, "kind": kind, **args})
    assert "answer" not in found
    return str(found["error"])


def test_a_session_is_explained_exactly(scene: Scene) -> None:
    model = scene.view.model
    for row in range(8):
        found = asked(scene, "session", row=row)
        clicks, user = scene.clicks(row), scene.user_of_row(row)
        why = contributions(model, clicks, user=user)
        lead, rival = found["proxies"][:2]
        assert (lead, rival) == (why["proxy"][0], why["runner_up"][0])
        last = proxy_path(model, clicks, user=user)["probability"].iloc[-1]
        assert found["posterior_by_click"][-1][0] == pytest.approx(last, abs=1e-5)


def test_what_came_next_has_the_rank_it_had(scene: Scene) -> None:
    row = int(np.argmax(scene.tree["sessions"]["n_clicks"]))
    clicks, user = scene.clicks(row), scene.user_of_row(row)
    for after in range(1, len(clicks) + 1):
        found = asked(scene, "next", row=row, after=after)
        best = recommendations_under(scene.view.model, clicks[:after], k=20, user=user)
        assert [item["index"] for item in found["items"]] == best["item"].tolist()
        if after == len(clicks):
            assert found["target"] is found["rank"] is None
        else:
            rank = rank_of(scene.view.model, clicks[:after], clicks[after], user=user)
            assert (found["target"]["index"], found["rank"]) == (clicks[after], rank)


def test_what_if(scene: Scene) -> None:
    model, clicks = scene.view.model, [5, 30, 7]
    found = asked(scene, "what_if", clicks=clicks)
    why = contributions(model, clicks)
    assert (found["proxy"], found["runner_up"]) == (why["proxy"][0], why["runner_up"][0])
    np.testing.assert_allclose(found["evidence"], why["difference"], atol=1e-5)
    assert found["path"] == proxy_path(model, clicks)["proxy"].tolist()
    assert sum(one["weight"] for one in found["weights"]) == pytest.approx(1, abs=1e-5)
    best = recommendations_under(model, clicks, k=10)
    assert [item["index"] for item in found["items"]] == best["item"].tolist()
    other = found["runner_up"]
    forced = asked(scene, "what_if", clicks=clicks, proxy=other)
    assert (forced["proxy"], forced["runner_up"]) == (other, found["proxy"])
    assert forced["weights"][0] == {"proxy": other, "weight": 1.0}
    best = recommendations_under(model, clicks, k=10, proxy=other)
    assert [item["index"] for item in forced["items"]] == best["item"].tolist()
    for extreme in (1e-30, 1e30):
        assert asked(scene, "what_if", clicks=clicks, temperature=extreme)["items"]
    softer = asked(scene, "what_if", clicks=clicks, temperature=9.0)
    assert softer["weights"][0]["weight"] <= found["weights"][0]["weight"]
    assert softer["path"] == found["path"]


def test_the_smallest_change_is_told_and_does_it(scene: Scene) -> None:
    told = 0
    for row in range(12):
        clicks = scene.clicks(row)
        found = asked(scene, "smallest", clicks=clicks, user=None)
        counts = scene.view.item_counts.total[1:]
        common = np.argsort(-counts, kind="stable")[:50] + 1
        flip = smallest_flip(scene.view.model, clicks, replacements=common)
        if flip is None:
            assert found["clicks"] is None
            assert found["sentence"].startswith("No change of a single click")
        else:
            told += 1
            assert found["clicks"] == list(flip.clicks)
            assert scene.view.proxy_label(flip.after) in found["sentence"]
    assert told > 0


def test_items_by_a_part_of_their_title(scene: Scene) -> None:
    view = scene.view
    lamps = asked(scene, "items", text="lAmP 4")
    assert lamps[0]["title"].startswith("Lamp 4")
    assert len(lamps) == len([t for t in view.items["title"] if "Lamp 4" in t])
    assert asked(scene, "items", text="  ") == []
    assert asked(scene, "items", text="onerror")[0]["title"] == HOSTILE


def test_names_are_kept_and_used_everywhere(scene: Scene, names: Path) -> None:
    found = asked(scene, "rename", proxy=2, name="  Desk\n lamps ")
    assert found == {"proxy": 2, "name": "Desk lamps", "by": "hand"}
    assert scene.view.proxy_label(2) == "2 · Desk lamps"
    assert scene.packed()[0]["proxies"][2]["name"] == "Desk lamps"
    assert "Desk lamps" in names.read_text()
    assert "at most 80 characters" in refused(scene, "rename", proxy=2, name="x" * 81)
    assert asked(scene, "rename", proxy=2, name="")["by"] != "hand"
    names.write_text("mine")
    assert "is damaged: it is not valid JSON" in refused(scene, "rename", proxy=2, name="x")
    assert names.read_text() == "mine"


@pytest.mark.parametrize(
    ("kind", "args", "message"),
    [
        ("sesion", {}, "'sesion' is not a known request. Did you mean 'session'?"),
        ("session", {}, "row is a number from 0 to 29; received None"),
        ("session", {"row": 30}, "row is a number from 0 to 29; received 30"),
        ("session", {"row": True}, "received True"),
        ("session", {"row": 1.0}, "received 1.0"),
        ("next", {"row": 0, "after": 0}, "after is a number from 1 to"),
        ("what_if", {"clicks": []}, "A session has 1 to 2,000 clicks here; received 0"),
        ("what_if", {"clicks": [1] * 2001}, "received 2,001"),
        ("what_if", {"clicks": [49]}, "clicks are numbers from 1 to 48; received 49"),
        ("what_if", {"clicks": "1"}, "clicks is a list of numbers; received '1'"),
        *(
            ("what_if", {"clicks": [1], "temperature": value}, f"1e+30, or null; received {value}")
            for value in (0, -1, 1e-42, 1e-60, 1e300, 10**50, True)
        ),
        ("what_if", {"clicks": [1], "temperature": 10**400}, "from 1e-30 to 1e+30, or null; rec"),
        ("what_if", {"clicks": [1], "proxy": 6}, "proxy is a number from 0 to 5; received 6"),
        ("what_if", {"clicks": [1], "user": 9}, "user is a number from 0 to 2; received 9"),
        ("save", {"format": "csv", "rows": []}, "No session is selected."),
        ("items", {"text": 3}, "text is a text; received 3"),
        ("rename", {"proxy": 1, "name": None}, "name is a text; received None"),
        ("save", {"rows": [0], "format": "xlsx"}, "'xlsx' is not a known kind of file"),
    ],
)
def test_what_does_not_fit_is_said(
    scene: Scene, kind: str, args: dict[str, Any], message: str
) -> None:
    assert message in refused(scene, kind, **args)


def test_an_answer_can_be_sent_whatever_is_asked(scene: Scene) -> None:
    nested: Any = []
    for _ in range(900):
        nested = [nested]
    for value in ({"$": 1}, nested):
        for request in ({"id": value, "kind": "items", "text": "a"}, {"id": 1, "kind": value}):
            json.dumps(pack(answer(scene, request))[0])


numbers = st.integers(-3, 60) | st.integers() | st.floats() | st.booleans() | st.none()
values = st.recursive(
    numbers | st.text(max_size=9) | st.sampled_from(["csv", "json", "parquet", "a.csv", HOSTILE]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
fields = ["row", "rows", "after", "clicks", "user", "temperature", "text", "name", "format"]
asking = st.dictionaries(st.sampled_from([*fields, "base64", "proxy"]), values)
requests = st.builds(
    lambda args, ident, kind: args | {"id": ident, "kind": kind},
    asking,
    st.integers() | st.text(),
    st.sampled_from([*KINDS_OF_REQUEST, "nothing"]) | values,
)


@given(requests | values)
def test_whatever_is_asked_there_is_an_answer(scene: Scene, request_: Any) -> None:
    if isinstance(request_, dict) and request_.get("kind") == "rename":
        request_ = request_ | {"proxy": None}  # nothing is to be written
    found = answer(scene, request_)
    assert ("answer" in found) != ("error" in found)
    known = request_.get("id") if isinstance(request_, dict) else None
    known = known if isinstance(known, str | int | float) else None
    assert found["id"] == known or known != known
    if "error" in found:
        assert len(found["error"]) < 2_000
        assert found["error"]
