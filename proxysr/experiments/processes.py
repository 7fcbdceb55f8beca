"""Work in parallel processes: one for each piece, so that one that dies takes no other along."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from proxysr.processes import end_with_parent, ending_on_sigterm

PATIENCE = 20.0
"""Most seconds that a process takes to end when asked to."""


def reason(error: BaseException) -> str:
    """An error in one line; one that was not foreseen says of which kind it is."""
    kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def in_processes(
    function: Callable[..., None], pieces: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, str]]:
    """Call ``function`` with each of ``pieces``, at most ``jobs`` at a time.

    The processor's threads are shared out. If the caller stops listening or is interrupted,
    processes are asked to end, and what they leave can be continued.

    Yields
    ------
    int, str
        The number of a piece that ended, and why it failed: empty if it did not.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // jobs)
    waiting = list(enumerate(pieces))[::-1]
    running: dict[Any, tuple[int, Any, Connection]] = {}  # by what tells that a process ended
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, arguments = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=_child, args=(function, arguments, threads, theirs), daemon=True
                )
                process.start()
                theirs.close()
                running[process.sentinel] = number, process, ours
            for sentinel in wait(list(running)):
                number, process, ours = running.pop(sentinel)
                process.join()
                try:
                    yield number, ours.recv()
                except EOFError:
                    yield number, f"Its process ended early (exit code {process.exitcode})."
    finally:
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.join(PATIENCE)
            process.kill()
            process.join()


def _child(
    function: Callable[..., None], arguments: tuple[Any, ...], threads: int, answer: Connection
) -> None:
    """One of the processes: nothing on stdout, errors as text for the one that started it."""
    sys.stdout = sys.stderr
    torch.set_num_threads(threads)
    end_with_parent()
    try:
        with ending_on_sigterm():
            function(*arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        answer.send(reason(error))
    else:
        answer.send("")
