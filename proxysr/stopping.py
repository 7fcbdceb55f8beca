"""SIGTERM ends a process as an interrupt does: workers are ended and temporary files removed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CODE = 143
"""Exit code of who was ended by SIGTERM, as shells have it."""


class Terminated(SystemExit):
    """The process was asked to end."""

    def __init__(self) -> None:
        super().__init__(CODE)


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Raise :class:`Terminated` where the main thread is when SIGTERM comes; once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what follows may take its time
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_with_parent(end: Callable[[], None] | None = None) -> None:
    """From now on, end this process soon after the one that started it, however that one ends.

    Parameters
    ----------
    end : callable, optional
        Called first.
    """
    parent = os.getppid()
    known = multiprocessing.parent_process()

    def watch() -> None:
        while os.getppid() == parent and (known is None or known.is_alive()):
            time.sleep(0.5)
        if end is not None:
            end()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)  # the main thread cleans up, if it listens
        os._exit(CODE)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
