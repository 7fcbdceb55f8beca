"""Files that are whole or absent: everything is written beside its name, then renamed.

Where several processes could write the same, a new folder is claimed, or a lock is held.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; on success it takes the place of ``path``.

    Works for a file and for a folder. On an exception the temporary is removed
    and whatever was at ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise ``OSError`` unless something new can be written at ``path``; nothing is left there."""
    near = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".proxysr-", dir=near):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{path} cannot be written: {near} takes no new folder ({reason}). Name another place."
        ) from None


@contextmanager
def claiming(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``path``, unless something lies there by then.

    Of several processes that start together one gets the folder; an empty one counts as absent.

    Raises
    ------
    FileExistsError
        If ``path`` holds something at the end; the temporary folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        try:
            if path.is_dir():
                path.rmdir()  # some systems rename to what is absent only
            temporary.rename(path)
        except OSError as error:
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise FileExistsError(f"{path} is not empty; nothing was overwritten.") from error
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(path: Path, busy: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path``, which ends with the process that holds it, however that ends.

    Raises
    ------
    ValueError
        With the message ``busy``, if another still holds it after ``wait`` seconds.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise ValueError(busy) from None
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON (NaN is refused), atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is named in the error."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: it is not valid JSON ({error}).") from None


def read_object(path: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    """Read a JSON object that has ``keys`` with values of these types; else name file and key."""
    return checked(read_json(path), keys, path)


def checked(value: Any, keys: Mapping[str, type], path: Path) -> dict[str, Any]:
    """``value``, read from ``path``, if it is an object that has ``keys`` of these types."""
    if not isinstance(value, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object.")
    for key, kind in keys.items():
        if key not in value:
            raise ValueError(f"{path} is damaged: it has no {key!r}.")
        if not isinstance(value[key], kind):
            found = type(value[key]).__name__
            raise ValueError(f"{path} is damaged: {key!r} is a {kind.__name__}, not a {found}.")
    return value


def read_parquet(path: Path) -> pd.DataFrame:
    """A table of a run's folder.

    Raises
    ------
    ValueError
        If it is missing or damaged.
    """
    import pandas as pd  # so that commands that read none start without it

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None
