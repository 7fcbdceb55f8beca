"""Locks that tell who holds them, and end with the process that holds them, however that ends."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from proxysr.files import WriteError, explained


class Holder(NamedTuple):
    """Who holds a lock, or held it and ended without letting go."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def locked(path: Path, busy: str, wait: float = 0.0) -> Iterator[Holder | None]:
    """Hold the lock file ``path``; gives who held it before and ended without letting go, if any.

    Raises
    ------
    ValueError
        With the message ``busy`` and who holds it, if another does so after ``wait`` seconds.
    WriteError
        If the file cannot be made or locked.
    """
    path = Path(os.path.realpath(path))
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        holder = _read(path)
        raise ValueError(busy if holder is None else f"{busy} It is held by {holder}.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        told = explained(error, path) or WriteError(f"{path} cannot be locked: {reason}.")
        raise told from None
    try:
        left = _read(path)
        _write(path, Holder(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S")))
        yield left
    finally:
        _write(path, None)  # who is killed does not come here
        lock.release()


def _read(path: Path) -> Holder | None:
    try:
        pid, host, since = json.loads(path.read_text(encoding="utf-8"))
        return Holder(int(pid), str(host), str(since))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, holder: Holder | None) -> None:
    """Note it in the file that is locked; on a full disk, the lock holds without."""
    try:
        path.write_text("" if holder is None else json.dumps(holder), encoding="utf-8")
    except OSError:
        return
