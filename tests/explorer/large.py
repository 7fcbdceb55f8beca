"""A payload of many sessions, drawn from those of a small one, to measure pages with."""

from __future__ import annotations

from typing import Any

import numpy as np


def enlarged(tree: dict[str, Any], n: int, seed: int = 0) -> dict[str, Any]:
    """The payload's tree with n sessions: each a random one of it, moved a little on the map."""
    random = np.random.default_rng(seed)
    old = tree["sessions"]
    offsets = old["offsets"].astype(np.int64)
    rows = random.integers(len(offsets) - 1, size=n)
    lengths = np.diff(offsets)[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.arange(starts[-1]) + np.repeat(offsets[rows] - starts[:-1], lengths)
    by_click = ("clicks", "path", "path_p", "evidence")
    new: dict[str, Any] = {}
    for name, value in old.items():
        if value is None or name == "id":
            new[name] = value
        elif name in by_click:
            new[name] = value[flat]
        elif name != "offsets":
            new[name] = value[rows]
    for name in ("xy", "half_xy"):
        if old[name] is not None:
            moved = new[name] + random.normal(scale=0.01, size=new[name].shape)
            new[name] = moved.astype(np.float32)
    new |= {"id": [f"s{row:06d}" for row in range(n)], "offsets": starts.astype(np.uint32)}
    columns = [column | {"values": column["values"][rows]} for column in tree["columns"]]
    meta = tree["meta"] | {"n_sessions": n}
    compare = tree["compare"]
    if compare is not None:
        compare = compare | {"rank": compare["rank"][rows]}
    return tree | {"sessions": new, "columns": columns, "meta": meta, "compare": compare}
