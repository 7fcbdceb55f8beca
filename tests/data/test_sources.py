"""Sources on tiny files in the raw public formats, written here."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.data.bad_rows import BadRowsError
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources import SOURCES
from proxysr.data.sources.lastfm1k import ARCHIVE, PLAYS, LastFM1K
from proxysr.data.sources.online_retail import OnlineRetail
from tests.data.raw import archive, diginetica, invoices, plays, retailrocket, three_parts

ALL = PrepareConfig(min_item_count=1)


def clicks(split: SessionSplit, row: int = 0) -> list[str]:
    """Item ids of a training session."""
    names = split.items["item_id"].tolist()
    return [names[index - 1] for index in split.train[row]]


def steps(split: SessionSplit) -> dict[str, int]:
    return {row["step"]: row["interactions"] for row in split.provenance["steps"]}


def test_every_source_says_what_it_is() -> None:
    assert list(SOURCES) == [
        "events",
        "spark",
        "synthetic",
        "retailrocket",
        "diginetica",
        "lastfm1k",
        "online-retail",
        "proxysr-csv",
    ]
    for name, source in SOURCES.items():
        assert source.name == name
        assert min(map(len, (source.description, source.download_help, source.licence))) > 4


@pytest.mark.parametrize("name", sorted({*SOURCES} - {"synthetic", "spark"}))
def test_missing_files_are_named_with_where_to_get_them(name: str, tmp_path: Path) -> None:
    source = SOURCES[name]
    with pytest.raises(
        FileNotFoundError, match=r"(does not exist|is not a (file|folder))\. "
    ) as one:
        source.prepare(tmp_path / "absent")
    assert source.download_help in str(one.value)
    if name != "events":
        with pytest.raises(FileNotFoundError, match=f"{tmp_path} has no "):
            source.prepare(tmp_path)
    with pytest.raises(ConfigError, match=f"'zeal' is not a known option of format '{name}'"):
        source.prepare(tmp_path, zeal=1)


def test_retailrocket(tmp_path: Path) -> None:
    retailrocket(tmp_path)
    source = SOURCES["retailrocket"]
    split = source.prepare(tmp_path)
    assert clicks(split) == ["7", "8"]
    assert split.train.session_ids[0] == "0@2015-05-30"
    assert split.train.started_at[0] == 1_433_000_000.001
    assert steps(split)["rows that are none of the events asked for dropped"] == 24
    assert split.provenance["source"]["published"]["sessions"] == 47_705
    assert split.items.columns.tolist() == ["item_id", "count"]

    head = "timestamp,itemid,property,value\n"
    (tmp_path / "item_properties_part1.csv").write_text(
        f"{head}9,7,categoryid,50\n10,7,categoryid,51\n11,7,available,1\n3,8,categoryid,60\n"
    )
    (tmp_path / "item_properties_part2.csv").write_text(f"{head}4,8,categoryid,61\n")
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n51,5\n60,\n")
    items = source.prepare(tmp_path / "events.csv").items.set_index("item_id")
    assert items["category"].to_dict() == {"7": "51", "8": "61"}
    assert items["parent_category"]["7"] == "5"
    assert pd.isna(items["parent_category"]["8"])

    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n51,5,6\n")
    with pytest.raises(ValueError, match="category_tree.csv is damaged"):
        source.prepare(tmp_path)
    (tmp_path / "category_tree.csv").write_text("categoryid,parent\n51,5\n")
    with pytest.raises(ValueError, match="category_tree.csv has no column parentid; it has categ"):
        source.prepare(tmp_path)


def test_diginetica(tmp_path: Path) -> None:
    path = diginetica(tmp_path)
    (tmp_path / "product-categories.csv").write_text("itemId;categoryId\n1;100\n2;200\n")
    source = SOURCES["diginetica"]
    split = source.prepare(tmp_path)
    assert clicks(split) == ["1", "2", "3", "4"]
    assert split.n_users == 0
    assert split.train.started_at[0] == pd.Timestamp("2016-05-01").timestamp() + 0.005
    assert split.items.set_index("item_id")["category"]["2"] == "200"
    assert steps(split)["sessions of at least 4 clicks (round 1)"] == 40
    assert source.config.rounds == "fixpoint"

    path.write_text(path.read_text() + "7;NA;3;soon;2016-05-01\n7;NA;3;1;\n")
    with pytest.raises(BadRowsError, match=r"line 43: time '2016-05-01 \+ soon' is not a number"):
        source.prepare(path)
    assert steps(source.prepare(path, on_bad_rows="drop"))["malformed rows dropped"] == 41


def test_lastfm1k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SOURCES["lastfm1k"]
    (tmp_path / PLAYS).write_text(plays())
    split = source.prepare(tmp_path)
    assert clicks(split) == ["id-2", "Nameless", "id-1"]
    assert split.items.set_index("item_id")["title"].to_dict() == {
        "id-1": 'The "One"',
        "id-2": "Two",
        "Nameless": "Nameless",
    }
    assert split.users["user_id"].tolist() == ["user_1", "user_2"]
    assert split.train.session_ids[0] == "user_1@2008-03-01"

    (tmp_path / PLAYS).unlink()
    packed = archive(tmp_path, plays())
    with pytest.raises(ValueError, match=f"{PLAYS} is not the published file: its MD5 is"):
        source.prepare(packed)
    monkeypatch.setattr(LastFM1K, "md5", hashlib.md5(plays().encode()).hexdigest())
    assert source.prepare(tmp_path).fingerprint() == split.fingerprint()


def test_lastfm1k_archives_that_are_broken(tmp_path: Path) -> None:
    packed = archive(tmp_path, plays(), member="README.txt")
    with pytest.raises(ValueError, match=f"{ARCHIVE} holds no {PLAYS}"):
        SOURCES["lastfm1k"].prepare(packed)
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(ValueError, match=f"{ARCHIVE} cannot be unpacked"):
        SOURCES["lastfm1k"].prepare(packed)


def test_online_retail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SOURCES["online-retail"]
    invoices().to_parquet(tmp_path / "online_retail.parquet")
    split = source.prepare(tmp_path, ALL)
    assert clicks(split) == ["85123A", "71053"]
    assert split.items["title"].tolist() == ["LANTERN", "WHITE HOLDER"]
    assert split.users["user_id"].tolist() == ["17000", "17001", "17002"]
    assert split.session_info["country"].unique().tolist() == ["UK"]
    assert steps(split)["rows that are none of the events asked for dropped"] == 20
    assert split.provenance["source"]["name"] == "online_retail.parquet"

    workbook = tmp_path / "Online Retail.xlsx"
    invoices().to_excel(workbook, index=False)
    invoices().to_csv(tmp_path / "lines.csv", index=False)
    packed = tmp_path / "online+retail.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.write(workbook, workbook.name)
    assert source.prepare(tmp_path / "lines.csv", ALL).fingerprint() == split.fingerprint()
    with pytest.raises(
        ValueError, match=r"online\+retail.zip is not the published file: its SHA256"
    ):
        source.prepare(packed)
    monkeypatch.setattr(OnlineRetail, "sha256", hashlib.sha256(packed.read_bytes()).hexdigest())
    assert source.prepare(packed, ALL).fingerprint() == split.fingerprint()

    invoices().drop(columns="Country").to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="other.parquet: 'Country' is not a known column"):
        source.prepare(tmp_path / "other.parquet")
    (tmp_path / "x.json").touch()
    with pytest.raises(ValueError, match=r"x.json is empty. Get online"):
        source.prepare(tmp_path / "x.json")


def test_malformed_lines_of_online_retail_are_named(tmp_path: Path) -> None:
    source = SOURCES["online-retail"]
    frame = invoices()
    good = source.prepare(_written(frame, tmp_path / "good.csv"), ALL).fingerprint()
    text = frame.astype("str")
    text.loc[0, "Quantity"], text.loc[3, "UnitPrice"] = "six", "3,39"
    text.loc[4, "CustomerID"], text.loc[6, "InvoiceDate"] = "17k", "soon"
    text.loc[2, "Quantity"] = "six"  # postage, which is none of the events asked for
    path = _written(text, tmp_path / "lines.csv")
    with path.open("a") as file:
        file.write('536000,71053,LANTERN,6\n536000,71053,"LAN"TERN,6,2010-12-01,2.5,17000,UK\n')
    with pytest.raises(BadRowsError) as refused:
        source.prepare(path, ALL)
    said = str(refused.value)
    assert "lines.csv: 6 of 22 rows are malformed (3 × unreadable field, " in said
    assert "lines.csv, line 2: Quantity 'six' is not a number;\n" in said
    assert "lines.csv, line 5: UnitPrice '3,39' is not a number;\n" in said
    assert "lines.csv, line 6: CustomerID '17k' is not a number;\n" in said
    assert "lines.csv, line 8: time 'soon' is not an ISO 8601 date" in said
    assert "lines.csv, line 35: 4 fields instead of 8" in said
    split = source.prepare(path, ALL, on_bad_rows="drop")
    assert steps(split)["rows read"] == 35
    assert split.provenance["bad_rows"][0]["malformed"] == 6
    text[:7].to_excel(tmp_path / "lines.xlsx", index=False)
    with pytest.raises(BadRowsError, match=r"lines.xlsx, row 0: Quantity 'six' is not a number"):
        source.prepare(tmp_path / "lines.xlsx", ALL)
    american = frame.assign(InvoiceDate=frame["InvoiceDate"].dt.strftime("%m/%d/%Y %H:%M"))
    assert source.prepare(_written(american, tmp_path / "a.csv"), ALL).fingerprint() == good


def _written(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of tests clean."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server for the files of a folder ``www``."""
    (tmp_path / "www").mkdir()
    handler = partial(_Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def test_downloads(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive(tmp_path / "www", plays())
    monkeypatch.setattr(LastFM1K, "url", f"{server}/{ARCHIVE}")
    monkeypatch.setattr(LastFM1K, "md5", hashlib.md5(plays().encode()).hexdigest())
    split = SOURCES["lastfm1k"].prepare("download")
    packed.unlink()
    assert SOURCES["lastfm1k"].prepare("download").fingerprint() == split.fingerprint()

    (tmp_path / "www" / "online+retail.zip").write_bytes(b"something else")
    monkeypatch.setattr(OnlineRetail, "url", f"{server}/online+retail.zip")
    with pytest.raises(ValueError, match="does not match the known hash"):
        SOURCES["online-retail"].prepare("download")


def test_proxysr_csv(tmp_path: Path) -> None:
    three_parts(tmp_path)
    source = SOURCES["proxysr-csv"]
    split = source.prepare(tmp_path)
    assert split.items["item_id"].tolist() == ["5", "6", "7"]
    assert [split.items["item_id"][i - 1] for i in split.valid[0]] == ["5", "6"]
    assert split.users["user_id"].tolist() == ["u1", "u2"]
    assert split.train.user_index.tolist() == [-1, -1, -1]
    assert pd.isna(split.train.started_at).all()
    assert split.test.started_at.tolist() == [1463929246.0]
    assert split.provenance["source"]["parts"][0]["name"] == "my_train.csv"
    (tmp_path / "train.csv.gz").touch()
    with pytest.raises(
        ValueError, match=r"has 2 files for the train part: my_train.csv, train.csv.gz"
    ):
        source.prepare(tmp_path)


def test_own_files(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    rows = [f"{s}\t{i}\t{1_600_000_000 + 10 * s + i}" for s in range(9) for i in (1, 2)]
    path.write_text("visit\tsku\tat\n" + "\n".join(rows) + "\n")
    pd.DataFrame({"item_id": ["1", "2"], "title": ["Uno", "Due"]}).to_csv(
        tmp_path / "items.csv", index=False
    )
    names = {"item": "sku", "time": "at", "session": "visit", "user": None}
    source = SOURCES["events"]
    split = source.prepare(path, items=tmp_path / "items.csv", **names)
    assert split.items["title"].tolist() == ["Uno", "Due"]
    pd.DataFrame({"item_id": [2, 1], "price": [1.5, 2.5]}).to_parquet(tmp_path / "items.parquet")
    split = source.prepare(path, items=tmp_path / "items.parquet", **names)
    assert split.items["price"].tolist() == [2.5, 1.5]
    with pytest.raises(FileNotFoundError, match="the file of items, does not exist"):
        source.prepare(path, items="absent.csv", **names)


def test_options_replace_the_preset(tmp_path: Path) -> None:
    retailrocket(tmp_path)
    config = SOURCES["retailrocket"].config.replace(valid_fraction=0.3)
    assert len(SOURCES["retailrocket"].prepare(tmp_path, config).valid) == 4


def test_synthetic(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"n_sessions": 400, "n_items": 90, "n_users": 30}')
    source = SOURCES["synthetic"]
    split = source.prepare(settings)
    info = split.session_info.set_index("session_id")
    assert info["planted_interest"].notna().all()
    users = split.users["user_id"][split.train.user_index]
    assert users.tolist() == info.loc[split.train.session_ids, "planted_user"].tolist()
    assert split.items["title"].notna().all()
    assert split.provenance["source"]["settings"]["n_sessions"] == 400
    assert source.prepare(settings).fingerprint() == split.fingerprint()
    assert source.prepare(settings, seed=5).fingerprint() != split.fingerprint()
    null = source.prepare(settings, structure=False)
    assert not null.provenance["source"]["settings"]["structure"]
    settings.write_text('["n_sessions"]')
    with pytest.raises(ConfigError, match="settings.json holds no settings: a JSON object"):
        source.prepare(settings)
    settings.write_text('{"n_session": 9}')
    with pytest.raises(ConfigError, match="Did you mean 'n_sessions'"):
        source.prepare(settings)
    with pytest.raises(FileNotFoundError, match="is not a file. Nothing to download"):
        source.prepare(tmp_path / "absent.json")
