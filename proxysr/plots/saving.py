"""Figures as files: a page, a picture, a table of its numbers, and its settings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from proxysr import __version__, paths
from proxysr.config import require
from proxysr.files import replacing, write_json
from proxysr.plots.drawing import DrawingError, draw
from proxysr.text import all_visible, write_table

PLOTLY_JS = "plotly.min.js"


class SavedFigure(NamedTuple):
    """Paths of a figure; no ``png`` without a browser, no ``csv`` without a table."""

    html: Path
    json: Path
    png: Path | None
    csv: Path | None


class NoBrowserWarning(UserWarning):
    """A figure was saved as a page, but not as a picture."""


def save_figure(
    fig: go.Figure,
    name: str,
    *,
    table: pd.DataFrame | None = None,
    formulas: bool = False,
    folder: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> SavedFigure:
    """Write ``NAME.html``, ``.png``, ``.json`` and ``.csv`` to a folder, each atomically.

    The page is interactive and works offline; all pages of a folder share its
    ``plotly.min.js``. The picture is drawn by Chrome or Chromium; where there is neither, a
    :class:`NoBrowserWarning` is issued and the rest is written. The JSON file has the origin of
    the figure and no date, so that the same figure gives the same file.

    Parameters
    ----------
    fig : Figure
    name : str
        Letters, digits, ``-`` and ``_``.
    table : DataFrame, optional
        The numbers that the figure shows, written as CSV without the index.
    formulas : bool
        Leave text in the CSV that spreadsheets would compute, see :func:`proxysr.text.write_table`.
    folder : str or Path, optional
        By default the project's figures.
    settings : mapping, optional
        Run, data and parameters of the figure (plain JSON values).
    command : str, optional
        The command that made it.
    """
    require(
        re.fullmatch(r"[\w-]+", name, flags=re.ASCII) is not None,
        f"The name of a figure is letters, digits, - and _; received {name!r}.",
    )
    folder = paths.figures() if folder is None else Path(folder)
    html, png, json, csv = (folder / f"{name}.{end}" for end in ("html", "png", "json", "csv"))
    _write_plotly_js(folder)
    with replacing(html) as temporary:
        temporary.write_text(_page(fig, name), encoding="utf-8")
    picture = _picture(fig, png)
    if table is not None:
        with replacing(csv) as temporary:
            write_table(table, temporary, formulas=formulas, float_format="%.6g")
    description = {
        "name": name,
        "title": fig.layout.title.text or name,
        "settings": dict(settings or {}),
        "command": command,
        "proxysr": __version__,
        "files": [html.name] + [png.name] * picture + [csv.name] * (table is not None),
    }
    write_json(json, description)
    return SavedFigure(html, json, png if picture else None, None if table is None else csv)


def _page(fig: go.Figure, name: str) -> str:
    shown = go.Figure(all_visible(fig.to_dict()))
    return str(shown.to_html(include_plotlyjs=PLOTLY_JS, full_html=True, div_id=name))


def _write_plotly_js(folder: Path) -> None:
    from plotly.offline import get_plotlyjs

    script, path = get_plotlyjs(), folder / PLOTLY_JS
    if not path.is_file() or path.stat().st_size != len(script.encode()):
        with replacing(path) as temporary:
            temporary.write_text(script, encoding="utf-8")


def _picture(fig: go.Figure, path: Path) -> bool:
    """Draw the PNG; False (and an old one removed) if there is no browser."""
    try:
        image = draw(fig)
    except DrawingError as error:
        path.unlink(missing_ok=True)  # it would not match the page
        warnings.warn(
            f"{path.name} was not drawn ({error}); the page beside it was written. Pictures need "
            "Chrome or Chromium, on Debian and Ubuntu: apt install chromium.",
            NoBrowserWarning,
            stacklevel=3,
        )
        return False
    with replacing(path) as temporary:
        temporary.write_bytes(image)
    return True
