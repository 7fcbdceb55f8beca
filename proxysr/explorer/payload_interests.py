"""Parts of the payload: interests, comparison with a second run, further columns of sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.by_interest import Share, paired_by_interest, recall_by_interest
from proxysr.analysis.flow import fates
from proxysr.analysis.profiles import cosines
from proxysr.analysis.representations import proxy_vectors
from proxysr.analysis.run_view import RunView
from proxysr.config import require
from proxysr.run import RunDir

LONGEST_TEXT = 100
MOST_COLUMNS = 8
MOST_LABELS = 500
NEAREST = 4
ALIKE = 0.9
"""Least cosine of two proxies whose interests are merged in the merged view."""
OWN_COLUMNS = {
    "session_id", "n_clicks", "proxy", "probability", "runner_up", "margin", "entropy", "user",
    "started_at",
}  # fmt: skip

Ints = npt.NDArray[np.int64]
Place = Callable[[Any], npt.NDArray[np.float32]]


def shortened(text: object) -> str:
    """Text of the data, cut to ``LONGEST_TEXT`` characters."""
    words = " ".join(str(text).split())
    return words if len(words) <= LONGEST_TEXT else words[: LONGEST_TEXT - 1] + "…"


def placing(view: RunView) -> Place:
    """A function from positions to map units: 0 to 1, the same for all maps and both axes."""
    maps = [view.positions, view.proxy_positions, view.half_positions, view.half_proxy_positions]
    points = np.concatenate([np.reshape(p, (-1, 2)) for p in maps if p is not None])
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        points = np.zeros((1, 2))
    low = points.min(axis=0)
    size = float(np.ptp(points, axis=0).max()) or 1.0
    return lambda positions: ((np.asarray(positions, float) - low) / size).astype(np.float32)


def seconds_of(times: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Seconds since 1970 UTC (n,); NaN where unknown."""
    stamps = pd.to_datetime(times)
    seconds = (stamps - pd.Timestamp(0, tz=stamps.dt.tz)) / pd.Timedelta(seconds=1)
    return np.asarray(seconds, np.float64)


def columns_of(table: pd.DataFrame, notes: list[str]) -> list[dict[str, Any]]:
    """What else is known of the sessions: numbers, dates, or labels by frequency (-1: none)."""
    columns: list[dict[str, Any]] = []
    for name in [name for name in table if name not in OWN_COLUMNS]:
        values = table[name]
        entry: dict[str, Any] = {"name": shortened(name), "labels": []}
        if pd.api.types.is_datetime64_any_dtype(values):
            entry |= {"kind": "date", "values": seconds_of(values)}
        elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            entry |= {"kind": "number", "values": values.to_numpy(np.float64, na_value=np.nan)}
        else:
            texts = values.astype(object).where(values.notna(), "").map(shortened)
            labels = [text for text in texts.value_counts().index if text]
            if len(labels) > MOST_LABELS:
                notes.append(
                    f"{entry['name']} has {len(labels):,} different labels, and is left out."
                )
                continue
            number = {text: place for place, text in enumerate(labels)}
            codes = np.array([number.get(text, -1) for text in texts], np.int32)
            entry |= {"kind": "label", "values": codes, "labels": labels}
        columns.append(entry)
    if len(columns) > MOST_COLUMNS:
        omitted = ", ".join(entry["name"] for entry in columns[MOST_COLUMNS:])
        notes.append(f"{MOST_COLUMNS} further columns of sessions are shown; left out: {omitted}.")
    return columns[:MOST_COLUMNS]


def recall_of(
    view: RunView, notes: list[str]
) -> tuple[pd.DataFrame | None, Share | None, pd.DataFrame | None]:
    """Ranks of the part, recall over all and by interest; a note if it was not evaluated."""
    task = view.run.train_config.valid_task
    try:
        ranks = view.run.ranks(view.part, task)
    except ValueError as error:
        notes.append(f"The recall of interests is not known: {error}")
        return None, None, None
    return ranks, *recall_by_interest(ranks, view.n_proxies)


