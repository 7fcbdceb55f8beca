"""Detects from a file's content: Parquet or text, compression, and encoding."""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

from proxysr.config import ConfigError

COMPRESSED = {
    rb"\x1f\x8b": "gzip",
    rb"\x28\xb5\x2f\xfd": "zstd",
    rb"BZh[1-9]1AY&SY": "bz2",
    rb"\xfd7zXZ\x00": "xz",
}
"""First bytes of compressed files."""
OTHERS = {
    rb"PK\x03\x04": "a zip archive or a workbook. Unpack it, or save the sheet as CSV UTF-8",
    rb"\xd0\xcf\x11\xe0": "an old workbook. Save the sheet as CSV UTF-8",
    rb'(\{\s*("|\}|\Z)|\[\s*[\[{"\]])': (
        "JSON. Make a CSV or Parquet file of it, such as by pandas.read_json"
    ),
    rb"Obj\x01": "Avro. Make a CSV or Parquet file of it",
    rb"ARROW1": "Arrow IPC. Hand in pyarrow.feather.read_table(…), or make a Parquet file of it",
    rb"SQLite format 3": "a SQLite database. Write the table as CSV",
    rb"%PDF": "a PDF",
}
"""First bytes of files of unsupported kinds, with advice."""
BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SCRIPTS = {
    "shift_jis": "[\u3040-\u30ff]",
    "euc_jp": "[\u3040-\u30ff]",
    "euc_kr": "[\uac00-\ud7a3]",
    "gb18030": "[\u4e00-\u9fa5\uff0c\u3002\u3001]",
    "big5": "[\u4e00-\u9fa5\uff0c\u3002\u3001]",
    "cp1251": "[\u0430-\u044f]",
    "cp1253": "[\u03ac-\u03ce]",
}
"""Typical non-ASCII letters of texts in an encoding."""
SAMPLE = 2**16


def kind_of(path: Path) -> Literal["parquet", "text"]:
    """Whether a file is Parquet or text, by its first bytes.

    Raises
    ------
    ValueError
        If it is neither, or not a file.
    """
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not a file"
        raise ValueError(f"{path} {problem}. Name a CSV, TSV or Parquet file.")
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    head = beginning(path).lstrip(b"\xef\xbb\xbf").lstrip()
    for mark, kind in OTHERS.items():
        if re.match(mark, head):
            ending = f"its name ends in {path.suffix!r}, and it is {kind}"
            raise ValueError(f"{path} is of no kind that can be read: {ending}.")
    return "text"


