"""Available memory, so that work that needs more is refused before it starts.

It is read from /proc/meminfo and from the limits of control groups (versions 1 and 2), which
containers use. On systems without these, nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proxysr.config import ConfigError

GIB = 2**30
MEMINFO = Path("/proc/meminfo")
OWN_GROUP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process may still allocate; None if the system does not say."""
    amounts = [*_of_machine(), *_of_groups()]
    return max(0, min(amounts)) if amounts else None


def require_memory(what: str, needed: float, advice: str, available: float | None = None) -> None:
    """Raise ``ConfigError`` if more memory is needed than is available.

    Parameters
    ----------
    what : str
        The work, such as "Training latent_proxy", for the message.
    needed : float
        Bytes that it needs at least.
    advice : str
        Sentences that name settings that would fit.
    available : float, optional
        Available bytes; :func:`available_memory` if left out.

    Raises
    ------
    ConfigError
        With the estimate, the available memory and the advice.
    """
    available = available_memory() if available is None else available
    if available is not None and needed > available:
        raise ConfigError(
            f"{what} needs at least {needed / GIB:,.2f} GiB of memory, and {available / GIB:,.2f} "
            f"GiB are there. {advice}"
        )


def _of_machine() -> Iterator[int]:
    for line in _text(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_groups() -> Iterator[int]:
    """Remaining bytes of the limits of this process's control groups and their parents."""
    for line in _text(OWN_GROUP).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = GROUPS / controllers
        names = ("memory.max", "memory.current", "inactive_file")
        if controllers:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        limit, usage, reclaimable = names
        group = top / name.lstrip("/")
        while group.is_relative_to(top):
            maximum, used = _text(group / limit).strip(), _text(group / usage).strip()
            if maximum.isdecimal() and used.isdecimal():
                files = dict(line.split() for line in _text(group / "memory.stat").splitlines())
                yield int(maximum) - int(used) + int(files.get(reclaimable, 0))
            group = group.parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
