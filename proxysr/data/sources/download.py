"""Downloads into the cache folder, and checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

from proxysr import paths

DOWNLOAD = "download"
"""The SOURCE that stands for "get the file from where it is published"."""


def fetch(url: str, name: str, known_hash: str | None) -> Path:
    """``url`` as file ``name`` of the cache folder, downloaded unless it is there.

    A file that does not have ``known_hash`` (``"sha256:…"``) is refused by pooch with
    ``ValueError``.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    got = pooch.retrieve(
        url, known_hash=known_hash, fname=name, path=paths.cache() / "downloads", progressbar=True
    )
    return Path(got)


def checksum(path: Path, algorithm: str) -> str:
    """Checksum of a file ("md5", "sha256"), in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify(path: Path, algorithm: str, expected: str) -> None:
    """Raise ``ValueError`` unless the file has the published checksum."""
    found = checksum(path, algorithm)
    if found != expected:
        raise ValueError(
            f"{path.name} is not the published file: its {algorithm.upper()} is {found}, the "
            f"published one {expected}. The download is incomplete or damaged; get it again."
        )
