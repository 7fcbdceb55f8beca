"""Requests of the page: each has an id and a kind, and gets one answer or one error sentence.

Nothing is raised, whatever arrives: the sender may be a page of another version, or not a page.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from proxysr.analysis.attribution import smallest_flip
from proxysr.analysis.counterfactuals import (
    LEAST_TEMPERATURE,
    MOST_TEMPERATURE,
    at_temperature,
    rank_of,
    recommendations_under,
)
from proxysr.analysis.representations import session_batch
from proxysr.config import ConfigError, require, unknown
from proxysr.explorer.payload_interests import shortened
from proxysr.explorer.scene import Scene
from proxysr.explorer.selection import KINDS, Selection
from proxysr.models import ProxyModel

Args = Mapping[str, Any]

LISTED = 20
WHAT_IF = 10
N_PROXIES = 8
N_REPLACEMENTS = 50
"""How many of the most frequent items are tried in place of each click."""
MOST_CLICKS = 2_000
"""Most clicks of a session that is edited on the page."""
LARGEST_FILE = 50_000_000


def answer(scene: Scene, request: Any) -> dict[str, Any]:
    """Answer one request: ``{"id", "kind", "answer"}``, or ``"error"`` with a sentence.

    Parameters
    ----------
    scene : Scene
    request : JSON value
        ``{"id", "kind", …}`` with the arguments of its kind.
    """
    is_object = isinstance(request, dict)
    header = {name: _plain(request.get(name)) if is_object else None for name in ("id", "kind")}
    try:
        require(is_object, f"A request is an object with id and kind; received {_cut(request)}.")
        kind = request.get("kind")
        require(isinstance(kind, str), f"A request names its kind; received {_cut(kind)}.")
        require(kind in KINDS_OF_REQUEST, unknown(shortened(kind), KINDS_OF_REQUEST, "request"))
        with scene.lock, torch.inference_mode():
            return header | {"answer": KINDS_OF_REQUEST[kind](scene, request)}
    except (ValueError, OSError, FloatingPointError) as error:
        return header | {"error": str(error)}


# -- requests to the model -----------------------------------------------------------------


def _session(scene: Scene, args: Args) -> dict[str, Any]:
    """The likeliest interests of a session, and their probabilities after each click."""
    row, model = _row(scene, args), scene.view.model
    clicks, user = scene.clicks(row), scene.user_of_row(row)
    batch = session_batch(model, clicks, user)
    logits = model.trace(batch).proxy_logits[0]
    proxies = logits.topk(min(N_PROXIES, model.n_proxies)).indices
    path = model.path(batch)[0]
    return {"proxies": proxies.tolist(), "posterior_by_click": path[:, proxies].tolist()}


def _next(scene: Scene, args: Args) -> dict[str, Any]:
    """Recommendations after the first clicks of a session, and the rank of the next click."""
    row, model, task = _row(scene, args), scene.view.model, _task(scene)
    clicks, user = scene.clicks(row), scene.user_of_row(row)
    n = _whole(args, "after", 1, len(clicks))
    prefix = clicks[:n]
    target = clicks[n] if n < len(clicks) else None
    ranked = target is not None and (task == "repeat" or target not in prefix)
    return {
        "items": _recommended(scene, prefix, user, LISTED),
        "target": None if target is None else scene.item(target),
        "rank": rank_of(model, prefix, int(target or 0), task=task, user=user) if ranked else None,
    }


def _what_if(scene: Scene, args: Args) -> dict[str, Any]:
    """Interest and recommendations for edited clicks, another proxy or another temperature."""
    clicks, user = _clicks(scene, args), _user(scene, args)
    temperature, proxy = args.get("temperature"), args.get("proxy")
    if temperature is not None:
        fits = isinstance(temperature, int | float) and not isinstance(temperature, bool)
        require(
            fits and LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE,
            f"temperature is a number from {LEAST_TEMPERATURE:g} to {MOST_TEMPERATURE:g}, or null; "
            f"received {_cut(temperature)}.",
        )
    if proxy is not None:
        proxy = _whole(args, "proxy", 0, scene.view.n_proxies - 1)
    model: ProxyModel = scene.view.model
    if temperature is not None:
        model = at_temperature(model, float(temperature))
    batch = session_batch(model, clicks, user)
    trace = model.trace(batch, force_proxy=proxy)
    logits, weights = trace.proxy_logits[0], trace.proxy_weights[0]
    order = logits.argsort(descending=True, stable=True).tolist()
    leader = order[0] if proxy is None else proxy
    rival = next(k for k in order if k != leader)
    addends = trace.position_logits[0]
    best = weights.topk(min(N_PROXIES, len(weights)))
    path = model.path(batch)[0].max(dim=1)
    return {
        "weights": [
            {"proxy": k, "weight": weight}
            for k, weight in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
        "proxy": leader,
        "runner_up": rival,
        "items": _recommended(scene, clicks, user, WHAT_IF, model=model, proxy=proxy),
        "path": path.indices.tolist(),
        "path_p": path.values.tolist(),
        "evidence": (addends[:, leader] - addends[:, rival]).tolist(),
        "prior": float(trace.prior_logits[0, leader] - trace.prior_logits[0, rival]),
        "first": len(clicks) - len(addends),
    }


def _smallest(scene: Scene, args: Args) -> dict[str, Any]:
    """The smallest change of one click (drop, or replace by a frequent item) of the interest."""
    clicks, user = _clicks(scene, args), _user(scene, args)
    common = np.argsort(-scene.view.item_counts.total[1:], kind="stable")[:N_REPLACEMENTS] + 1
    flip = smallest_flip(scene.view.model, clicks, replacements=common, user=user)
    if flip is None:
        sentence = "No change of a single click changes its interest."
        return {"clicks": None, "sentence": sentence}
    label = scene.view.label
    clicked = f"“{label(flip.item)}” (click {flip.position + 1})"
    change = f"Dropping {clicked}"
    if flip.replacement is not None:
        change = f"Replacing {clicked} by “{label(flip.replacement)}”"
    before, after = (scene.view.proxy_label(k) for k in (flip.before, flip.after))
    sentence = (
        f"{change} makes it follow {after} instead of {before}, with probability "
        f"{flip.probability:.2f}."
    )
    return {"clicks": list(flip.clicks), "sentence": sentence}


# -- requests to the data ------------------------------------------------------------------


def _items(scene: Scene, args: Args) -> list[dict[str, Any]]:
    """Items whose title or id contains a text."""
    total = scene.view.item_counts.total
    items = scene.items_like(_text(args, "text"), LISTED)
    return [scene.item(item) | {"count": int(total[item])} for item in items]


def _rename(scene: Scene, args: Args) -> dict[str, Any]:
    """Rename an interest; the name is stored in the run's folder."""
    proxy = _whole(args, "proxy", 0, scene.view.n_proxies - 1)
    return {"proxy": proxy, **scene.view.rename(proxy, _text(args, "name"))._asdict()}


