"""The page's script and Python agree: on files of selections, on what a state lists, on months."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.analysis.run_view import RunView
from proxysr.config import ConfigError
from proxysr.explorer.payload_interests import seconds_of
from proxysr.explorer.scene import Scene
from proxysr.explorer.selection import Selection, provenance_of
from proxysr.explorer.state import START, listed, merged
from tests.explorer.script import value_of

SPACES = [chr(code) for code in range(0xFFFF) if chr(code).isspace()]
ODD = [
    "a", "-5", "=x", "'=x", "''=x", "'@y", "'", "'quoted'", "+a", " =1+1", "'\t1", "\r1", "'\r=",
    "a\nb", "a\rb", "a\r\nb", "\n", "x,y", 'q"t', '"', '""', '"a', "  pad  ", "007", "1e5", "NA",
    "null", "é", "日本", "\x00a", "\u200b=1", "\ufeff=1", *(f"{space}=1" for space in SPACES),
    *(f"a{space}" for space in SPACES),
]  # fmt: skip


def test_odd_ids_survive_each_way_of_files(scene: Scene) -> None:
    table = pd.DataFrame({"session_id": ODD, "position": 1, "title": ODD[::-1]})
    by_python = Selection(table, provenance_of(scene)).to_bytes("csv").decode()
    by_page, read, reread = value_of(
        "[csvOf(ids.map((id) => ({ session_id: id, user: '' }))), idsOfCsv(text),"
        "idsOfCsv(csvOf(ids.map((id) => ({ session_id: id, user: id }))))]",
        ids=ODD, text=by_python,
    )  # fmt: skip
    assert Selection.from_bytes(by_page.encode(), "a.csv").session_ids == ODD
    assert Selection.from_bytes(by_python.encode(), "a.csv").session_ids == ODD
    assert read == ODD
    assert reread == ODD


def test_tables_of_others_are_read(scene: Scene) -> None:
    texts = [
        "session_id\ns3", "\n\nwhy,session_id\r\n\r\nno,s3\r\n", '"session_id","a"\r"s3",',
        "a\ns3\n", "", 'session_id\n"s3',
    ]  # fmt: skip
    assert value_of(
        "texts.map((text) => {"
        "try { return idsOfCsv(text) } catch (error) { return error.message } })",
        texts=texts,
    ) == [["s3"], ["s3"], ["s3"], None, None, "a quote is not closed."]
    files = [["A.JSON", '{"sessions": [{"session_id": "s3"}, {"session_id": "gone"}]}']]
    files += [["a.json", text] for text in ("null", '{"sessions": 3}', '{"sessions": [null]}')]
    found = value_of(
        "files.map(([name, text]) => {"
        "try { return rowsOfFile(d, name, text) } catch (error) { return error.message } })",
        scene.tree, files=files,
    )  # fmt: skip
    note = "1 of 2 are not among these sessions, such as gone."
    assert found[0] == {"rows": [3], "notes": [note]}
    assert all(message.startswith("it names no sessions") for message in found[1:])


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_python_loads_what_a_page_saves_and_a_page_what_python_saves(
    scene: Scene, tmp_path: Path, kind: str
) -> None:
    rows = [2, 5, 11]
    own = Selection.of(scene, rows)
    saved, read = value_of(
        "[selectionText(d, rows, kind), rowsOfFile(d, `a.${kind}`, text)]",
        scene.tree, rows=rows, kind=kind, text=own.to_bytes(kind).decode(),
    )  # fmt: skip
    assert read == {"rows": rows, "notes": []}
    path = tmp_path / f"saved.{kind}"
    path.write_text(saved, encoding="utf-8", newline="")
    found = Selection.load(path)
    assert found.provenance == own.provenance == provenance_of(scene)
    assert found.on_page(scene) == (rows, [])
    if kind == "json":
        names = ["session_id", "position", "item_id", "title", "proxy", "user"]
        pd.testing.assert_frame_equal(found.clicks[names], own.clicks[names], check_dtype=False)
    own.save(path)  # a page's file is a saved selection, and may be replaced
    assert Selection.load(path).session_ids == own.session_ids


def test_a_page_says_what_python_says_of_selections_from_elsewhere(scene: Scene) -> None:
    own = Selection.of(scene, [2, 5])
    origins: list[dict[str, Any]] = [
        own.provenance, {}, {"data": "else"}, {"data": "else", "run": "=b"}, {"run": "other"},
        {"run": "=b"}, {"epoch": 77}, {"run": "a,b", "epoch": 0}, {"part": "valid"},
        own.provenance | {"run": "007"}, {"data": ""},
    ]  # fmt: skip
    files = [
        (f"a.{kind}", Selection(own.clicks, origin).to_bytes(kind).decode())
        for origin in origins
        for kind in ("csv", "json")
    ]
    found = value_of("files.map(([name, text]) => rowsOfFile(d, name, text))", scene.tree,
                     files=files)  # fmt: skip
    notes = [note for answer in found for note in answer["notes"]]
    assert [answer["rows"] for answer in found] == [[2, 5]] * len(files)
    assert notes.count("The selection was saved from other data.") == 6
    assert sum("its interests differ from those of epoch" in note for note in notes) == 10
    for (name, text), answer in zip(files, found, strict=True):
        said = Selection.from_bytes(text.encode(), name).on_page(scene)
        assert said == (answer["rows"], answer["notes"])
    both = value_of("rowsOfFile(d, 'a.csv', text)", scene.tree,
                    text="session_id,data\ns3,else\ngone,else\n")  # fmt: skip
    assert len(both["notes"]) == 2


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_long_ids_leave_and_come_back_whole(view: RunView, kind: str) -> None:
    ids = view.table["session_id"].map(lambda name: "long" * 100 + name)
    users = view.table["user"].map(lambda name: name and "user" * 100 + name)
    items = view.items.assign(item_id="item" * 100 + view.items["item_id"])
    long = replace(view, table=view.table.assign(session_id=ids, user=users), items=items)
    long.__dict__["layout"] = view.layout
    scene = Scene(long)
    own = Selection.of(scene, [2, 5])
    given = {"text": own.to_bytes(kind).decode(), "kind": kind, "name": f"a.{kind}"}
    text, python, page = value_of(
        "[selectionText(d, [2, 5], kind), rowsOfFile(d, name, text),"
        "rowsOfFile(d, name, selectionText(d, [2, 5], kind))]",
        scene.tree, **given,
    )  # fmt: skip
    assert python == page == {"rows": [2, 5], "notes": []}
    back = Selection.from_bytes(text.encode(), given["name"])
    assert back.on_page(scene) == ([2, 5], [])
    for name in ("session_id", "user", "item_id") if kind == "json" else ("session_id", "user"):
        assert list(dict.fromkeys(back.clicks[name])) == list(dict.fromkeys(own.clicks[name]))


STATES: list[dict[str, Any]] = [
    {"filters": [{"by": "repeat", "low": 1}]},
    {"filters": [{"by": "repeat", "values": [0, 1]}]},
    {"filters": [{"by": "repeat", "values": []}]},
    {"filters": [{"by": "repeat", "low": None, "high": 0.5}]},
    {"filters": [{"by": "compare", "high": -1}]},
    {"filters": [{"by": "compare", "values": [0, 1, 7]}]},
    {"filters": [{"by": "rank"}]},
    {"filters": [{"by": "rank", "low": 1e300}]},
    {"filters": [{"by": "rank", "low": 10**400}]},
    {"filters": [{"by": "probability", "low": 0.3, "high": 0.9}]},
    {"filters": [{"by": "rank", "values": 0}]},
    {"filters": [{"by": ["rank"], "low": 1}]},
    {"filters": [{"by": "user", "values": [0, 99]}]},
    *({"filters": [{"by": by, "low": 0}]} for by in ("id", "path", "constructor", "column:no")),
    *(
        {"filters": [{"by": by, "values": values}], "merged": merge}
        for by in ("proxy", "half_proxy", "runner_up", "column:true_proxy", "column:taste")
        for values in ([0], [1, 2], [99], [-1], [0.5])
        for merge in (False, True)
    ),
    {"progress": "60"}, {"progress": 10**400}, {"lasso_at": None}, {"lasso_at": 60},
    {"lasso": [[0, 0], [1, 0], [0, 1]], "lasso_at": 75}, {"merged": 1}, {"toString": 1},
]  # fmt: skip


def test_a_state_lists_the_same_sessions_on_the_page_and_in_python(scene: Scene) -> None:
    sessions = scene.tree["sessions"]
    n = len(sessions["id"])
    proxies = [proxy | {"merged_into": 0 if k in (2, 4) else -1}
               for k, proxy in enumerate(scene.tree["proxies"])]  # fmt: skip
    own = {"name": "true_proxy", "kind": "number", "values": np.linspace(-1, 9, n), "labels": []}
    rival = {"title": "b", "rank": np.full(n, 5, np.float32), "by_proxy": [], "overall": {}}
    tree = scene.tree | {
        "proxies": proxies, "columns": [*scene.tree["columns"], own], "compare": rival,
        "sessions": sessions | {"rank": np.arange(n, dtype=np.float32)},
    }  # fmt: skip
    found = value_of(
        "states.map((given) => { const { state, notes } = checked(given, d);"
        "return [notes, [...listedRows(d, state).rows], chipsOf(d, state).map((c) => c.text)] })",
        tree, states=STATES,
    )  # fmt: skip
    for state, (notes, rows, chips) in zip(STATES, found, strict=True):
        try:
            expected = listed(tree, merged(START, state, tree)).tolist()
        except ConfigError:
            assert notes, f"the page takes {state}"
            continue
        assert not notes, f"the page does not take {state}"
        assert rows == expected, state
        assert not [text for text in chips if "undefined" in text or "NaN" in text], state
    texts = [chips[0] for _, _, chips in found if chips]
    assert texts[:6] == [
        "last click is a repeat", "last click is new or last click is a repeat",
        "last click is a repeat: –", "last click is new", "run A better",
        "both alike or run B better",
    ]  # fmt: skip


def test_months_and_weekdays_are_those_of_the_calendar(scene: Scene) -> None:
    months = pd.to_datetime(
        ["1900-01", "1969-12", "1970-01", "1970-02", "1997-10", "1999-12", "2000-01", "2097-10",
         "2199-12"], utc=True, format="%Y-%m",
    )  # fmt: skip
    starts = months.as_unit("us")
    times = starts.append(starts + pd.DateOffset(months=1) - pd.Timedelta(microseconds=1))
    times = times.append(starts + pd.Timedelta(days=9.3))
    seconds = np.append(seconds_of(pd.Series(times)), np.full(3, np.nan))
    tree = scene.tree | {"sessions": scene.tree["sessions"] | {"started": seconds}}
    at, weekdays, filters, labels = value_of(
        "[Array.from(d.months().at), Array.from(d.weekdays()),"
        "Array.from(d.months().at.slice(0, 9), (m) => filterOfMonth(m + d.months().first)),"
        "d.months().labels]",
        tree,
    )
    month = np.array([12 * (time.year - 1900) + time.month - 1 for time in times])
    assert at == [*month.tolist(), None, None, None]
    assert weekdays[:-3] == [time.weekday() for time in times]
    assert (labels[0], labels[month[4]], labels[-1]) == ("Jan 1900", "Oct 1997", "Dec 2199")
    for place, filter_ in zip(month[:9], filters, strict=True):
        rows = listed(tree, merged(START, {"filters": [filter_]}, tree))
        assert rows.tolist() == np.flatnonzero(month == place).tolist()
    assert value_of("monthsOf([t, t]).labels", t=float(seconds[4])) == ["Oct 97"]


def test_edits_of_a_link_fit_the_model(scene: Scene) -> None:
    edits = [{"clicks": [1], "temperature": t, "proxy": None} for t in (None, 1e-30, 0.5, 1e30)]
    others = [{"clicks": [1], "temperature": t, "proxy": None} for t in (0, -1, 1e-42, 1e300, "1")]
    others += [{"clicks": clicks, "temperature": None, "proxy": None} for clicks in ([], [0], [49])]
    notes = "edits.map((edit) => checked({ edit }, d).notes.length)"
    found = value_of(notes, scene.tree, edits=edits + others)
    assert found == [0] * len(edits) + [1] * len(others)
