"""Evidence as small files, so that a page can be made of runs on several machines.

The files::

    FOLDER/LOG/MODEL-SEED-1a2b3c4d.json    settings, validation, and a rank for each target
    FOLDER/LOG/targets-5e6f7a8b.json       sessions and popularity of the targets of many runs

Arrays are bytes, compressed by zlib, in base 85. Each file has a hash of what it says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proxysr.data.sessions import Task
from proxysr.evaluation import WhoseHistory
from proxysr.files import read_json, write_json
from proxysr.models import model_class
from proxysr.paper.evidence import OF_PROVENANCE, Evidence, Ranked, Targets
from proxysr.paper.popularity import CLASSES
from proxysr.training import TrainConfig

DEPTH = 20
"""Kept ranks go so far, the length of the paper's lists; of others it is kept that they are not."""
BEYOND = 2 * DEPTH + 1
MOST_BYTES = 2**26
"""Of an array; a small file may say that it has many more."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Targets(_Strict):
    """A file of targets."""

    format: Literal["proxysr targets 2"] = "proxysr targets 2"
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    per_session: str
    """Targets of each session, four bytes each, the low one first."""
    popularity: str
    """Class of each target, a byte each."""
    n_items: list[int]


class _Ranked(_Strict):
    """An evaluation."""

    min_prefix: int = Field(ge=0)
    targets: str
    """The fingerprint of its targets."""
    ranks: str
    """Twice the rank of each target, a byte each; BEYOND stands for those that are not kept."""
    known: list[int]
    """Numbers of the sessions whose user is known."""


class _Data(_Strict):
    fingerprint: str
    n_items: int = Field(ge=1)
    provenance: dict[str, dict[str, Any]]


class _Evidence(_Strict):
    """A file of evidence."""

    format: Literal["proxysr evidence 2"] = "proxysr evidence 2"
    log: str
    data: _Data
    model: str
    settings: dict[str, Any]
    train: dict[str, Any]
    n_known: int = Field(ge=0)
    best_epoch: int = Field(ge=0)
    n_epochs: int = Field(ge=1)
    validation: float
    popularity: float | None
    ranked: dict[Task, _Ranked] = Field(min_length=1)
    histories: dict[WhoseHistory, _Ranked] = {}


def write_kept(folder: str | Path, evidence: Sequence[Evidence]) -> None:
    """Keep evidence of runs, each in a file; that of the same run, trained before, is replaced.

    Raises
    ------
    ValueError
        See :func:`read_kept`.
    """
    before = {one.key: one.path for one in read_kept(folder)}
    for one in evidence:
        log = Path(folder) / re.sub(r"[^\w-]+", "-", one.log)
        log.mkdir(parents=True, exist_ok=True)
        kept = _Evidence(
            log=one.log, data=_Data(**one.data), model=one.model_name,
            settings=one.model_config.to_dict(), train=one.train_config.to_dict(),
            n_known=one.n_known, best_epoch=one.best_epoch, n_epochs=one.n_epochs,
            validation=one.validation, popularity=one.popularity,
            ranked={task: _keep(ranked, log) for task, ranked in one.ranked.items()},
            histories={whose: _keep(ranked, log) for whose, ranked in one.histories.items()},
        )  # fmt: skip
        path = log / f"{one.model_name}-{one.train_config.seed}-{one.key[:8]}.json"
        _write(path, kept)
        if before.get(one.key, path) != path:  # of a version with other settings by default
            before[one.key].unlink()


def _keep(ranked: Ranked, folder: Path) -> _Ranked:
    """An evaluation as it is kept; its targets are written once for all runs."""
    targets = ranked.targets
    path = folder / f"targets-{targets.fingerprint[:8]}.json"
    if not path.is_file():
        of_targets = _Targets(
            fingerprint=targets.fingerprint,
            per_session=_packed(np.bincount(targets.session).astype("<u4")),
            popularity=_packed(targets.popularity.astype(np.uint8)),
            n_items=list(targets.n_items),
        )
        _write(path, of_targets)
    return _Ranked(
        min_prefix=ranked.min_prefix,
        targets=targets.fingerprint,
        ranks=_packed(np.minimum(2 * ranked.ranks, BEYOND).astype(np.uint8)),
        known=np.flatnonzero(ranked.known).tolist(),
    )


def read_kept(folder: str | Path) -> list[Evidence]:
    """The evidence that is kept in a folder, by log and name; none if it is not there.

    Raises
    ------
    ValueError
        If it is a file, or a JSON file in it is damaged, or something else.
    """
    folder = Path(folder)
    if folder.is_file():
        raise ValueError(f"{folder} is a file; kept results need a folder.")
    paths = sorted(folder.glob("**/*.json"))
    targets: dict[str, Targets] = {}
    for path in filter(_has_targets, paths):
        with _reading(path) as content:
            found = _targets(_Targets.model_validate(content))
        targets[found.fingerprint] = found
    evidence: dict[str, Evidence] = {}
    for path in paths:
        if not _has_targets(path):
            with _reading(path) as content:
                one = _evidence(_Evidence.model_validate(content), path, targets)
                if (first := evidence.setdefault(one.key, one)) is not one:
                    raise ValueError(f"it is of the same run as {first.path}.")
    return list(evidence.values())


def _has_targets(path: Path) -> bool:
    return path.name.startswith("targets-")


def _write(path: Path, file: _Strict) -> None:
    content = file.model_dump(mode="json")
    write_json(path, content | {"sha256": _hash(content)})


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """What a file says, without its hash; the file is named in what is wrong with it."""
    try:
        content = read_json(path)
        said = content.pop("sha256", None) if isinstance(content, dict) else None
        yield content
        if said != _hash(content):
            raise ValueError("it was changed after it had been written.")
    except (ValueError, OSError, zlib.error) as error:
        problem = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
        raise ValueError(
            f"{path} is damaged, or no kept result: {problem} Move it out of the folder of kept "
            "results, or name another one."
        ) from None


def _targets(file: _Targets) -> Targets:
    counts = _unpacked(file.per_session, "<u4")
    popularity = _unpacked(file.popularity, "u1")
    if len(file.n_items) != len(CLASSES) or popularity.max(initial=0) >= len(CLASSES):
        raise ValueError(f"popularity has {len(CLASSES)} classes.")
    if not len(popularity) or counts.sum() != len(popularity) or not counts.all():
        raise ValueError("sessions and targets do not add up.")
    session = np.repeat(np.arange(len(counts)), counts)
    return Targets(file.fingerprint, session, popularity, tuple(file.n_items))


def _evidence(file: _Evidence, path: Path, targets: Mapping[str, Targets]) -> Evidence:
    if file.best_epoch >= file.n_epochs:
        raise ValueError("its best epoch is after its last one.")
    data = file.data.model_dump()
    if foreign := [
        f"{part}.{key}" for part, values in data["provenance"].items() for key in values
        if key not in OF_PROVENANCE.get(part, ())
    ]:  # fmt: skip
        raise ValueError(f"{', '.join(foreign)}: unknown.")
    return Evidence(
        path=path, model_name=file.model,
        model_config=model_class(file.model).Config.from_dict(file.settings),
        train_config=TrainConfig.from_dict(file.train), log=file.log, data=data,
        n_known=file.n_known, best_epoch=file.best_epoch, n_epochs=file.n_epochs,
        validation=file.validation, popularity=file.popularity,
        ranked={task: _ranked(found, task, targets) for task, found in file.ranked.items()},
        histories={w: _ranked(found, w, targets) for w, found in file.histories.items()},
    )  # fmt: skip


def _ranked(found: _Ranked, name: str, targets: Mapping[str, Targets]) -> Ranked:
    if found.targets not in targets:
        raise ValueError(f"its targets, {found.targets[:8]}, are in no file beside it.")
    of_targets = targets[found.targets]
    doubled = _unpacked(found.ranks, "u1")
    if len(doubled) != len(of_targets.session) or doubled.min() < 2 or doubled.max() > BEYOND:
        raise ValueError(f"ranks of {name} are not from 2 to {BEYOND}, one a target.")
    known = np.zeros(of_targets.session[-1] + 1, dtype=np.bool_)
    if found.known and not 0 <= min(found.known) <= max(found.known) < len(known):
        raise ValueError("known sessions are not numbers of its sessions.")
    known[found.known] = True
    return Ranked(found.min_prefix, of_targets, doubled / 2, known, DEPTH)


def _packed(values: npt.NDArray[Any]) -> str:
    # ranks hardly repeat in sequence, so that codes of single bytes are the smallest
    packing = zlib.compressobj(9, strategy=zlib.Z_HUFFMAN_ONLY)
    return base64.b85encode(packing.compress(values.tobytes()) + packing.flush()).decode()


def _unpacked(text: str, dtype: str) -> npt.NDArray[np.int64]:
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(base64.b85decode(text), MOST_BYTES)
    if not unpacking.eof:
        raise ValueError(f"an array does not end, or has more than {MOST_BYTES:,} bytes.")
    return np.frombuffer(content, dtype).astype(np.int64)
