"""Parallel processes, one for each task, so that a crash does not affect other tasks."""

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
    """An error in one line; unexpected kinds of errors are named."""
    kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def in_processes(
    function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[int, str]]:
    """Call ``function`` with the arguments of each task, at most ``jobs`` at a time.

    Threads are divided among the processes. If the caller stops iterating or is interrupted,
    processes are terminated.

    Yields
    ------
    int, str
        The number of a finished task, and the reason if it failed, else "".
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // jobs)
    waiting = list(enumerate(tasks))[::-1]
    running: dict[Any, tuple[int, Any, Connection]] = {}  # by the sentinel of the process
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, arguments = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_child, args=(function, arguments, threads, sender), daemon=True
                )
                process.start()
                sender.close()
                running[process.sentinel] = number, process, receiver
            for sentinel in wait(list(running)):
                number, process, receiver = running.pop(sentinel)
                process.join()
                try:
                    yield number, receiver.recv()
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
    """Run in a child process: nothing on stdout; errors are sent to the parent as text."""
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
