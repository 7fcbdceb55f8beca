"""The page's stylesheet and script."""

from __future__ import annotations

from importlib.resources import files

BOOT = "boot_"


def stylesheet() -> str:
    """The page's style."""
    return (files("proxysr.explorer") / "front" / "explorer.css").read_text(encoding="utf-8")


def module(boot: str | None = None) -> str:
    """The page's script, an ES module: all files in the order of their numbers.

    Parameters
    ----------
    boot : {"server", "report"}, optional
        The host whose start script comes last; the widget needs none.
    """
    front = files("proxysr.explorer") / "front"
    scripts = {file.name: file for file in front.iterdir() if file.name.endswith(".js")}
    names = sorted(name for name in scripts if not name.startswith(BOOT))
    if boot is not None:
        names.append(f"{BOOT}{boot}.js")
    return "\n".join(scripts[name].read_text(encoding="utf-8") for name in names)
