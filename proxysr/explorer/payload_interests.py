"""Parts of the payload: interests, a second run beside this one, more columns of sessions."""

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
"""Cosine of two proxies from which on their interests are merged, if asked for."""
OWN_COLUMNS = {
    "session_id", "n_clicks", "proxy", "probability", "runner_up", "margin", "entropy", "user",
    "started_at",
}  # fmt: skip

Ints = npt.NDArray[np.int64]
Place = Callable[[Any], npt.NDArray[np.float32]]


def shortened(text: object) -> str:
    """Text of the data, at most ``LONGEST_TEXT`` characters of it."""
    whole = " ".join(str(text).split())
    return whole if len(whole) <= LONGEST_TEXT else whole[: LONGEST_TEXT - 1] + "…"


def placing(view: RunView) -> Place:
    """A function from positions to map units: 0 to 1, the same for all maps and both axes."""
    known = [view.positions, view.proxy_positions, view.half_positions, view.half_proxy_positions]
    every = np.concatenate([np.reshape(p, (-1, 2)) for p in known if p is not None])
    every = every[np.isfinite(every).all(axis=1)]
    if len(every) == 0:
        every = np.zeros((1, 2))
    low = every.min(axis=0)
    size = float(np.ptp(every, axis=0).max()) or 1.0
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
        left = ", ".join(entry["name"] for entry in columns[MOST_COLUMNS:])
        notes.append(f"Of what is known of sessions, {MOST_COLUMNS} columns are shown, not {left}.")
    return columns[:MOST_COLUMNS]


def recall_of(
    view: RunView, notes: list[str]
) -> tuple[pd.DataFrame | None, Share | None, pd.DataFrame | None]:
    """The kept ranks of the part, recall of the whole and by interest; a note if there are none."""
    task = view.run.train_config.valid_task
    try:
        ranks = view.run.ranks(view.part, task)
    except ValueError as error:
        notes.append(f"How well each interest is served is not known: {error}")
        return None, None, None
    return ranks, *recall_by_interest(ranks, view.n_proxies)


def proxies_of(
    view: RunView, recall: pd.DataFrame | None, place: Place, numbered: Callable[[Any], Any]
) -> list[dict[str, Any]]:
    """One entry an interest, by all sessions of the part, not only those that are shown."""
    proxy, runner_up = (view.table[name].to_numpy() for name in ("proxy", "runner_up"))
    n, k = view.proxy_sizes, view.n_proxies
    half_sizes = view.half_proxy_sizes
    cosine = cosines(proxy_vectors(view.model))
    np.fill_diagonal(cosine, -np.inf)
    overlap = np.zeros((k, k))
    np.add.at(overlap, (proxy[runner_up >= 0], runner_up[runner_up >= 0]), 1)
    overlap /= np.maximum(n, 1)[:, None]
    merged = _merged(cosine, n)
    n_users, faithful = _users(view, proxy)
    xy = place(view.proxy_positions)
    half_xy = None if view.half_proxy_positions is None else place(view.half_proxy_positions)
    unknown = dict.fromkeys(
        ("recall", "low", "high", "difference", "difference_low", "difference_high")
    ) | {"n_targets": 0}
    entries = []
    for one in range(k):
        top = view.items_of(one)
        columns = top[["share", "lift", "p_adjusted"]].to_numpy(float)
        near = np.argsort(-cosine[one], kind="stable")[: min(NEAREST, k - 1)]
        served: dict[str, Any] = unknown if recall is None else _plain(recall.loc[one].to_dict())
        entry = view.interest(one)._asdict() | {
            "n": int(n[one]),
            "n_half": None if half_sizes is None else int(half_sizes[one]),
            "n_users": None if n_users is None else int(n_users[one]),
            "faithful": None if faithful is None else float(faithful[one]),
            **served,
            "xy": _point(xy[one]),
            "half_xy": None if half_xy is None else _point(half_xy[one]),
            "items": [
                {"item": int(item), "share": share, "lift": lift, "p": p}
                for item, (share, lift, p) in zip(numbered(top["item"]), columns, strict=True)
            ],
            "nearest": [
                {
                    "proxy": int(other),
                    "cosine": float(cosine[one, other]),
                    "overlap": float(overlap[one, other]),
                }
                for other in near
            ],
            "merged_into": int(merged[one]),
        }
        entries.append(entry)
    return entries


def fates_of(view: RunView) -> dict[str, list[int]]:
    """Interests that came into use since half-way, and that went out of it."""
    if view.half_table is None:
        return {"born": [], "died": []}
    half, full = view.half_table["proxy"].to_numpy(), view.table["proxy"].to_numpy()
    fate = fates(half, full, n_proxies=view.n_proxies)["fate"]
    return {name: fate.index[fate == name].tolist() for name in ("born", "died")}


def comparison_of(view: RunView, other: RunDir, drawn: Ints) -> dict[str, Any]:
    """A second run beside this one, on the same targets."""
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
    """For each proxy (K,) the larger one that it is all but the same as; -1 if none."""
    merged = np.full(len(n), -1)
    order = np.lexsort((np.arange(len(n)), -n))
    kept: list[int] = []
    for one in order[n[order] > 0].tolist():
        near = [other for other in kept if cosine[one, other] >= ALIKE]
        if near:
            merged[one] = max(near, key=lambda other: cosine[one, other])
        else:
            kept.append(one)
    return merged


def _users(view: RunView, proxy: Ints) -> tuple[Ints | None, npt.NDArray[np.float64] | None]:
    """Known users (K,) of each interest, and the share of all their sessions that follow it."""
    if "user" not in view.table:
        return None, None
    codes = pd.factorize(view.table["user"].replace("", None))[0]
    known = codes >= 0
    pairs = pd.DataFrame({"proxy": proxy[known], "user": codes[known]}).value_counts()
    total = np.bincount(codes[known])
    frame = pairs.rename("n").reset_index()
    frame["total"] = total[frame["user"]]
    of = frame.groupby("proxy").agg(users=("user", "size"), n=("n", "sum"), total=("total", "sum"))
    of = of.reindex(range(view.n_proxies))
    share = (of["n"] / of["total"]).to_numpy(np.float64)
    return of["users"].fillna(0).to_numpy(np.int64), share


def _point(xy: npt.NDArray[np.float32]) -> list[float] | None:
    return [float(v) for v in xy] if np.isfinite(xy).all() else None


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(name): int(value) if name in ("n", "n_targets") else float(value)
        for name, value in row.items()
    }