def compression_of(path: Path) -> str | None:
    """How a file is compressed: "gzip", "zstd", "bz2", "xz", or None."""
    with path.open("rb") as file:
        head = file.read(10)
    return next((name for mark, name in COMPRESSED.items() if re.match(mark, head)), None)


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, or of what is compressed in it.

    Raises
    ------
    ValueError
        If the file is damaged, or the disk full; says which.
    """
    import pyarrow as pa

    kind = compression_of(path)
    try:
        if kind == "zstd":
            with pa.OSFile(str(path)) as raw, pa.CompressedInputStream(raw, "zstd") as stream:
                yield cast("IO[bytes]", stream)
        else:
            openers: dict[Any, Any] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
            with openers.get(kind, open)(path, "rb") as file:
                yield file
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowException) as error:
        raise damaged(path, error) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ValueError(
                f"The disk of the temporary folder is full. {path} is unpacked there; name a "
                "folder with more space in the environment variable TMPDIR."
            ) from None
        if error.errno is None:  # not of the system: a decoder's
            raise damaged(path, error) from None
        raise


def damaged(path: Path, error: Exception) -> ValueError:
    """The error about a file that breaks off, or is not what its beginning says."""
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return ValueError(f"{path} cannot be read to its end: {reason}. It is damaged; get it again.")


def beginning(path: Path, size: int = SAMPLE) -> bytes:
    """The first bytes of a file, unpacked; what comes before a damaged place."""
    content = b""
    try:
        with unpacked(path) as file:
            while len(content) < size and (more := file.read(size - len(content))):
                content += more
    except ValueError:
        if not content:
            raise
    return content


def as_utf8(path: Path, encoding: str | None, folder: Path) -> Path:
    """A file of UTF-8 text: ``path`` itself, or what is in it, written to ``folder``.

    Bytes that are no text stay as they are, so that they are no UTF-8 either.

    Raises
    ------
    ValueError
        If the text begins with what is not of this encoding; names the likely one.
    ConfigError
        If there is no such encoding.
    """
    name = encoding_of(encoding)
    sample = beginning(path)
    first_line = sample.lstrip(b"\r\n").partition(b"\n")[0]
    likely = likely_encoding(sample)
    if name == "utf-8" and (likely.startswith(("utf-16", "utf-32")) or b"\0" in first_line):
        if b"\0" in first_line and not likely.startswith("utf-"):
            raise ValueError(f"{path} is of no kind that can be read: it is not text.")
        raise wrong_encoding(path, name, likely)
    try:
        first_line.decode(name) if name == "utf-8" else sample[:4].decode(name, "ignore")
    except UnicodeDecodeError:
        raise wrong_encoding(path, name, likely) from None
    if name == "utf-8" and compression_of(path) is None:
        return path
    target = folder / f"text-{len(list(folder.iterdir()))}.csv"
    with unpacked(path) as file, target.open("wb") as out:
        if name == "utf-8":
            while chunk := file.read(2**22):
                out.write(chunk)
        else:
            _transcode(path, name, file, out)
    return target


def _transcode(path: Path, name: str, file: IO[bytes], out: IO[bytes]) -> None:
    decoder = codecs.getincrementaldecoder(name)("surrogateescape")
    first = True
    while True:
        chunk = file.read(2**22)
        try:
            text = decoder.decode(chunk, not chunk)
        except UnicodeError as error:
            raise ValueError(f"{path} is not {name} text ({error}).") from None
        out.write(
            (text.removeprefix("\ufeff") if first else text).encode("utf-8", "surrogateescape")
        )
        first = first and not text
        if not chunk:
            return


def encoding_of(name: str | None) -> str:
    """The name of a text encoding as Python has it; UTF-8 by default."""
    try:
        info = codecs.lookup(name or "utf-8")
    except (LookupError, ValueError):
        info = None
    if info is None or not info._is_text_encoding:
        raise ConfigError(
            f"{name!r} is no known encoding. Name one such as utf-8, cp1252 (Western Windows), "
            "latin-1, utf-16, shift_jis or gb18030."
        )
    return "utf-8" if info.name in ("utf-8-sig", "ascii") else info.name


def likely_encoding(sample: bytes) -> str:
    """The encoding that a text is most likely in, from its beginning."""
    for mark, name in BOMS.items():
        if sample.startswith(mark):
            return name
    zeros = [sample[start::2].count(0) for start in (0, 1)]
    if max(zeros) > len(sample) / 5 and min(zeros) < len(sample) / 50:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    foreign = re.findall(rb"[\x80-\xff]+", sample)
    if sum(map(len, foreign)) < 2.5 * len(foreign):
        return "cp1252"  # single letters between ASCII ones: accents
    shares = {}
    for name, letters in SCRIPTS.items():
        text = codecs.getincrementaldecoder(name)("replace").decode(sample)
        others = sum(letter > "\x7f" for letter in text)
        shares[name] = len(re.findall(letters, text)) / max(1, others)
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.5 else "cp1252"


def wrong_encoding(path: Path, name: str, likely: str) -> ValueError:
    """The error about text in another encoding than the one said."""
    return ValueError(
        f"{path} is not {name.upper()} text; it looks like {likely}. Say so "
        f"(encoding={likely!r}, --encoding {likely}), or save it as UTF-8 (in a spreadsheet: "
        "CSV UTF-8)."
    )


def hint(path: Path) -> str:
    """What encoding the lines are in that are no UTF-8."""
    sample = b""
    with path.open("rb") as file:
        for line in file:
            if len(sample) < 2**22 and not is_utf8(line.decode("utf-8", "surrogateescape")):
                sample += line
    likely = likely_encoding(sample)
    return (
        f"These lines look like {likely}: say so (encoding={likely!r}, --encoding {likely}), or "
        "save the file as UTF-8."
    )


def open_utf8(path: Path) -> IO[str]:
    """A file of UTF-8 text; bytes that are none become surrogates."""
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def is_utf8(text: str) -> bool:
    """Whether a text of :func:`open_utf8` has no bytes that are none."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
