"""Temporary files and folders that say whose they are, so that those of the dead can be removed.

The name ``.report.html.1f0c2ab3-4711-9e8d7c6b.tmp`` tells what is being written, on which host and
by which process.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

LONGEST = 40  # characters of a name that are kept: with the rest, the most that disks allow
DAY = 86_400.0
NAME = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\w{8}(\.(?P<kind>tmp|old))?")
SCRATCH = "proxysr-"


def host() -> str:
    """The name of this host, in eight letters."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def mark(path: Path, kind: str) -> Path:
    """A name beside ``path`` for what this process writes."""
    own = f"{host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{path.name[:LONGEST]}.{own}.{kind}")


def sweep(path: Path) -> None:
    """Remove what processes that are no more left beside ``path``."""
    put_back(path)
    for left, kind in _left(path):
        if kind == "tmp" or path.exists():
            remove(left)


def sweep_folder(folder: Path) -> None:
    """Remove all temporary files that processes that are no more left in a folder and below."""
    for left in [*folder.rglob(".*.tmp")]:
        if _is_dead(left, ".".join(left.name.rsplit(".", 2)[1:])):
            remove(left)


def put_back(path: Path) -> None:
    """Give an old folder its name again, if the process that was replacing it ended in between."""
    if not path.exists():
        for left, kind in _left(path):
            if kind == "old":
                left.rename(path)
                return


def remove(path: Path) -> None:
    """Remove a file or folder of our own, if it is there; what cannot be removed now is later."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def scratch_folder() -> Path:
    """A new folder for what is needed until this process ends; those of dead ones are removed.

    It is made where the ``TMPDIR`` environment variable says, and its name is short, since sockets
    in it have a longest name.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{SCRATCH}*"):
        if _is_dead(left, left.name.removeprefix(SCRATCH)) and left.is_dir():
            remove(left)
    folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{host()}-{os.getpid()}-"))
    atexit.register(remove, folder)
    return folder


def _left(path: Path) -> Iterator[tuple[Path, str]]:
    start = f".{path.name[:LONGEST]}."
    try:
        names = os.listdir(path.parent)
    except OSError:  # there is no such folder, or its names are not for us
        return
    for name in names:
        if name.startswith(start) and name.endswith((".tmp", ".old")):
            left = path.with_name(name)
            if _is_dead(left, name.removeprefix(start)):
                yield left, name[-3:]


def _is_dead(path: Path, name: str) -> bool:
    """Whether nobody writes there any more: the process is gone, or a day has passed."""
    found = NAME.fullmatch(name)
    if found is None:
        return False
    if found["host"] == host() and not is_alive(int(found["pid"])):
        return True
    try:
        return time.time() - path.lstat().st_mtime > DAY
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
