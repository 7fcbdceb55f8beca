"""Atomic files and folders: each is written under a temporary name beside its own, then renamed.

The content is flushed to disk before the rename. The next process that writes to the same place
removes what a killed process left there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from proxysr.disk import WriteError, existing_parent, explained
from proxysr.processes import remove, sweep, temporary_name

if TYPE_CHECKING:
    import pandas as pd

DEEPEST = 20
"""Deepest nesting of values in a YAML file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; on success it takes the place of ``path``.

    Works for a file and for a folder. On an exception, the temporary is removed and ``path``
    stays as it was. At every moment, ``path`` is either the old or the new content.

    Raises
    ------
    WriteError
        If the disk is full, or nothing can be written there.
    """
    with _writing(path) as (temporary, path):
        yield temporary
        flush(temporary)
        _put(temporary, path)


@contextmanager
def claiming(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``path``, unless ``path`` exists by then.

    If several processes start together, only one gets the folder. An empty folder counts as absent.

    Raises
    ------
    FileExistsError
        If ``path`` holds something at the end; the temporary folder is removed.
    WriteError
        If the disk is full, or nothing can be written there.
    """
    with _writing(path) as (temporary, path):
        temporary.mkdir()
        yield temporary
        flush(temporary)
        try:
            if path.is_dir():
                path.rmdir()  # some systems rename to what is absent only
            temporary.rename(path)
        except OSError as error:
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise FileExistsError(f"{path} is not empty; nothing was overwritten.") from error
            raise


