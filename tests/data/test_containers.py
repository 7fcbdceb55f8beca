"""What a file is, by its content: compression, encoding, and messages about other kinds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from proxysr.config import ConfigError
from proxysr.data import BadRowsError, read_events
from proxysr.data.containers import likely_encoding

TEXT = "session_id,item_id,timestamp\n" + "".join(f"s,i{n},{n}\n" for n in range(500))


def zstd_of(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


PACKED = {
    "gzip": gzip.compress(TEXT.encode()),
    "two members": gzip.compress(TEXT[:99].encode()) + gzip.compress(TEXT[99:].encode()),
    "padded": gzip.compress(TEXT.encode()) + bytes(512),
    "zstd": zstd_of(TEXT.encode()),
    "bz2": bz2.compress(TEXT.encode()),
    "xz": lzma.compress(TEXT.encode()),
}


@pytest.mark.parametrize("how", PACKED)
def test_compressed_files_are_known_by_content(tmp_path: Path, how: str) -> None:
    path = tmp_path / ("log" if how == "gzip" else "log.csv")
    path.write_bytes(PACKED[how])
    assert len(read_events(path)) == 500
    if how != "padded":
        path.write_bytes(PACKED[how][: len(PACKED[how]) // 2])
        with pytest.raises(ValueError, match=r"cannot be read to its end: .*It is damaged; get it"):
            read_events(path)


def test_parquet_is_known_by_content(tmp_path: Path) -> None:
    log = pd.read_csv(io.StringIO(TEXT))
    log.to_parquet(tmp_path / "log.csv")
    assert len(read_events(tmp_path / "log.csv")) == 500


def test_other_kinds_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("log.csv", TEXT)
    with pytest.raises(ValueError, match="of no kind that can be read.* a zip archive or a workbo"):
        read_events(path)
    for text in ('[{"item_id": 1}]', '{"a": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="it is JSON. Make a CSV or Parquet file of it"):
            read_events(path)
    path.write_bytes(b"SQLite format 3\0")
    with pytest.raises(ValueError, match="it is a SQLite database"):
        read_events(path)
    path.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(ValueError, match="of no kind that can be read: it is not text"):
        read_events(path)
    with pytest.raises(ValueError, match="is a folder. Name a CSV, TSV or Parquet file"):
        read_events(tmp_path)


NAMES = {
    "cp1252": "Crêpe suzette, Käse für £5",
    "cp1251": "Чайник синий большой",
    "shift_jis": "あおい とけい と くつ",
    "gb18030": "蓝色的大茶壶和杯子",
    "euc_kr": "파란색 주전자와 컵",
    "utf-16": "Käse",
    "utf-16-le": "Käse",
    "utf-16-be": "Käse",
}


@pytest.mark.parametrize("encoding", NAMES)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "log.csv"
    text = f'session_id,item_id,timestamp,title\ns,a,1,x\ns,b,2,"{NAMES[encoding]}"\n'
    path.write_bytes(text.encode(encoding))
    assert read_events(path, encoding=encoding)["title"].tolist() == ["x", NAMES[encoding]]
    if encoding.startswith("utf-16"):
        with pytest.raises(ValueError, match=rf"log\.csv is not UTF-8 .* like {encoding}\. Say so"):
            read_events(path)
    else:
        with pytest.raises(BadRowsError, match=r"line 3: bytes that are no UTF-8 text") as caught:
            read_events(path)
        assert f"look like {encoding}: say so (encoding={encoding!r}" in str(caught.value)
    if encoding in ("cp1252", "utf-16"):
        path.write_bytes(gzip.compress(text.encode(encoding)))
        assert len(read_events(path, encoding=encoding)) == 2


def test_what_is_not_in_the_encoding_said(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"session_id,item_id,timestamp\ns,a,1\ns,\x81\xff,2\n")
    with pytest.raises(BadRowsError, match=r"line 3: bytes that are no SHIFT_JIS text"):
        read_events(path, encoding="shift_jis")
    for name in ("klingon", "rot13", "base64"):
        with pytest.raises(ConfigError, match=rf"'{name}' is no known encoding. Name one such as"):
            read_events(path, encoding=name)


def test_a_guess_needs_little_text() -> None:
    assert likely_encoding(b"plain") == likely_encoding("Käse".encode()) == "utf-8"
    assert likely_encoding("Größe".encode("cp1252")) == "cp1252"
    assert likely_encoding("ä".encode()[:1]) == "utf-8"  # cut in the middle of a letter


@pytest.mark.parametrize(
    "name", ["a[1].csv", "*.csv", "q?.csv", "x=1/log.csv", "back\\slash.csv", "it's.csv", "~.csv"]
)
def test_a_path_names_one_file(tmp_path: Path, name: str) -> None:
    for other in ("a1.csv", "qq.csv", "log.csv"):
        (tmp_path / other).write_text("session_id,item_id,timestamp\ns,wrong,1\n")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    log = pd.DataFrame({"session_id": "s", "item_id": ["right", "too"], "timestamp": [1, 2]})
    log.to_csv(path, index=False)
    assert read_events(path)["item_id"].tolist() == ["right", "too"]
    if name in ("*.csv", "back\\slash.csv"):
        log.to_parquet(path)
        assert read_events(path)["item_id"].tolist() == ["right", "too"]
