"""What an executed notebook says of how it was made, so that it need not be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxysr import __version__
from proxysr.files import read_json, replacing

KEY = "proxysr"
WIDGET = "application/vnd.jupyter.widget-view+json"


def mark_of(source: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """What an execution depends on: the cells of ``source``, parameters, version of proxysr."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in read_json(source)["cells"]]
    digest = hashlib.sha256(json.dumps(cells).encode()).hexdigest()
    return {"version": __version__, "cells": digest, "parameters": dict(values)}


def read_mark(executed: Path) -> dict[str, Any] | None:
    """What :func:`finish` left in an executed notebook; None if it did not get that far."""
    try:
        mark = read_json(executed)["metadata"][KEY]
    except (OSError, ValueError, KeyError, TypeError):  # papermill's own writing may be cut off
        return None
    known = isinstance(mark, dict) and {"version", "cells", "parameters", "command", "seconds"} <= {
        *mark
    }
    return mark if known else None


def finish(executed: Path, mark: Mapping[str, Any] | None) -> None:
    """Drop what shows nothing without its kernel, such as progress bars, and leave the mark.

    Of a cell's own value, its text stays.
    """
    import nbformat

    content = nbformat.read(executed, as_version=4)
    content.metadata.pop("widgets", None)
    if mark is not None:
        content.metadata[KEY] = dict(mark)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                out for out in cell.outputs
                if WIDGET not in out.get("data", {}) or out.output_type == "execute_result"
            ]  # fmt: skip
            for out in cell.outputs:
                out.get("data", {}).pop(WIDGET, None)
    with replacing(executed) as temporary:
        nbformat.write(content, temporary)
