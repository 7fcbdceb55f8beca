"""How much memory there is, so that work that needs more is refused before it begins.

Linux tells it in /proc/meminfo, and containers have limits of their own (control groups, versions
1 and 2). Where nothing is told, nothing is refused.
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
    """Bytes that this process may still take; None if the system does not tell."""
    amounts = [*_of_machine(), *_of_groups()]
    return max(0, min(amounts)) if amounts else None


def require_memory(what: str, needed: float, advice: str, available: float | None = None) -> None:
    """Raise if more memory is needed than there is.

    Parameters
    ----------
    what : str
        The work, such as "Training latent_proxy": the beginning of the message.
    needed : float
        Bytes that it takes at least.
    advice : str
        Whole sentences that name a setting that would fit.
    available : float, optional
        Bytes there are; :func:`available_memory` if left out.

    Raises
    ------
    ConfigError
        With the estimate, what is there, and the advice.
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
    """What is left of the limits of this process's control groups and those above them."""
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
            most, used = _text(group / limit).strip(), _text(group / usage).strip()
            if most.isdecimal() and used.isdecimal():
                files = dict(line.split() for line in _text(group / "memory.stat").splitlines())
                yield int(most) - int(used) + int(files.get(reclaimable, 0))
            group = group.parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
