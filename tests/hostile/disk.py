"""Disks that fill: a layer that says so at the n-th moment, and a real one of a few kilobytes."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WRITES = set("wax+")


class Faults:
    """Counts the moments at which something is written; from one of them on, all fail.

    Files are opened for writing, flushed and renamed and folders made through functions that are
    patched here; what libraries write in other languages comes to light as it is flushed.
    """

    def __init__(self, at: int | None = None, number: int = errno.ENOSPC) -> None:
        self.at, self.number, self.n = at, number, 0
        self.told: list[str] = []

    def moment(self, what: str, name: Any) -> None:
        """One more of them; raises from the chosen one on."""
        self.n += 1
        self.told.append(f"{what} {name}")
        if self.at is not None and self.n >= self.at:
            named = [str(name)] if isinstance(name, str | Path) else []
            raise OSError(self.number, os.strerror(self.number), *named)


@contextmanager
def faulty(at: int | None = None, number: int = errno.ENOSPC) -> Iterator[Faults]:
    """A disk that fails from its ``at``-th moment on."""
    faults = Faults(at, number)

    def before(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def patched(first: Any, *args: Any, **options: Any) -> Any:
            faults.moment(what, first)
            return original(first, *args, **options)

        return patched

    def opened(original: Callable[..., Any]) -> Callable[..., Any]:
        def patched(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            # a note in a lock, of who holds it, is not needed
            if WRITES & {*mode} and not str(file).endswith(".lock"):
                faults.moment("open", file)
            return original(file, mode, *args, **options)

        return patched

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "rename", "mkdir", "fsync"):
            patch.setattr(os, name, before(name, getattr(os, name)))
        patch.setattr(io, "open", opened(io.open))
        patch.setattr(builtins, "open", opened(builtins.open))
        yield faults


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of ``size``, such as "600k", mounted at ``folder``; skips where that is forbidden."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk is mounted by root on Linux only")
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """All of a disk but ``left`` bytes is taken, until the end."""
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    filler.write_bytes(b"\0" * max(0, free - left))
    try:
        yield
    finally:
        filler.unlink()
