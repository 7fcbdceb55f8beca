"""Pieces of HTML, with all text of the data escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def esc(text: object) -> str:
    """Text that is safe between tags and in quoted attributes."""
    return html.escape(str(text), quote=True)


def button(
    do: str,
    value: object,
    label: str,
    *,
    title: str = "",
    style: str = "",
    pressed: bool = False,
    disabled: bool = False,
) -> str:
    """A button that sends ``do`` and ``value``.

    Parameters
    ----------
    do, value
    label : str
        Plain text; escaped here.
    title : str
        What it does, where the label is only a sign.
    style : str
        CSS class: "px-link" (looks like text), "px-icon" (a sign), or none (a button).
    pressed : bool
        Whether it is the one that is chosen.
    disabled : bool
        Whether there is nothing to press at the moment.
    """
    about = f' title="{esc(title)}" aria-label="{esc(title)}"' if title else ""
    state = (' aria-pressed="true"' if pressed else "") + (" disabled" if disabled else "")
    return (
        f'<button type="button" class="{style or "px-button"}" data-do="{do}" '
        f'data-value="{esc(value)}"{about}{state}>{esc(label)}</button>'
    )


def clip(text: object, *, title: str = "", style: str = "") -> str:
    """Text that is cut off where its cell ends, and shown whole under the mouse."""
    return f'<span class="px-clip {style}" title="{esc(title or text)}">{esc(text)}</span>'


def bar(share: float, *, colour: str = "var(--px-accent)", mark: float | None = None) -> str:
    """A horizontal bar of ``share`` of the full width, perhaps with a mark to compare with."""
    width = 100 * min(max(share, 0.0), 1.0)
    line = "" if mark is None else f'<b style="left:{100 * min(max(mark, 0.0), 1.0):.1f}%"></b>'
    return (
        '<span class="px-bar" aria-hidden="true">'
        f'<i style="width:{width:.1f}%;background:{colour}"></i>{line}</span>'
    )


def diverging(value: float, largest: float) -> str:
    """A bar to the right of the middle for positive values, to the left for negative ones."""
    half = 50 * min(abs(value) / largest, 1.0) if largest > 0 else 0.0
    side = "left" if value >= 0 else "right"
    kind = "px-for" if value >= 0 else "px-against"
    return (
        '<span class="px-diverging" aria-hidden="true">'
        f'<i class="{kind}" style="{side}:50%;width:{half:.1f}%"></i></span>'
    )


def tile(number: str, label: str, title: str = "") -> str:
    """A number with what it counts."""
    return (
        f'<div class="px-tile" title="{esc(title)}"><b>{esc(number)}</b>'
        f"<span>{esc(label)}</span></div>"
    )


def columns(names: Sequence[str], selected: Sequence[float], everyone: Sequence[float]) -> str:
    """Upright bars of a selection's shares, each with a line at the share among all."""
    top = max([*selected, *everyone, 1e-9])
    parts = [
        f'<span title="{esc(name)}: {one:.0%} here, {other:.0%} of all">'
        f'<i style="height:{100 * one / top:.0f}%"></i><b style="bottom:{100 * other / top:.0f}%">'
        "</b></span>"
        for name, one, other in zip(names, selected, everyone, strict=True)
    ]
    ends = f"<div><span>{esc(names[0])}</span><span>{esc(names[-1])}</span></div>" if names else ""
    return f'<div class="px-columns"><div>{"".join(parts)}</div>{ends}</div>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, style: str = "") -> str:
    """A table of cells that are HTML already; a head that begins with ">" aligns to the right."""
    names = list(head)
    right = ['class="px-right"' if name.startswith(">") else "" for name in names]
    top = "".join(
        f'<th scope="col" {side}>{name.removeprefix(">")}</th>'
        for name, side in zip(names, right, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td {s}>{cell}</td>" for s, cell in zip(right, row, strict=True))
        + "</tr>"
        for row in rows
    )
    thead = f"<thead><tr>{top}</tr></thead>" if any(name.strip(">") for name in names) else ""
    return f'<table class="px-table {style}">{thead}<tbody>{body}</tbody></table>'


def head(kicker: str, title: str, right: str = "") -> str:
    """The top of a panel; what stands at its right is HTML already."""
    text = f'<span class="px-kicker">{esc(kicker)}</span><h3>{esc(title)}</h3>'
    return f"<header><div>{text}</div>{right}</header>"


def section(title: str, body: str, note: str = "") -> str:
    """A titled part of a panel."""
    small = f"<small>{esc(note)}</small>" if note else ""
    return f"<section><h4>{esc(title)}{small}</h4>{body}</section>"


def quiet(text: str) -> str:
    """A sentence that explains; plain text."""
    return f'<p class="px-quiet">{esc(text)}</p>'
