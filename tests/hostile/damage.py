"""Files of a run and of a split, damaged in every way that hypothesis thinks of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from proxysr.data.sessions import SessionSplit
from tests.hostile import shop

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 10**9, 10**30, "last", "proxysr", "..", "\x1b[2J", "=1", "\ud800"])
    | st.floats()
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
DEEP = "[" * 100_000


@st.composite
def damages(draw: st.DrawFn, names: list[str]) -> tuple[str, Any]:
    """A name of a file, and what befalls it."""
    name = draw(st.sampled_from(names))
    kinds = ["cut", "flip", "noise", "other", "gone", "folder", "empty"]
    kinds += ["json"] * 9 + ["deep"] if name.endswith(".json") else []
    kind = draw(st.sampled_from(kinds))
    more = {
        "cut": st.floats(0, 1),
        "flip": st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4),
        "noise": st.binary(max_size=200),
        "other": st.sampled_from(names),
        "json": st.tuples(st.integers(0, 10**6), VALUES, st.booleans()),
    }
    return name, (kind, draw(more.get(kind, st.none())))


def hurt(folder: Path, name: str, damage: tuple[str, Any]) -> None:
    """Damage a file."""
    path, (kind, how) = folder / name, damage
    if kind in ("gone", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
    elif kind == "other":
        content = (folder / how).read_bytes()
        path.write_bytes(content)
    elif kind == "json":
        path.write_text(json.dumps(_changed(json.loads(path.read_text()), *how)))
    elif kind == "deep":
        path.write_text(DEEP)
    else:
        path.write_bytes(_bytes(path.read_bytes(), kind, how))


def _bytes(content: bytes, kind: str, how: Any) -> bytes:
    if kind == "cut":
        return content[: int(how * len(content))]
    if kind == "flip" and content:
        changed = bytearray(content)
        for place, by in how:
            changed[min(int(place * len(content)), len(content) - 1)] ^= by
        return bytes(changed)
    return how if kind == "noise" else b""


def _changed(value: Any, which: int, new: Any, remove: bool) -> Any:
    """A JSON value with one of the values in it replaced or removed."""
    places: list[tuple[Any, Any]] = []

    def walk(one: Any) -> None:
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            places.append((one, key))
            walk(one[key])

    walk(value)
    if not places:
        return new
    parent, key = places[which % len(places)]
    if remove and isinstance(parent, dict):
        del parent[key]
    else:
        parent[key] = new
    return value


def untied(folder: Path) -> None:
    """Leave out the hashes, as older versions did: what is damaged is seen by its readers only."""
    for name in ("data.json", "split.json"):
        if (path := folder / name).is_file():
            content = json.loads(path.read_text())
            del content["files"]
            path.write_text(json.dumps(content))


def tried(whole: Path, place: Path, name: str, damage: Any, tied: bool, split: bool) -> str | None:
    """What is said of a damaged copy; None if nothing was wrong with it.

    Anything but a readable error goes on to the caller.
    """
    folder = place / whole.name
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(whole, folder)
    if not tied:
        untied(folder)
    hurt(folder, name, damage)
    try:
        SessionSplit.load(folder).fingerprint() if split else shop.everything_of(folder)
    except (ValueError, OSError, FloatingPointError) as error:
        said = str(error)
        if not isinstance(error, FloatingPointError) and str(folder) not in said:
            raise AssertionError(f"the error names no file: {said!r}") from error
        return said
    return None


def files_of(folder: Path) -> list[str]:
    """Names of the files that are attacked."""
    unread = ("environment.json", "history.csv")
    return [name for name in shop.files_in(folder) if name not in unread]
