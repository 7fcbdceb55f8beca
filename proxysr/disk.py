"""Errors of writing to disk, explained: what, why, how much, and what to do."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from pathlib import Path

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "your share of the disk is used up",
        errno.EFBIG: "files may not be that large here"}  # fmt: skip
CLOSED = {errno.EACCES: "not permitted", errno.EPERM: "not permitted",
          errno.EROFS: "it can only be read"}  # fmt: skip
OTHER = {errno.EIO: "the disk reports an error", errno.EBUSY: "something is mounted there",
         errno.EXDEV: "something is mounted there", errno.ENAMETOOLONG: "its name is too long",
         errno.ENOTDIR: "a part of its path is no folder"}  # fmt: skip
MESSAGES = {
    errno.ENOSPC: r"no space left|os error 28\b|\d+ requested and \d+ written",
    errno.EDQUOT: r"disk quota exceeded|os error 122\b",
    errno.EFBIG: r"file too large|os error 27\b",
    errno.EIO: r"input/output error|os error 5\b",
}
"""Messages by error number, for libraries that lose the number."""


class WriteError(OSError):
    """Something could not be written; the message says what, why, how much, and what to do."""


def explained(error: Exception, path: Path, temporary: Path | None = None) -> WriteError | None:
    """The error to raise for an error while writing ``path``; None if it has another cause."""
    number = _number_of(error)
    reason = (FULL | CLOSED | OTHER).get(number or 0)
    if reason is None:
        return None
    name = getattr(error, "filename", None)
    written_to = (str(path.parent), str(temporary))
    if name is not None and number not in FULL and not str(name).startswith(written_to):
        return None  # the error is about a file that was read
    amounts, advice = "", "Name another place, or change who may write there."
    if number in FULL:
        written = _size_of(temporary) if temporary is not None else 0
        amounts = f" ({_readable_size(written)} of it were written, {_free(path)})"
        advice = "Free some space or name another place, then run the same command again."
    elif number in OTHER:
        advice = "Name another place."
    write_error = WriteError(
        f"{path} cannot be written: {reason}{amounts}. What was there before is as it was. {advice}"
    )
    write_error.errno = number
    return write_error


def no_room(error: Exception) -> WriteError | None:
    """The error to raise if a database's folder for temporary files is full; else None."""
    if _number_of(error) not in FULL and "failed to offload data block" not in str(error):
        return None
    place = tempfile.gettempdir()
    return WriteError(
        f"{place}, the folder for temporary files, has no room for this log, which needs about its "
        f"own size there ({_free(Path(place, 'log'))}). Free some space, or name another place "
        "with TMPDIR, then run the same command again."
    )


def _number_of(error: Exception) -> int | None:
    """The system's number of an error; from its message if a library has lost the number."""
    if isinstance(number := getattr(error, "errno", None), int):
        return number
    for number, words in MESSAGES.items():
        if re.search(words, str(error), re.IGNORECASE):
            return number
    return None


def _size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _free(path: Path) -> str:
    folder = existing_parent(path)
    return f"{_readable_size(shutil.disk_usage(folder).free)} are free in {folder}"


def existing_parent(path: Path) -> Path:
    """The nearest folder above ``path`` that exists."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def _readable_size(n: float) -> str:
    """A number of bytes as text: 0 bytes, 12.5 kB, 3.1 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
