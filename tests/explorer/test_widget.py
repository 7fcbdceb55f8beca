"""The widget without a browser: what it shows, lists and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ipywidgets import Widget

from proxysr.config import ConfigError
from proxysr.explorer import ProxyExplorer
from proxysr.run import RunDir
from tests.explorer.small import HOSTILE, run_of, view_of
from tests.explorer.unpacking import unpack


def test_its_text_is_the_same_in_every_run(view: Any) -> None:
    one, other = ProxyExplorer(view), ProxyExplorer(view)
    assert repr(one) == repr(other) == "ProxyExplorer(part='train', 30 sessions)"
    (data, _) = one._repr_mimebundle_()  # type: ignore[misc]
    assert data["text/plain"] == repr(one)
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_payload_goes_to_the_page(explorer: ProxyExplorer) -> None:
    tree = unpack(json.loads(json.dumps(explorer.header)), explorer.blob)
    assert tree["sessions"]["id"] == explorer.scene.view.table["session_id"].tolist()
    assert tree["offline"] is None, "a kernel is asked"
    assert "export default" in explorer._esm


def test_what_is_listed_is_a_frame(explorer: ProxyExplorer) -> None:
    view = explorer.scene.view
    assert len(explorer.selection) == 30
    k = int(view.proxy_sizes.argmax())
    explorer.choose_interest(k)
    found = explorer.selection
    assert found["session_id"].tolist() == view.table["session_id"].iloc[view.rows_of(k)].tolist()
    assert set(found["interest"]) == {view.interest(k).name}
    assert set(found) >= {"user", "started_at", "proxy", "probability", "n_clicks", "taste"}
    explorer.state = {"filters": [{"by": "n_clicks", "low": 4}]}
    assert explorer.state["interest"] == k, "what is set is merged"
    assert (explorer.selection["n_clicks"] >= 4).all()
    clicks = explorer.clicks_of_selection()
    assert len(clicks) == explorer.selection["n_clicks"].sum()
    explorer.choose_sessions(["s3", "s1"])
    assert explorer.state["filters"], "filters come on top"
    explorer.state = {"filters": []}
    assert explorer.selection["session_id"].tolist() == ["s1", "s3"]
    explorer.choose_session("s5")
    assert explorer.state["session"] == 5
    explorer.clear()
    assert len(explorer.selection) == 30
    assert explorer.state["session"] is None


def test_what_does_not_fit_changes_nothing(explorer: ProxyExplorer) -> None:
    before = explorer.state
    with pytest.raises(ConfigError, match="Did you mean 'interest'"):
        explorer.state = {"intrest": 1}
    with pytest.raises(ConfigError, match="interest is a number from 0 to 5"):
        explorer.choose_interest(6)
    with pytest.raises(ConfigError, match="'s99' is not a known session that is shown"):
        explorer.choose_session("s99")
    with pytest.raises(ConfigError, match="is not a known session that is shown"):
        explorer.choose_sessions(["s1", HOSTILE])
    assert explorer.state == before


def test_messages_are_answered(explorer: ProxyExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Widget, "send", lambda _, content, buffers=None: sent.append(content))
    explorer._handle_custom_msg({"id": 3, "kind": "items", "text": "lamp 7"}, [])
    explorer._handle_custom_msg({"id": 4, "kind": "session", "row": 99}, [])
    assert [message["id"] for message in sent] == [3, 4]
    assert sent[0]["answer"][0]["title"] == "Lamp 7"
    assert "row is a number from 0 to 29" in sent[1]["error"]


def test_a_name_reaches_the_page(tmp_path: Path) -> None:
    explorer = ProxyExplorer(view_of(run_of(tmp_path), max_drawn=5))
    explorer._handle_custom_msg({"id": 1, "kind": "rename", "proxy": 1, "name": "Desks"}, [])
    assert explorer.header["proxies"][1]["name"] == "Desks"
    assert len(explorer.header["sessions"]["id"]) == 5
    again = ProxyExplorer(view_of(RunDir(explorer.scene.view.run.path)), theme="dark")
    assert again.header["proxies"][1]["name"] == "Desks"
    assert again.state["theme"] == "dark"