def _save(scene: Scene, args: Args) -> dict[str, Any]:
    """Sessions as a file, for the page to download."""
    kind = _text(args, "format")
    require(kind in KINDS, unknown(shortened(kind), KINDS, "kind of file for a selection"))
    data = Selection.of(scene, _rows(scene, args)).to_bytes(kind)
    return {"name": f"sessions.{kind}", "base64": base64.b64encode(data).decode()}


def _load(scene: Scene, args: Args) -> dict[str, Any]:
    """Rows of the sessions in a saved file."""
    name, text = _text(args, "name"), _text(args, "base64")
    require(
        len(text) <= LARGEST_FILE, f"{shortened(name)} is too large ({len(text):,} characters)."
    )
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{shortened(name)} arrived damaged: it is not base64.") from None
    rows, notes = Selection.from_bytes(data, name).on_page(scene)
    return {"rows": rows, "notes": notes}


KINDS_OF_REQUEST: dict[str, Callable[[Scene, Args], Any]] = {
    "session": _session, "next": _next, "what_if": _what_if, "smallest": _smallest,
    "items": _items, "rename": _rename, "save": _save, "load": _load,
}  # fmt: skip


# -- arguments -----------------------------------------------------------------------------


def _recommended(
    scene: Scene,
    clicks: list[int],
    user: int,
    k: int,
    *,
    model: ProxyModel | None = None,
    proxy: int | None = None,
) -> list[dict[str, Any]]:
    model = scene.view.model if model is None else model
    best = recommendations_under(model, clicks, proxy=proxy, k=k, task=_task(scene), user=user)
    pairs = zip(best["item"].tolist(), best["score"].tolist(), strict=True)
    return [scene.item(int(item)) | {"score": score} for item, score in pairs]


def _task(scene: Scene) -> Any:
    return scene.tree["meta"]["task"]


def _plain(value: Any) -> Any:
    """The value if it is a text or number, which can be sent back whatever it is; else None."""
    return value if isinstance(value, str | int | float) else None


def _cut(value: Any) -> str:
    return shortened(repr(value))


def _whole(args: Args, name: str, low: int, high: int) -> int:
    value = args.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} is a number from {low} to {high}; received {_cut(value)}.")
    return value


def _text(args: Args, name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str):
        raise ConfigError(f"{name} is a text; received {_cut(value)}.")
    return value


def _row(scene: Scene, args: Args) -> int:
    return _whole(args, "row", 0, len(scene.rows) - 1)


def _wholes(args: Args, name: str, low: int, high: int) -> list[int]:
    values = args.get(name)
    if not isinstance(values, list):
        raise ConfigError(f"{name} is a list of numbers; received {_cut(values)}.")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"{name} are numbers from {low} to {high}; received {_cut(value)}.")
    return values


def _rows(scene: Scene, args: Args) -> np.ndarray[Any, np.dtype[np.int64]]:
    rows = np.unique(np.array(_wholes(args, "rows", 0, len(scene.rows) - 1), np.int64))
    require(len(rows) > 0, "No session is selected.")
    return rows


def _clicks(scene: Scene, args: Args) -> list[int]:
    clicks = _wholes(args, "clicks", 1, scene.view.model.n_items)
    require(
        0 < len(clicks) <= MOST_CLICKS,
        f"A session has 1 to {MOST_CLICKS:,} clicks here; received {len(clicks):,}.",
    )
    return clicks


def _user(scene: Scene, args: Args) -> int:
    if args.get("user") is None or args.get("user") == -1:
        return -1
    users = scene.tree["users"]
    require(users is not None, "No session has a known user.")
    return scene.user(_whole(args, "user", 0, len(users["id"]) - 1))