def proxies_of(
    view: RunView, recall: pd.DataFrame | None, place: Place, numbered: Callable[[Any], Any]
) -> list[dict[str, Any]]:
    """One entry an interest, from all sessions of the part, not only the shown ones."""
    proxy, runner_up = (view.table[name].to_numpy() for name in ("proxy", "runner_up"))
    n, n_proxies = view.proxy_sizes, view.n_proxies
    half_sizes = view.half_proxy_sizes
    cosine = cosines(proxy_vectors(view.model))
    np.fill_diagonal(cosine, -np.inf)
    overlap = np.zeros((n_proxies, n_proxies))
    np.add.at(overlap, (proxy[runner_up >= 0], runner_up[runner_up >= 0]), 1)
    overlap /= np.maximum(n, 1)[:, None]
    merged = _merged(cosine, n)
    n_users, faithful = _users(view, proxy)
    xy = place(view.proxy_positions)
    half_xy = None if view.half_proxy_positions is None else place(view.half_proxy_positions)
    no_recall = dict.fromkeys(
        ("recall", "low", "high", "difference", "difference_low", "difference_high")
    ) | {"n_targets": 0}
    entries = []
    for k in range(n_proxies):
        top = view.items_of(k)
        columns = top[["share", "lift", "p_adjusted"]].to_numpy(float)
        nearest = np.argsort(-cosine[k], kind="stable")[: min(NEAREST, n_proxies - 1)]
        of_recall: dict[str, Any] = no_recall if recall is None else _plain(recall.loc[k].to_dict())
        entry = view.interest(k)._asdict() | {
            "n": int(n[k]),
            "n_half": None if half_sizes is None else int(half_sizes[k]),
            "n_users": None if n_users is None else int(n_users[k]),
            "faithful": None if faithful is None else float(faithful[k]),
            **of_recall,
            "xy": _point(xy[k]),
            "half_xy": None if half_xy is None else _point(half_xy[k]),
            "items": [
                {"item": int(item), "share": share, "lift": lift, "p": p}
                for item, (share, lift, p) in zip(numbered(top["item"]), columns, strict=True)
            ],
            "nearest": [
                {
                    "proxy": int(neighbour),
                    "cosine": float(cosine[k, neighbour]),
                    "overlap": float(overlap[k, neighbour]),
                }
                for neighbour in nearest
            ],
            "merged_into": int(merged[k]),
        }
        entries.append(entry)
    return entries


def fates_of(view: RunView) -> dict[str, list[int]]:
    """Interests that are used only at the best epoch (born), or only half-way to it (died)."""
    if view.half_table is None:
        return {"born": [], "died": []}
    half, full = view.half_table["proxy"].to_numpy(), view.table["proxy"].to_numpy()
    fate = fates(half, full, n_proxies=view.n_proxies)["fate"]
    return {name: fate.index[fate == name].tolist() for name in ("born", "died")}


def comparison_of(view: RunView, other: RunDir, drawn: Ints) -> dict[str, Any]:
    """Comparison with a second run on the same targets."""
    task = view.run.train_config.valid_task
    require(
        other.path.resolve() != view.run.path.resolve(),
        f"{other.path} is the run itself: name another one to compare it with.",
    )
    table, ranks = paired_by_interest(
        view.run, other, part=view.part, task=task, n_proxies=view.n_proxies
    )
    last = ranks.loc[ranks.groupby("session_id", sort=False)["position"].idxmax()]
    rank = pd.Series(last["rank"].to_numpy(), last["session_id"].to_numpy())
    n_clicks = pd.Series(last["position"].to_numpy() + 1, last["session_id"].to_numpy())
    shown = view.table.iloc[drawn]
    is_last = n_clicks.reindex(shown["session_id"]).to_numpy() == shown["n_clicks"].to_numpy()
    of_last = np.where(is_last, rank.reindex(shown["session_id"]).to_numpy(), np.nan)
    rows = [_plain(row) for row in table.to_dict("records")]
    return {
        "title": other.path.resolve().name,
        "note": (
            f"R@20 of {view.run.path.resolve().name} less that of {other.path.resolve().name} on "
            "the same targets: above 0, the run shown is better. Intervals of 95 % by drawing "
            "sessions; p by exchanging them, corrected (Holm) for the number of interests."
        ),
        "rank": of_last.astype(np.float32),
        "by_proxy": rows[:-1],
        "overall": rows[-1],
    }


def _merged(cosine: npt.NDArray[np.float64], n: Ints) -> Ints:
    """For each proxy (K,), a larger one that is nearly the same; -1 if there is none."""
    merged = np.full(len(n), -1)
    order = np.lexsort((np.arange(len(n)), -n))
    roots: list[int] = []
    for proxy in order[n[order] > 0].tolist():
        similar = [larger for larger in roots if cosine[proxy, larger] >= ALIKE]
        if similar:
            merged[proxy] = max(similar, key=lambda larger: cosine[proxy, larger])
        else:
            roots.append(proxy)
    return merged


def _users(view: RunView, proxy: Ints) -> tuple[Ints | None, npt.NDArray[np.float64] | None]:
    """Users (K,) of each interest, and the share of their sessions that follow it (K,)."""
    if "user" not in view.table:
        return None, None
    codes = pd.factorize(view.table["user"].replace("", None))[0]
    has_user = codes >= 0
    pairs = pd.DataFrame({"proxy": proxy[has_user], "user": codes[has_user]}).value_counts()
    total = np.bincount(codes[has_user])
    frame = pairs.rename("n").reset_index()
    frame["total"] = total[frame["user"]]
    by_proxy = frame.groupby("proxy").agg(
        users=("user", "size"), n=("n", "sum"), total=("total", "sum")
    )
    by_proxy = by_proxy.reindex(range(view.n_proxies))
    share = (by_proxy["n"] / by_proxy["total"]).to_numpy(np.float64)
    return by_proxy["users"].fillna(0).to_numpy(np.int64), share


def _point(xy: npt.NDArray[np.float32]) -> list[float] | None:
    return [float(v) for v in xy] if np.isfinite(xy).all() else None


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(name): int(value) if name in ("n", "n_targets") else float(value)
        for name, value in row.items()
    }
