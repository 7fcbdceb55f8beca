"""The report: what it holds, that nothing of the data acts in it, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.data.batches import batch_of
from proxysr.evaluation import evaluate
from proxysr.explorer import report
from proxysr.explorer.report import check_place, embedded, write_report
from proxysr.recommender import Recommender
from tests.explorer.standin import HOSTILE, View, hostile_run, view_of


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    return view_of(hostile_run(tmp_path_factory.mktemp("hostile")))


@pytest.fixture(scope="module")
def text(view: View, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_report(view, tmp_path_factory.mktemp("page") / "page.html", command="made & <by>")
    return path.read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] not in ("script", "style"):
            self.words.append(data)

    @property
    def prose(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_every_session_is_there_with_both_checkpoints(view: View, text: str) -> None:
    data = data_of(text)
    sessions, half = data["sessions"], data["half"]
    assert sessions["id"] == view.table["session_id"].tolist()
    assert sessions["proxy"] == view.table["proxy"].tolist()
    assert half["proxy"] == view.half_table["proxy"].tolist()
    np.testing.assert_allclose(
        np.array(sessions["probability"]) / 1000, view.table["probability"], atol=5.1e-4
    )
    clicks = [[data["items"]["ids"][item] for item in row] for row in sessions["clicks"]]
    ids = view.items["item_id"].to_numpy()
    assert clicks == [ids[view.sessions[row] - 1].tolist() for row in range(len(view.table))]
    assert {len(row) for row in (*sessions["xy"], *half["xy"])} == {len(view.table)}
    assert sessions["user"]["values"].count(-1) == (view.table["user"] == "").sum()
    names = [column["name"] for column in data["columns"]]
    assert names == ["<i>country</i>", "spent"]


def test_positions_stay_aligned(view: View, text: str) -> None:
    """One scale and one shift for all four layouts: distances between them are as before."""
    data = data_of(text)
    drawn = [data["sessions"]["xy"], data["half"]["xy"], data["proxy_xy"], data["half_proxy_xy"]]
    own = [view.positions, view.half_positions, view.proxy_positions, view.half_proxy_positions]
    now, was = np.concatenate([np.transpose(xy) for xy in drawn]), np.concatenate(own)
    assert now.min() == 0
    assert now.max() == data["grid"]
    scale = data["grid"] / np.ptp(was, axis=0).max()
    np.testing.assert_allclose(now - now[0], scale * (was - was[0]), atol=1.01)


def test_proxies_are_told_by_all_sessions(view: View, text: str) -> None:
    proxies = data_of(text)["proxies"]
    counts = np.bincount(view.table["proxy"], minlength=len(proxies))
    assert [proxy["n"] for proxy in proxies] == counts.tolist()
    assert sum(proxy["share"] for proxy in proxies) == pytest.approx(1, abs=1e-3)
    for number, proxy in enumerate(proxies):
        assert proxy["state"] == "unused" if proxy["n"] == 0 else proxy["state"] != "unused"
        assert bool(proxy["items"]) == (proxy["n"] > 0)
        assert number not in [other for other, _ in proxy["nearest"]]


def test_recommendations_and_ranks_are_those_of_the_model(view: View, text: str) -> None:
    data = data_of(text)
    examples, items = data["sessions"]["examples"], data["items"]["ids"]
    ranks = evaluate(view.model, view.sessions, task="unseen").ranks
    of_target = ranks.set_index(["session_id", "position"])["rank"].to_dict()
    recommender = Recommender(view.model, view.items)
    assert examples["task"] == "unseen"
    assert len(examples["row"]) == (view.sessions.lengths >= 2).sum()
    for row, top, rank in zip(examples["row"], examples["top"], examples["rank"], strict=True):
        clicks = [items[item] for item in data["sessions"]["clicks"][row]]
        wanted = recommender.recommend(clicks[:-1], k=10).items["item_id"].tolist()
        assert [items[item] for item in top] == wanted
        key = (view.sessions.session_ids[row], len(clicks) - 1)
        assert rank == (pytest.approx(of_target[key]) if key in of_target else None)
        assert (rank is None) == (clicks[-1] in clicks[:-1])


def test_paths_are_those_of_the_prefixes(view: View, text: str) -> None:
    data = data_of(text)["sessions"]
    examples = data["examples"]
    for row, path, likely in zip(
        examples["row"][:10], examples["path"], examples["likely"], strict=False
    ):
        clicks = view.sessions[row].tolist()
        assert len(path) == len(likely) == len(clicks)
        for n, (proxy, probability) in enumerate(zip(path, likely, strict=True), start=1):
            weights = view.model.weigh(batch_of([clicks[:n]]))[1][0]
            assert float(weights[proxy]) == pytest.approx(float(weights.max()), abs=1e-6)
            assert probability == pytest.approx(1000 * float(weights.max()), abs=0.51)
        assert path[-1] == data["proxy"][row]


def test_no_text_of_the_data_is_markup(text: str) -> None:
    page = Elements(text)
    tags = [tag for tag, _ in page.found]
    assert tags.count("script") == 3
    assert not {"img", "svg", "b", "i", "iframe", "link"} & set(tags)
    assert not [name for _, attributes in page.found for name in attributes if name[:2] == "on"]
    shown = [HOSTILE[0], "run <b>&", "made & <by>"]  # source, folder, command
    assert [part for part in shown if part not in page.prose] == []
    assert data_of(text)["items"]["titles"][0] in {
        " ".join(f"{HOSTILE[row % 5]} {row}".split()) for row in range(40)
    }


@pytest.mark.parametrize("hostile", [*HOSTILE, "]]>", "</SCRIPT >", "\\u003c/script>", "\u2029"])
def test_embedded_json_ends_no_script_and_reads_back(hostile: str) -> None:
    text = embedded({hostile: [hostile, 1.5, None]})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {hostile: [hostile, 1.5, None]}


def test_nothing_is_fetched_and_only_own_scripts_run(
    text: str, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [
        value
        for _, attributes in Elements(text).found
        for name, value in attributes.items()
        if name in ("src", "href", "data", "action", "srcset", "poster")
    ]
    assert links
    assert [link for link in links if not str(link).startswith("#")] == []
    assert "@import" not in text.partition("</style>")[0]
    assert "url(" not in text.partition("</style>")[0]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    assert rules.startswith("default-src 'none'; script-src 'sha256-")
    assert "'unsafe-eval'" not in rules
    assert "http" not in rules
    for script in re.findall(r"<script>(.*?)</script>", text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules
    monkeypatch.setattr(report, "SVG_SESSIONS", 5)
    many = write_report(view, tmp_path / "many.html").read_text(encoding="utf-8")
    assert "unsafe-eval" in many.partition("</head>")[0]  # WebGL makes functions


def test_figures_settings_and_the_command_are_told(view: View, text: str) -> None:
    prose = Elements(text).prose
    recall = view.run.metrics()["test-unseen"]["metrics"]["R@20"]
    for words in (
        f"{recall:.4f}",
        "The test targets of task 'repeat' (with repeats) were not evaluated yet: proxysr evaluate",
        "learning_rate 0.001",
        "Trustworthiness",
        "sessions changed their proxy; the groupings agree by AMI",
        view.run.data["fingerprint"],
    ):
        assert words in prose
    assert data_of(text)["curves"]["data"][0]["type"] == "scatter"


def test_what_is_missing_is_left_out_with_a_sentence(view: View, tmp_path: Path) -> None:
    bare = replace(
        view,
        items=view.items.drop(columns="title"),
        table=view.table.iloc[:, :7],
        half_table=None,
        half_positions=None,
        half_proxy_positions=None,
        half_projection=None,
        sessions=replace(view.sessions, user_index=np.full(len(view.table), -1, np.int32)),
        notes=["No session has a known user."],
    )
    text = write_report(bare, tmp_path / "bare.html").read_text(encoding="utf-8")
    data, prose = data_of(text), Elements(text).prose
    assert data["half"] is None
    assert data["items"]["titles"] == data["items"]["ids"]
    assert not {"user", "started"} & set(data["sessions"])
    assert {proxy["users"] for proxy in data["proxies"]} == {None}
    assert "No session has a known user." in prose
    assert "There is no half-way snapshot to compare with." in prose


def test_one_proxy_for_all_is_said(view: View, tmp_path: Path) -> None:
    one = replace(view, table=view.table.assign(proxy=3))
    text = write_report(one, tmp_path / "one.html").read_text(encoding="utf-8")
    assert "sessions choose proxy 3: the proxies have collapsed" in Elements(text).prose


def test_a_sample_is_in_proportion_and_says_so(view: View, tmp_path: Path) -> None:
    path = write_report(view, tmp_path / "few.html", max_sessions=12)
    text = path.read_text(encoding="utf-8")
    data = data_of(text)
    assert len(data["sessions"]["id"]) == len(data["half"]["proxy"]) == 12
    known = dict(zip(view.table["session_id"], view.table["proxy"], strict=True))
    assert [known[name] for name in data["sessions"]["id"]] == data["sessions"]["proxy"]
    assert sum(proxy["n"] for proxy in data["proxies"]) == len(view.table)
    assert f"show 12 of {len(view.table)} sessions, a sample" in Elements(text).prose


def test_a_page_that_grows_too_large_shows_fewer(view: View, tmp_path: Path) -> None:
    whole = write_report(view, tmp_path / "whole.html").stat().st_size
    assert 4_000_000 < whole < 10_000_000
    path = write_report(view, tmp_path / "less.html", max_bytes=whole - 1)
    assert path.stat().st_size < whole
    assert len(data_of(path.read_text(encoding="utf-8"))["sessions"]["id"]) == len(view.table) // 2
    with pytest.raises(ValueError, match=r"even with 1 session\(s\) on its map; 1,000 are allowed"):
        write_report(view, tmp_path / "none.html", max_bytes=1_000)
    assert not (tmp_path / "none.html").exists()


def test_only_an_earlier_report_is_replaced(view: View, tmp_path: Path) -> None:
    path = write_report(view, tmp_path / "page.html")
    before = path.read_bytes()
    assert write_report(view, path).read_bytes() == before
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


def test_labels_and_dates_are_coded() -> None:
    from proxysr.explorer.report_data import _columns

    table = pd.DataFrame(
        {
            "session_id": ["a", "b", "c"],
            "kind": ["x", None, "x"],
            "spent": [1.23456789, np.nan, np.inf],
            "order": [20230512, 20230513, 7],
            "when": pd.to_datetime(["2020-01-01", None, "1970-01-02"]),
            "is_new": [True, False, True],
        }
    )
    assert _columns(table) == [
        {"name": "kind", "kind": "label", "labels": ["x"], "values": [0, -1, 0]},
        {"name": "spent", "kind": "number", "values": [1.23457, None, None]},
        {"name": "order", "kind": "number", "values": [20230512, 20230513, 7]},
        {"name": "when", "kind": "date", "values": [1577836800, None, 86400]},
        {"name": "is_new", "kind": "label", "labels": ["True", "False"], "values": [0, 1, 0]},
    ]
