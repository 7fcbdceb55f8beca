"""Arrays of sessions in files: ``.npy``, which can be memory-mapped, or Parquet for some texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.data.ids import packed


def write_array(folder: Path, name: str, array: npt.NDArray[Any]) -> None:
    """Write ``name.npy`` without pickle; ``name.parquet`` if texts differ much in length."""
    array = np.asarray(array)
    if array.dtype == object:
        array = packed([str(value) for value in array])
    if array.dtype == object:  # .npy would pad them
        table = pd.DataFrame({name: pd.Series(array, dtype="str")})
        table.to_parquet(folder / f"{name}.parquet", index=False)
    else:
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def read_array(folder: Path, name: str) -> npt.NDArray[Any]:
    """What :func:`write_array` wrote, memory-mapped if it is ``.npy``; ``ValueError`` names it."""
    path = folder / f"{name}.npy"
    try:
        if name == "session_ids" and path.with_suffix(".parquet").is_file():
            path = path.with_suffix(".parquet")
            return pd.read_parquet(path)[name].to_numpy(dtype=object)
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except Exception as error:  # numpy raises all kinds of errors for a damaged header
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is missing or damaged ({reason}).") from None
