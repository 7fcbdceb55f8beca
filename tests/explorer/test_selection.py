"""Selections leave with raw ids and titles, say where they are from, and come back the same."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.explorer import ProxyExplorer, Selection
from proxysr.explorer.requests import answer
from proxysr.explorer.scene import Scene
from proxysr.run import RunDir
from tests.explorer.small import HOSTILE, run_of, view_of


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_what_leaves_comes_back(scene: Scene, tmp_path: Path, suffix: str) -> None:
    rows = np.array([2, 5, 11])
    selection = Selection.of(scene, rows)
    path = selection.save(tmp_path / f"some{suffix}")
    back = Selection.load(path)
    assert back.session_ids == [scene.tree["sessions"]["id"][row] for row in rows]
    assert back.provenance == selection.provenance
    assert back.clicks["item_id"].tolist() == selection.clicks["item_id"].tolist()
    assert back.clicks["title"].tolist() == selection.clicks["title"].tolist()
    assert back.clicks["position"].tolist() == selection.clicks["position"].tolist()
    assert back.on_page(scene) == (rows.tolist(), [])
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary is left"


@given(st.sets(st.integers(0, 29), min_size=1))
def test_one_row_a_click_as_they_were_clicked(scene: Scene, rows: set[int]) -> None:
    clicks = Selection.of(scene, sorted(rows)).clicks
    expected = [
        (scene.tree["sessions"]["id"][row], place, item["id"], item["title"])
        for row in sorted(rows)
        for place, item in enumerate(map(scene.item, scene.clicks(row)), start=1)
    ]
    names = ["session_id", "position", "item_id", "title"]
    assert list(clicks[names].itertuples(index=False, name=None)) == expected


def test_a_file_tells_run_checkpoint_and_data(scene: Scene, tmp_path: Path) -> None:
    path = Selection.of(scene, [0]).save(tmp_path / "one.csv")
    line = pd.read_csv(path).iloc[0]
    run = scene.view.run
    assert (line["run"], line["epoch"], line["part"]) == (run.path.name, run.best_epoch, "train")
    assert line["data"] == run.data["fingerprint"]
    path = Selection.of(scene, [0]).save(tmp_path / "one.json")
    found = json.loads(path.read_text())
    assert found["format"] == "proxysr-selection"
    assert found["provenance"]["epoch"] == run.best_epoch
    assert [click["item_id"] for click in found["sessions"][0]["clicks"]] == [
        scene.item(item)["id"] for item in scene.clicks(0)
    ]


def test_titles_leave_as_they_are(scene: Scene, tmp_path: Path) -> None:
    rows = [row for row in range(len(scene.rows)) if 1 in scene.clicks(row)]
    path = Selection.of(scene, rows).save(tmp_path / "odd.csv")
    assert HOSTILE in set(Selection.load(path).clicks["title"]), "escaping is for pages, not files"


def test_a_table_of_session_ids_will_do(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("session_id,why\ns3,liked\ns999,gone\n")
    rows, notes = Selection.load(path).on_page(scene)
    assert [scene.tree["sessions"]["id"][row] for row in rows] == ["s3"]
    assert notes == ["1 of 2 selected sessions are not on this page."]


def test_commas_at_the_ends_of_lines_move_no_column() -> None:
    selection = Selection.from_bytes(b"session_id,proxy\n1,5,\n2,7,\n", "ids.csv")
    assert selection.session_ids == ["1", "2"]
    assert selection.clicks["proxy"].tolist() == [5, 7]


def test_what_does_not_fit_is_said(scene: Scene, tmp_path: Path) -> None:
    selection = Selection.of(scene, [0, 1])
    other = replace(selection, provenance=selection.provenance | {"data": "else"})
    assert other.on_page(scene)[1] == ["The selection was saved from other data."]
    other = replace(selection, provenance=selection.provenance | {"epoch": 7})
    assert "was saved from epoch 7 of run" in other.on_page(scene)[1][0]
    gone = replace(selection, clicks=selection.clicks.assign(session_id="zzz"))
    with pytest.raises(ConfigError, match="None of the 1 sessions of the selection is in part"):
        gone.on_page(scene)


def test_files_that_are_none_are_refused_in_words(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'.xlsx' is not a known kind of file"):
        Selection.of(scene, [0]).save(tmp_path / "a.xlsx")
    with pytest.raises(ConfigError, match=r"A selection is a file ending in .csv"):
        Selection.load(tmp_path / "a")
    with pytest.raises(ConfigError, match="There is no selection at"):
        Selection.load(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="No session is selected, so there is nothing to save"):
        Selection.of(scene, []).save(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="has no column session_id; it has a, b"):
        Selection.load(tmp_path / "b.csv")
    (tmp_path / "c.parquet").write_text("nonsense")
    with pytest.raises(ValueError, match=r"c.parquet cannot be read as a table"):
        Selection.load(tmp_path / "c.parquet")
    table = pa.table({"session_id": ["s1"]}, metadata={"pandas": '{"columns": [3]}'})
    pq.write_table(table, tmp_path / "e.parquet")
    with pytest.raises(ValueError, match=r"e.parquet cannot be read as a table \("):
        Selection.load(tmp_path / "e.parquet")
    (tmp_path / "d.json").write_text('{"provenance": {}, "sessions": [3]}')
    with pytest.raises(ConfigError, match="is damaged: a session in it has no session_id"):
        Selection.load(tmp_path / "d.json")
    assert not (tmp_path / "a.csv").exists()


def test_formulas_leave_as_texts(scene: Scene, tmp_path: Path) -> None:
    formulas = ["=1+1", "+1", "-1", "@x", "\t=1", "'=1", "''-2", "'quoted'", "lamp"]
    selection = Selection.of(scene, range(9))
    ids = dict(zip(selection.session_ids, formulas, strict=True))
    clicks = selection.clicks.assign(session_id=selection.clicks["session_id"].map(ids))
    clicks = clicks.assign(title="=cmd|' /C calc'!A0").rename(columns={"user": "-user"})
    path = replace(selection, clicks=clicks).save(tmp_path / "odd.csv")
    for line in csv.reader(io.StringIO(path.read_text())):
        assert not [cell for cell in line[:4] if re.match(r"[=@\t\r]|[+-](?!1$)", cell)]
    back = Selection.load(path)
    assert back.session_ids == formulas
    assert set(back.clicks["title"]) == {"=cmd|' /C calc'!A0"}


def test_the_widget_saves_what_is_listed_and_begins_with_it(view: Any, tmp_path: Path) -> None:
    explorer = ProxyExplorer(view)
    explorer.choose_interest(int(view.proxy_sizes.argmax()))
    for name in ("mine.csv", "mine.json", "mine.parquet"):
        again = ProxyExplorer(view, selection=explorer.save_selection(tmp_path / name))
        assert again.selection["session_id"].tolist() == (explorer.selection["session_id"].tolist())
        assert (again.state["why"], again.notes) == (f"of {name}", [])


def test_a_page_saves_and_loads(scene: Scene) -> None:
    saved = answer(scene, {"id": 1, "kind": "save", "rows": [3, 1], "format": "parquet"})["answer"]
    found = answer(scene, {"id": 2, "kind": "load", **saved})["answer"]
    assert found == {"rows": [1, 3], "notes": []}
    text = base64.b64encode(b"session_id\nzzz\n").decode()
    for args, message in (
        ({"name": "a.csv", "base64": text}, "None of the 1 sessions of the selection is in part"),
        ({"name": "a.csv", "base64": "%"}, "arrived damaged: it is not base64"),
        ({"name": "a.exe", "base64": text}, "'.exe' is not a known kind of file"),
        ({"name": "a.json", "base64": base64.b64encode(b"[" * 99_999).decode()}, "not valid JSON"),
        ({"name": "a.parquet", "base64": text}, "cannot be read as a table"),
    ):
        assert message in answer(scene, {"id": 3, "kind": "load", **args})["error"]


def test_without_titles_and_users_ids_leave(tmp_path: Path) -> None:
    run: RunDir = run_of(tmp_path, known=False)
    selection = Selection.of(Scene(view_of(run)), [0, 1])
    assert list(selection.clicks) == [
        "session_id", "position", "item_id", "proxy", "probability", "interest",
    ]  # fmt: skip
    assert Selection.load(selection.save(tmp_path / "x.csv")).session_ids == ["s0", "s1"]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_only_saved_selections_are_overwritten(scene: Scene, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clicks{suffix}"
    log = pd.DataFrame({"session_id": ["s1", "s2"], "item": ["a", "b"]})
    if suffix == ".csv":
        log.to_csv(path, index=False)
    elif suffix == ".json":
        log.to_json(path)
    else:
        log.to_parquet(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists and is not a saved selection; nothing was"):
        Selection.of(scene, [0]).save(path)
    assert path.read_bytes() == before
    path.unlink()
    Selection.of(scene, [0]).save(path)
    Selection.of(scene, [1, 2]).save(path)
    assert len(Selection.load(path).session_ids) == 2


def test_a_table_of_ids_leaves_in_each_kind(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text('"\'=1",session_id\n1,a\n')
    selection = Selection.load(tmp_path / "mine.csv")
    for kind in ("csv", "json", "parquet"):
        back = Selection.load(selection.save(tmp_path / f"again.{kind}"))
        assert back.session_ids == ["a"]
        assert back.clicks["=1"].tolist() == [1]
    assert (tmp_path / "again.csv").read_text().startswith("'=1,")


def test_a_run_named_by_a_number_is_the_same_run(scene: Scene, tmp_path: Path) -> None:
    selection = Selection.of(scene, [0])
    numbered = replace(selection, provenance=selection.provenance | {"run": "007"})
    assert Selection.load(numbered.save(tmp_path / "a.csv")).provenance["run"] == "007"


def test_clicks_that_are_no_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"provenance": {}, "sessions": [{"session_id": "s1", "clicks": ["sku-1"]}]}')
    with pytest.raises(ConfigError, match="the clicks of session 's1' are not objects"):
        Selection.load(path)
