"""Files of items: read by the rules of logs, and missed where they fit none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from proxysr.data import BadRowsError, PrepareConfig, SessionSplit, prepare
from proxysr.data.sources import SOURCES

LOG = "session_id,item_id,timestamp\n" + "".join(
    f"s{s},{i},2024-01-01T0{n}:00\n" for s in range(4) for n, i in enumerate(("NA", "007", "i3"))
)
DATES = pd.date_range("2024-01-01", periods=3, freq="h")
SMALL = PrepareConfig(min_item_count=1)


def prepared(folder: Path, items: str | bytes, **options: object) -> SessionSplit:
    (folder / "log.csv").write_text(LOG)
    path = folder / "items.csv"
    path.write_bytes(items if isinstance(items, bytes) else items.encode())
    return SOURCES["events"].prepare(folder / "log.csv", SMALL, items=path, **options)


def column(split: SessionSplit, name: str) -> list[object]:
    """A column of the items NA, 007 and i3; None where there is nothing."""
    values = split.items.set_index("item_id")[name]
    return [None if pd.isna(values[i]) else values[i] for i in ("NA", "007", "i3")]


def test_items_are_kept_as_they_are_written(tmp_path: Path) -> None:
    split = prepared(
        tmp_path,
        "item_id,title,shelf,parent\nNA,True,007,9007199254740993\n007,1984,1e3,\ni3,None,NaN,5\n",
    )
    assert column(split, "title") == ["True", "1984", "None"]
    assert column(split, "shelf") == ["007", "1e3", "NaN"]
    assert column(split, "parent") == ["9007199254740993", None, "5"]
    assert "remarks" not in split.provenance
    words = prepared(tmp_path, "item_id,title\nNA,-\n007,x\n", missing=["-"])
    assert column(words, "title") == [None, "x", None]
    (note,) = words.provenance["remarks"]
    assert note.startswith("2 of the 3 items are in the table of items; the others have nothing bu")


def test_titles_are_text_whatever_they_were() -> None:
    log = pd.DataFrame({"session_id": [1, 1], "item_id": [1, 2], "timestamp": [1, 2]})
    items = pd.DataFrame({"item_id": [1.0, 2.0], "title": [1984.0, None], "price": [1.5, 2.5]})
    config = SMALL.replace(valid_fraction=0, test_fraction=0)
    known = prepare(log, config, items=items).items
    assert known["title"].tolist()[:1] == ["1984"]
    assert known["title"].isna().tolist() == [False, True]
    assert known["price"].tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="The items frame has 1 rows without item_id"):
        prepare(log, config, items=items.assign(item_id=[1, None]))


def test_the_name_that_the_log_has_for_items_will_do(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG.replace("item_id", "sku"))
    (tmp_path / "items.csv").write_text("sku,title\ni3,Lamp\u00a0\n")
    split = SOURCES["events"].prepare(
        tmp_path / "log.csv", SMALL, items=tmp_path / "items.csv", item="sku"
    )
    assert column(split, "title") == [None, None, "Lamp"]


def test_a_table_that_fits_no_item_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match="None of the 3 items of the log is in the table of items, which has 1: the log has "
        "ids such as '007', the table 'I3'. Check its column item_id",
    ):
        prepared(tmp_path, "item_id,title\nI3,x\n")


def test_malformed_rows_of_items_are_named(tmp_path: Path) -> None:
    text = 'item_id,title\nNA,a\n007\n,none\ni3,"open\n'
    with pytest.raises(BadRowsError, match=r"items\.csv: 3 of 4 rows are malformed") as caught:
        prepared(tmp_path, text)
    assert [str(row.place) for row in caught.value.report.first] == ["line 3", "line 4", "line 5"]
    split = prepared(tmp_path, text, on_bad_rows="drop")
    assert column(split, "title") == ["a", None, None]
    assert any("items.csv: 3 of 4 rows" in note for note in split.provenance["remarks"])


@pytest.mark.parametrize("words", ["NA", [" NA"]])
def test_words_for_nothing_are_whole_words(tmp_path: Path, words: object) -> None:
    text = "item_id,title\n007,A\ni3,NA \n"
    split = prepared(tmp_path, text, missing=words, on_bad_rows="drop")
    assert split.items.set_index("item_id")["title"].notna().to_dict() == {"007": True, "i3": False}


def test_items_in_another_encoding(tmp_path: Path) -> None:
    text = "item_id,title\nNA,Käse\n".encode("cp1252")
    with pytest.raises(BadRowsError, match=r"items\.csv, line 2: .*\n.* look like cp1252: say so"):
        prepared(tmp_path, text)
    assert column(prepared(tmp_path, text, encoding="cp1252"), "title")[0] == "Käse"


def test_ids_that_may_mean_nothing_are_said() -> None:
    log = pd.DataFrame(
        {"session_id": ["NULL", "NULL", "s"], "item_id": ["NA", "b", "b"], "timestamp": DATES}
    )
    config = SMALL.replace(valid_fraction=0, test_fraction=0)
    remarks = prepare(log, config).provenance["remarks"]
    assert remarks == [
        "The item_id NA (1 rows) is taken as an id like any other. If it means that there is none, "
        "say so (missing=['NA'], --missing 'NA').",
        "The session_id NULL (2 rows) is taken as an id like any other. If it means that there is "
        "none, say so (missing=['NULL'], --missing 'NULL').",
    ]
    titled = prepare(log.assign(title=["null", "x", "x"]), config).provenance["remarks"]
    assert "The title null (1 rows) is taken as a title like any other." in titled[-1]
    items = pd.DataFrame({"item_id": ["NA", "b"], "title": ["Map of Namibia", "x"]})
    assert len(prepare(log, config, items=items).provenance["remarks"]) == 1


def test_accents_in_two_ways_are_said() -> None:
    log = pd.DataFrame(
        {"session_id": 1, "item_id": ["caf\u00e9", "cafe\u0301", "a"], "timestamp": DATES}
    )
    split = prepare(log, SMALL.replace(valid_fraction=0, test_fraction=0))
    assert split.n_items == 3
    (remark,) = split.provenance["remarks"]
    assert r"The items 'cafe\u0301' and 'caf\xe9' look alike" in remark


def test_a_long_id_costs_its_own_size_only(tmp_path: Path) -> None:
    ids = [f"s{n}" for n in range(400)]
    ids[200] = "x" * 50_000
    log = pd.DataFrame(
        {
            "session_id": [name for name in ids for _ in range(2)],
            "item_id": ["A", "B"] * 400,
            "timestamp": range(800),
        }
    )
    split = prepare(log, SMALL)
    folder = split.save(tmp_path / "data")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 300_000
    loaded = SessionSplit.load(folder)
    for name in ("train", "valid", "test"):
        assert loaded.part(name).session_ids.tolist() == split.part(name).session_ids.tolist()
    assert loaded.fingerprint() == split.fingerprint()
    loaded.save(folder)  # a split of this kind may be replaced
    (folder / "train" / "session_ids.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"session_ids\.parquet is missing or damaged"):
        SessionSplit.load(folder)
