"""A run as one page to send: map, proxies, sessions, metrics, origin; it needs no network.

The page holds its data as JSON, one copy of plotly's script and small scripts of its own, whose
hashes its policy names: nothing else can run in it, and nothing can be fetched. WebGL, which many
sessions need to be drawn quickly, takes functions made from text, so only then are those allowed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from proxysr import __version__
from proxysr.analysis.run_view import RunView
from proxysr.analysis.session_facts import stratified
from proxysr.explorer.report_data import page_data
from proxysr.explorer.report_facts import page_facts
from proxysr.files import check_writable, replacing
from proxysr.plots.theme import COLOURS
from proxysr.plots.training import learning_curves

GENERATOR = "proxysr report"
SCRIPTS = ("base.js", "map.js", "card.js", "table.js", "main.js")
MOST_SESSIONS = 20_000
MOST_EXAMPLES = 2_000
MOST_BYTES = 10_000_000
SVG_SESSIONS = 3_000
"""Up to so many dots are drawn as SVG, which moves smoothly; beyond, by WebGL."""


def write_report(
    view: RunView,
    path: str | Path,
    *,
    command: str | None = None,
    max_sessions: int = MOST_SESSIONS,
    max_bytes: int = MOST_BYTES,
) -> Path:
    """Write a run as one offline HTML page.

    Parameters
    ----------
    view : RunView
    path : str or Path
        A new file, or an earlier report, which is replaced.
    command : str, optional
        What made the page, to be told in it.
    max_sessions : int
        Most sessions on the map and in the table; of more, a sample in proportion to the
        proxies, and the page says so.
    max_bytes : int
        The sample is halved until the page is smaller.

    Raises
    ------
    ValueError
        If something else lies at ``path``, or not even a few sessions fit.
    """
    path = check_place(path)
    limit = min(max_sessions, len(view.drawn))
    while True:
        text = page(view, limit, command)
        size = len(text.encode())
        if size < max_bytes:
            break
        if limit < 2:
            raise ValueError(
                f"The report of {view.run.path} takes {size:,} bytes even with {limit} session(s) "
                f"on its map; {max_bytes:,} are allowed."
            )
        limit //= 2
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def check_place(path: str | Path) -> Path:
    """``path``, if a report can be written there; ask before a long computation.

    Raises
    ------
    ValueError
        If it is no HTML file by name, a folder, or holds anything but an earlier report.
    OSError
        If nothing can be written there.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"A report is an HTML file, such as report.html; received {path}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; nothing was written. Name a file.")
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(2_000)
        if f'<meta name="generator" content="{GENERATOR}'.encode() not in head:
            raise ValueError(
                f"{path} exists and is not a proxysr report; nothing was overwritten. "
                "Name another file."
            )
    check_writable(path)
    return path


def page(view: RunView, max_sessions: int, command: str | None) -> str:
    """The page's text, with at most so many sessions."""
    labels = view.table["proxy"].to_numpy()[np.asarray(view.drawn)]
    rows = stratified(labels, max_sessions)
    data = page_data(view, rows, MOST_EXAMPLES)
    data |= {
        "palette": [colour for colour in COLOURS if colour != COLOURS[-1]],  # black is for text
        "webgl": len(rows) > SVG_SESSIONS,
        "curves": _curves(view),
    }
    notes = _notes(view, len(rows), len(data["sessions"]["examples"]["row"]))
    own = "\n".join(_asset(name) for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{own}\n}})();'
    plotly = get_plotlyjs()
    style = _asset("report.css")
    environment = Environment(
        loader=PackageLoader("proxysr.explorer", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        generator=f"{GENERATOR} {__version__}",
        policy=_policy([plotly, script], makes_functions=data["webgl"]),
        facts=page_facts(view, notes, command),
        data=embedded(data),
        style=style,
        plotly=plotly,
        script=script,
    )


def embedded(value: Any) -> str:
    """JSON that can stand inside a script element, whatever texts are in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":  # no </script>, no <!--; none occurs outside of strings
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(scripts: list[str], *, makes_functions: bool) -> str:
    """Only these scripts run, and nothing is fetched; pictures may be made in the page."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = [f"'sha256-{digest}'" for digest in hashes]
    if makes_functions:
        allowed.append("'unsafe-eval'")
    return (
        f"default-src 'none'; script-src {' '.join(allowed)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (files("proxysr.explorer") / "page" / name).read_text(encoding="utf-8")


def _curves(view: RunView) -> Any:
    run = view.run
    figure = learning_curves(run.history(), best_epoch=run.best_epoch, half_epoch=run.half_epoch)
    return json.loads(str(figure.to_json()))


def _notes(view: RunView, shown: int, examples: int) -> list[str]:
    """Sentences on what the page leaves out."""
    notes = []
    if shown < len(view.table):
        notes.append(
            f"The map and the table of sessions show {shown:,} of {len(view.table):,} sessions, a "
            "sample in proportion to the proxies; figures of proxies at 100 % are of all."
        )
    long_enough = int((view.table["n_clicks"].to_numpy()[np.asarray(view.drawn)] >= 2).sum())
    if examples < long_enough:
        notes.append(f"Recommendations are kept for {examples:,} of the sessions shown.")
    return notes
