"""The report: the explorer's page as one offline file, with the same script and payload.

Its content security policy names the hashes of its script and style: nothing else can run, and
nothing can be fetched. Arrays are rounded to the visible precision and gzipped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr import __version__
from proxysr.analysis.run_view import RunView
from proxysr.config import require
from proxysr.explorer import assets
from proxysr.explorer.packing import pack
from proxysr.explorer.payload import payload
from proxysr.files import check_own, check_writable, replacing
from proxysr.run import RunDir

GENERATOR = "proxysr report"
MOST_SESSIONS = 50_000
MOST_TOPS = 2_000
MOST_BYTES = 10_000_000
STEPS = {
    "xy": 2**-13, "half_xy": 2**-13, "probability": 2**-12, "margin": 2**-12, "evidence": 2**-9,
    "prior": 2**-9,
}  # fmt: skip
"""Rounding steps of numbers of sessions; finer differences are not visible."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{generator}">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="explorer"></div>
<noscript>This page needs JavaScript. It is in this file and makes no network requests.</noscript>
<script type="application/json" id="payload">{header}</script>
<script type="text/plain" id="blob">{blob}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def write_report(
    view: RunView,
    path: str | Path,
    *,
    compare: RunDir | None = None,
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
    compare : RunDir, optional
        A second run of the same data, to compare with this one.
    command : str, optional
        The command that made the page, shown in it.
    max_sessions : int
        Most sessions on the map and in the lists. If there are more, a sample stratified by
        interest is shown, and the page says so.
    max_bytes : int
        Largest size of the file; fewer sessions are shown if it is larger.

    Raises
    ------
    ValueError
        If ``path`` is not a report, the second run has other data, or the page is too large with
        a single session.
    """
    path = check_place(path)
    limit, n_top = min(max_sessions, len(view.drawn)), MOST_TOPS
    while True:
        made = payload(
            view, compare=compare, max_sessions=limit, n_top=n_top, command=command, travels=True
        )
        text = page(made.tree)
        size = len(text.encode())
        if size <= max_bytes:
            break
        require(
            limit > 1,
            f"The report of {view.run.path} takes {size:,} bytes even with {limit} session(s) "
            f"on its map; {max_bytes:,} are allowed.",
        )
        limit = max(1, min(limit // 2, int(0.9 * limit * max_bytes / size)))
        n_top = min(n_top, limit)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def check_place(path: str | Path) -> Path:
    """Check that a report can be written to ``path``; call it before a long computation.

    Raises
    ------
    ValueError
        If the name is not that of an HTML file, or a folder or another file is there.
    OSError
        If nothing can be written there.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"A report is an HTML file, such as report.html; received {path}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; nothing was written. Name a file.")
    check_own(path, f'<meta name="generator" content="{GENERATOR}', "a proxysr report")
    check_writable(path)
    return path


def page(tree: dict[str, Any]) -> str:
    """The page's text, of a payload."""
    header, blob = pack(_rounded(tree))
    script, style = f"\n{assets.module('report')}\n", f"\n{assets.stylesheet()}\n"
    return PAGE.format(
        generator=f"{GENERATOR} {__version__}",
        policy=(
            f"default-src 'none'; script-src 'sha256-{_digest(script)}'; "
            f"style-src 'sha256-{_digest(style)}'; img-src data: blob:; base-uri 'none'; "
            "form-action 'none'"
        ),
        title=html.escape(f"{tree['meta']['title']} · proxysr report"),
        style=style,
        header=embedded(header),
        blob=base64.b64encode(gzip.compress(blob, 9, mtime=0)).decode(),
        script=script,
    )


def embedded(value: Any) -> str:
    """JSON that is safe inside a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":  # no </script>, no <!--; none occurs outside of strings
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _rounded(tree: dict[str, Any]) -> dict[str, Any]:
    """The payload with numbers of sessions in steps of :data:`STEPS`."""
    sessions = {
        name: _in_steps(value, STEPS[name]) if name in STEPS and value is not None else value
        for name, value in tree["sessions"].items()
    }
    return tree | {"sessions": sessions}


def _in_steps(values: npt.NDArray[np.float32], step: float) -> npt.NDArray[np.float32]:
    return (np.round(values / step) * step).astype(np.float32)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
