"""Weights of a run on disk, as safetensors: those of some epochs, and all to continue from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from proxysr.files import replacing
from proxysr.training import Checkpoint, State, TrainState

FORMAT = "proxysr-run"


class SnapshotFolder(MutableMapping[int, State]):
    """Weights by epoch, one file each; deletions wait for :meth:`purge`.

    Until the checkpoint of an epoch is written, the previous one still counts, and with
    it the weights it names as best and half-way.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deleted: set[int] = set()

    def __getitem__(self, epoch: int) -> State:
        if epoch not in set(self):
            raise KeyError(epoch)
        return load_weights(self._file(epoch))

    def __setitem__(self, epoch: int, state: State) -> None:
        self.deleted.discard(epoch)
        save_weights(self._file(epoch), state, {"epoch": str(epoch)})

    def __delitem__(self, epoch: int) -> None:
        self.deleted.add(epoch)

    def __iter__(self) -> Iterator[int]:
        files = self.folder.glob("epoch-*.safetensors")
        return iter(
            sorted({int(file.stem.removeprefix("epoch-")) for file in files} - self.deleted)
        )

    def __len__(self) -> int:
        return len(list(iter(self)))

    def purge(self) -> None:
        """Remove the files of what was deleted."""
        for epoch in self.deleted:
            self._file(epoch).unlink(missing_ok=True)
        self.deleted.clear()

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.safetensors"


def write_checkpoint(path: Path, state: TrainState) -> None:
    """Write all that :func:`read_checkpoint` and :func:`read_metadata` need."""
    saved = state.checkpoint()
    tensors = {f"model.{name}": tensor for name, tensor in saved.model.items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in saved.optimizer.items()}
    metadata = {
        "history": json.dumps(saved.rows),
        "best_epoch": str(state.history.best_epoch),
        "half_epoch": str(state.history.half_epoch),
    }
    save_weights(path, tensors, metadata)


def read_checkpoint(path: Path) -> Checkpoint:
    """What training continues from."""
    tensors = load_weights(path)
    rows = json.loads(read_metadata(path, "history")["history"])
    return Checkpoint(of_model(tensors), _sub(tensors, "optimizer."), rows)


def of_model(tensors: State) -> State:
    """The model's part of a checkpoint."""
    return _sub(tensors, "model.")


def _sub(tensors: State, prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def save_weights(path: Path, tensors: State, metadata: Mapping[str, str]) -> None:
    """Write tensors; equal tensors and metadata make equal bytes."""
    with replacing(path) as temporary:
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(whole, temporary, metadata={"format": FORMAT, **metadata})
        with temporary.open("r+b") as file:
            _sort_header(file)


def _sort_header(file: BinaryIO) -> None:
    """Put the keys of the header in order; safetensors writes those of the metadata in any."""
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) <= size:  # else its text was escaped in another way, and is right as it is
        file.seek(8)
        file.write(text.ljust(size))


def load_weights(path: Path) -> State:
    """The tensors of a file that :func:`save_weights` wrote.

    Raises
    ------
    ValueError
        If it is missing, damaged or of another program; so, too, in :func:`read_metadata`.
    """
    read_metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None


def read_metadata(path: Path, *needed: str) -> dict[str, str]:
    """The metadata of such a file, without its tensors; with the keys ``needed``."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by proxysr.")
    if missing := set(needed) - set(metadata):
        raise ValueError(f"{path} is damaged: its metadata has no {min(missing)!r}.")
    return metadata
