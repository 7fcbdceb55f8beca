"""Temporary files and locks that name their process, and an orderly end on SIGTERM.

The name ``.report.html.1f0c2ab3-4711-9e8d7c6b.tmp`` has the target, the host and the process, so
that the files of a killed process can be removed. A lock ends with the process that holds it.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from filelock import FileLock, Timeout

from proxysr.disk import WriteError, explained

LONGEST = 40  # characters of the target's name in a temporary name; disks limit the whole
DAY = 86_400.0
NAME = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\w{8}(\.(?P<kind>tmp|old))?")
SCRATCH = "proxysr-"
EXIT_CODE = 143
"""Exit code of a process that ended on SIGTERM, as in shells."""


def host() -> str:
    """A hash of this host's name: eight hexadecimal digits."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def is_alive(pid: int) -> bool:
    """Whether a process with this number runs on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


# -- temporary files -------------------------------------------------------------------------------


def temporary_name(path: Path, kind: str) -> Path:
    """A temporary name of this process beside ``path``; ``kind`` is "tmp" or "old"."""
    owner = f"{host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{path.name[:LONGEST]}.{owner}.{kind}")


def sweep(path: Path) -> None:
    """Remove temporary files of ended processes beside ``path``."""
    put_back(path)
    for leftover, kind in _leftovers(path):
        if kind == "tmp" or path.exists():
            remove(leftover)


def sweep_folder(folder: Path) -> None:
    """Remove temporary files of ended processes in a folder and below."""
    for leftover in [*folder.rglob(".*.tmp")]:
        if _is_abandoned(leftover, ".".join(leftover.name.rsplit(".", 2)[1:])):
            remove(leftover)


def put_back(path: Path) -> None:
    """Rename an old folder back if the process that was replacing it ended in between."""
    if not path.exists():
        for leftover, kind in _leftovers(path):
            if kind == "old":
                leftover.rename(path)
                return


def remove(path: Path) -> None:
    """Remove a temporary file or folder if it exists; failures are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def scratch_folder() -> Path:
    """A new folder that is removed when this process ends; folders of dead processes are removed.

    It is in the folder named by ``TMPDIR``. Its name is short because paths of sockets are limited.
    """
    for leftover in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        if _is_abandoned(leftover, leftover.name.removeprefix(SCRATCH)) and leftover.is_dir():
            remove(leftover)
    folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{host()}-{os.getpid()}-"))
    atexit.register(remove, folder)
    return folder


def _leftovers(path: Path) -> Iterator[tuple[Path, str]]:
    """Abandoned files and folders beside ``path``, each with its kind."""
    start = f".{path.name[:LONGEST]}."
    try:
        names = os.listdir(path.parent)
    except OSError:  # there is no such folder, or its names are not for us
        return
    for name in names:
        if name.startswith(start) and name.endswith((".tmp", ".old")):
            leftover = path.with_name(name)
            if _is_abandoned(leftover, name.removeprefix(start)):
                yield leftover, name[-3:]


def _is_abandoned(path: Path, name: str) -> bool:
    """Whether its process has ended, or it has not changed for a day."""
    match = NAME.fullmatch(name)
    if match is None:
        return False
    if match["host"] == host() and not is_alive(int(match["pid"])):
        return True
    try:
        return time.time() - path.lstat().st_mtime > DAY
    except OSError:
        return False


# -- locks -----------------------------------------------------------------------------------------


class Holder(NamedTuple):
    """The process that holds a lock, or that ended without releasing it."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def locked(path: Path, busy: str, wait: float = 0.0) -> Iterator[Holder | None]:
    """Hold the lock file ``path``; yields the earlier holder that ended without releasing it.

    Raises
    ------
    ValueError
        With the message ``busy`` and the holder, if the lock is not free after ``wait`` seconds.
    WriteError
        If the file cannot be made or locked.
    """
    path = Path(os.path.realpath(path))
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        holder = _read_holder(path)
        raise ValueError(busy if holder is None else f"{busy} It is held by {holder}.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise (
            explained(error, path) or WriteError(f"{path} cannot be locked: {reason}.")
        ) from None
    try:
        interrupted = _read_holder(path)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        _note_holder(path, json.dumps([os.getpid(), socket.gethostname(), since]))
        yield interrupted
    finally:
        _note_holder(path, "")  # a killed process does not get here
        lock.release()


def _read_holder(path: Path) -> Holder | None:
    try:
        pid, host, since = json.loads(path.read_text(encoding="utf-8"))
        return Holder(int(pid), str(host), str(since))
    except (OSError, ValueError, TypeError):
        return None


def _note_holder(path: Path, text: str) -> None:
    """Write the holder to the lock file; on a full disk, the lock works without."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError:
        return


# -- the end of a process --------------------------------------------------------------------------


class Terminated(SystemExit):
    """The process received SIGTERM."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread when SIGTERM comes; once.

    So SIGTERM ends a process as Ctrl-C does: workers are ended and temporary files removed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # cleaning up may take a while
        raise Terminated

    earlier = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def end_with_parent() -> None:
    """From now on, end this process soon after its parent process ends."""
    parent = os.getppid()
    parent_process = multiprocessing.parent_process()

    def watch() -> None:
        while os.getppid() == parent and (parent_process is None or parent_process.is_alive()):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)  # time for the main thread to clean up
        os._exit(EXIT_CODE)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