@contextmanager
def _writing(path: Path) -> Iterator[tuple[Path, Path]]:
    """A temporary path and the real path that it will replace; explains disk errors."""
    path = Path(os.path.realpath(path))  # what a link points at is replaced, not the link
    temporary = temporary_name(path, "tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        yield temporary, path
        _flush_folder(path.parent)
    except Exception as error:
        write_error = explained(error, path, temporary)
        if write_error is None:
            raise
        raise write_error from error
    finally:
        remove(temporary)


def _put(temporary: Path, path: Path) -> None:
    """Rename ``temporary`` to ``path``; an old folder may be left under the temporary name."""
    check_kind(path, "folder" if temporary.is_dir() else "file")
    if not (temporary.is_dir() and path.is_dir()):
        os.replace(temporary, path)
        return
    if exchanged(temporary, path):
        return
    old = temporary_name(path, "old")  # if this process ends here, the next one puts it back
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise
    remove(old)


def exchanged(first: Path, second: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system cannot."""
    import ctypes

    if os.name != "posix":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names, exchange, folder = (os.fsencode(first), os.fsencode(second)), 2, -100  # AT_FDCWD
    if hasattr(library, "renameat2"):  # Linux
        failed = library.renameat2(folder, names[0], folder, names[1], exchange)
    elif hasattr(library, "renamex_np"):  # macOS
        failed = library.renamex_np(*names, exchange)
    else:
        return False
    return not failed


def flush(path: Path) -> None:
    """Flush a file, or a folder and everything in it, to disk."""
    if path.is_dir():
        for file in sorted(path.iterdir()):
            flush(file)
        _flush_folder(path)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(path: Path) -> None:
    """Flush the names in a folder to disk, where the system can do that."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def check_kind(path: Path, kind: Literal["file", "folder"]) -> None:
    """Raise ``OSError`` if a folder is where a file is to be, or the other way round."""
    if path.is_dir() if kind == "file" else path.exists() and not path.is_dir():
        other = "folder" if kind == "file" else "file"
        raise WriteError(f"{path} is a {other}; nothing was written. Name a {kind}.")


def check_writable(path: Path, kind: Literal["file", "folder"] | None = None) -> None:
    """Raise ``OSError`` unless something new can be written at ``path``; nothing is left there.

    With ``kind``, also if what is there is of the other kind.
    """
    if kind is not None:
        check_kind(path, kind)
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise WriteError(
            f"{path} cannot be written: its name is not UTF-8 text. Name another place."
        ) from None
    near = existing_parent(path)
    try:
        with suppress(FileNotFoundError):
            path.stat()  # fails for links that lead in a circle
        with tempfile.TemporaryDirectory(prefix=".proxysr-", dir=near):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(
            f"{path} cannot be written: {near} takes no new folder ({reason}). Name another place."
        ) from None


def check_own(path: Path, mark: str, what: str, other: str = "file") -> None:
    """Check that writing to ``path`` replaces nothing but an earlier file of the same kind.

    Parameters
    ----------
    path : Path
    mark : str
        Text that a line of every such file has.
    what : str
        What such a file is called, for the message.
    other : {"file", "folder"}
        What to name instead.

    Raises
    ------
    ValueError
        If another file is there.
    OSError
        If a folder is.
    """
    check_kind(path, "file")
    if not path.is_file() or not path.stat().st_size:
        return  # nothing is lost
    with path.open("rb") as file:
        is_own = any(mark.encode() in line for line in file)
    if not is_own:
        raise ValueError(
            f"{path} exists and is not {what}; nothing was overwritten. Name another {other}."
        )


def hash_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON (NaN is refused), atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; one that is damaged, or has a name twice, is named in the error."""
    names: list[list[str]] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names.append([name for name, _ in pairs])
        return dict(pairs)

    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=mapping)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it is not valid JSON ({error}).") from None
    _check_unique(path, names)
    return value


def _check_unique(path: Path, names: Iterable[Sequence[str]]) -> None:
    """Raise ``ValueError`` if one of the mappings, of which these are the names, has one twice."""
    twice = {name for some in names for name, n in Counter(some).items() if n > 1}
    if twice:
        raise ValueError(
            f"{path} names {', '.join(sorted(twice))} twice in one place; one would be lost."
        )


def read_object(path: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    """Read a JSON object that has ``keys`` with values of these types; else name file and key."""
    return checked(read_json(path), keys, path)


def checked(value: Any, keys: Mapping[str, type], path: Path) -> dict[str, Any]:
    """``value`` (read from ``path``), after checking that it is an object with these keys.

    Raises
    ------
    ValueError
        If it is not an object, lacks a key, or a value has another type.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object.")
    for key, kind in keys.items():
        if key not in value:
            raise ValueError(f"{path} is damaged: it has no {key!r}.")
        if not isinstance(value[key], kind) or (kind is int and isinstance(value[key], bool)):
            other = type(value[key]).__name__
            raise ValueError(f"{path} is damaged: {key!r} is a {kind.__name__}, not a {other}.")
    return value


def read_yaml(path: Path) -> Any:
    """Read a YAML file, or JSON, which is YAML, too.

    Raises
    ------
    ValueError
        If it is neither, has a name twice in one place, or has aliases: a few lines of them can
        stand for more than memory holds.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases, *NAME; write the values themselves")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"values lie in one another more than {DEEPEST} deep")
        value, names = yaml.safe_load(text), list(_names(yaml.compose(text)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is neither YAML nor JSON ({error}).") from None
    _check_unique(path, names)
    return value


def _names(node: Any) -> Iterator[list[str]]:
    """The names of each mapping of a YAML document."""
    if node is None or node.id == "scalar":
        return
    if node.id == "mapping":
        yield [str(key.value) for key, _ in node.value]
    for child in node.value:
        yield from _names(child[1] if node.id == "mapping" else child)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table of a run or a split; ``ValueError`` if a column holds values of several types.

    The file is opened here, as pyarrow takes no path that is not UTF-8.
    """
    import pyarrow as pa

    try:
        with path.open("wb") as file:
            frame.to_parquet(file, index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        reason = ": ".join(map(str, reversed(error.args))).rstrip(".")
        raise ValueError(
            f"The table of {path.stem} cannot be written. {reason}. Give each of its columns "
            "values of one type, such as text."
        ) from None


def read_parquet(path: Path, *required: str, expected_hash: str | None = None) -> pd.DataFrame:
    """Read a table of a run or a split.

    Parameters
    ----------
    path : Path
    *required : str
        Columns that it must have.
    expected_hash : str, optional
        SHA-256 of the file as it was written, if known.

    Raises
    ------
    ValueError
        If it is missing or damaged, lacks a column, or has another hash.
    """
    import pyarrow.parquet as pq  # so that commands that read none start without it

    try:
        if expected_hash is not None and hash_of_file(path) != expected_hash:
            raise ValueError("it is not the file that was written with what lies beside it")
        # from a handle, because pyarrow takes key=value in a folder's name for a column
        with path.open("rb") as file:
            table: pd.DataFrame = pq.ParquetFile(file).read().to_pandas()
        if missing := [name for name in required if name not in table]:
            raise ValueError(f"it has no column {missing[0]!r}")
    except Exception as error:  # readers raise all kinds of errors for damaged files
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is missing or damaged ({reason}).") from None
    return table
