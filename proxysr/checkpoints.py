"""Weights of a run on disk, as safetensors: snapshots of epochs, and checkpoints to resume from.

A file's metadata name its run and epoch and the hash of its tensors. Damaged weights, or weights
of another run or epoch, are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from proxysr.files import replacing
from proxysr.findings import CRITERION
from proxysr.training import Checkpoint, State, TrainState

FORMAT = "proxysr-run"


class SnapshotFolder(MutableMapping[int, State]):
    """Weights by epoch, one file each; deletions wait for :meth:`purge`.

    Until the checkpoint of an epoch is written, the previous checkpoint is valid, and so the
    weights that it names as best and half-way must stay.
    """

    def __init__(self, folder: Path, run: str = "") -> None:
        self.folder = folder
        self.run = run
        """Identity of the run; see :attr:`proxysr.run.RunDir.identity`."""
        self.deleted: set[int] = set()

    def __getitem__(self, epoch: int) -> State:
        if epoch not in set(self):
            raise KeyError(epoch)
        return load_weights(self._file(epoch), run=self.run, epoch=epoch)

    def __setitem__(self, epoch: int, state: State) -> None:
        self.deleted.discard(epoch)
        save_weights(self._file(epoch), state, {"run": self.run, "epoch": str(epoch)})

    def __delitem__(self, epoch: int) -> None:
        self.deleted.add(epoch)

    def __iter__(self) -> Iterator[int]:
        files = self.folder.glob("epoch-*.safetensors")
        numbers = (file.stem.removeprefix("epoch-") for file in files)
        return iter(sorted({int(n) for n in numbers if n.isdecimal()} - self.deleted))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def purge(self) -> None:
        """Remove the files of deleted epochs."""
        for epoch in self.deleted:
            self._file(epoch).unlink(missing_ok=True)
        self.deleted.clear()

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.safetensors"


def write_checkpoint(path: Path, state: TrainState, run: str = "") -> None:
    """Write all that :func:`read_checkpoint` and :func:`read_metadata` need."""
    saved = state.checkpoint()
    tensors = {f"model.{name}": tensor for name, tensor in saved.model.items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in saved.optimizer.items()}
    metadata = {
        "run": run,
        "history": json.dumps(saved.rows),
        "best_epoch": str(state.history.best_epoch),
        "half_epoch": str(state.history.half_epoch),
    }
    save_weights(path, tensors, metadata)


def read_checkpoint(path: Path, run: str = "") -> Checkpoint:
    """Read the state that training resumes from."""
    tensors = load_weights(path, run=run)
    return Checkpoint(of_model(tensors), _sub(tensors, "optimizer."), read_progress(path).rows)


class Progress(NamedTuple):
    """The history of training up to a checkpoint."""

    rows: list[dict[str, float]]
    best_epoch: int
    half_epoch: int


def read_progress(path: Path) -> Progress:
    """The history that a checkpoint holds, checked."""
    metadata = read_metadata(path, "history", "best_epoch", "half_epoch")
    try:
        rows = json.loads(metadata["history"])
        best, half = int(metadata["best_epoch"]), int(metadata["half_epoch"])
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            raise ValueError("it is no list of epochs")
        for number, row in enumerate(rows):
            values = row.values()
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
                raise ValueError(f"epoch {number} holds something that is no number")
            if CRITERION not in row or row.get("epoch") != number:
                raise ValueError(f"epoch {number} has no {CRITERION} or another number")
        if not 0 <= half <= best < len(rows):
            raise ValueError(f"{len(rows)} epochs, the best is {best}, half-way {half}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its history cannot be read ({error}).") from None
    return Progress(rows, best, half)


def of_model(tensors: State) -> State:
    """The model's part of a checkpoint."""
    return _sub(tensors, "model.")


def _sub(tensors: State, prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def save_weights(path: Path, tensors: State, metadata: Mapping[str, str]) -> None:
    """Write tensors; equal tensors and metadata give equal bytes."""
    with replacing(path) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        all_metadata = {"format": FORMAT, "sha256": hash_of(contiguous), **metadata}
        temporary.touch()
        mode = temporary.stat().st_mode  # follows the user's umask, which safetensors ignores
        save_file(contiguous, temporary, metadata=all_metadata)
        temporary.chmod(mode)
        with temporary.open("r+b") as file:
            _sort_header(file)


def _sort_header(file: BinaryIO) -> None:
    """Sort the keys of the header; safetensors writes metadata in any order."""
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) <= size:  # else safetensors escaped text in another way; leave it
        file.seek(8)
        file.write(text.ljust(size))


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_weights(path: Path, *, run: str = "", epoch: int | None = None) -> State:
    """The tensors of a file that :func:`save_weights` wrote.

    Parameters
    ----------
    path : Path
    run : str
        Identity of the run that they must belong to.
    epoch : int, optional
        The epoch that they must belong to.

    Raises
    ------
    ValueError
        If the file is missing, damaged, or of another program, run or epoch.
    """
    metadata = read_metadata(path)
    for key, expected in (("run", run), ("epoch", None if epoch is None else str(epoch))):
        if expected and metadata.get(key, expected) != expected:  # older files lack the key
            actual = f"epoch {metadata[key]}, not {epoch}" if key == "epoch" else "another run"
            raise ValueError(
                f"{path} holds the weights of {actual}. Put the right file there, or train again."
            )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None
    if metadata.get("sha256", actual_hash := hash_of(tensors)) != actual_hash:
        raise ValueError(f"{path} is missing or damaged (its values are not those written).")
    return tensors


def read_metadata(path: Path, *required: str) -> dict[str, str]:
    """The metadata of a file that :func:`save_weights` wrote, with the ``required`` keys.

    Raises
    ------
    ValueError
        If the file is missing, damaged, of another program, or lacks a key.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by proxysr.")
    if missing := set(required) - set(metadata):
        raise ValueError(f"{path} is damaged: its metadata has no {min(missing)!r}.")
    return metadata
