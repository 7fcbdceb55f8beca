"""Maps of sessions by t-SNE, with measures of their quality.

At a low temperature, a model gives many sessions the same vector: that of their proxy. Three
measures keep such a map readable. Proxies are laid out together with the sessions (the caller
stacks them), so that each is among its sessions. Seeded noise of a thousandth of the spread is
added to all vectors: equal points become a disc whose area shows their number, where exact ties
would make rings. And the map of a later epoch starts from the positions of the earlier map, without
early exaggeration, so that points move only if the model changed. Where early exaggeration draws
a few points, all alike far from each other, into one, the map begins again without it.

Positions within a disc have no meaning. The quality of a map is measured; distances that differ by
less than the noise count as equal.

L. van der Maaten, G. Hinton: Visualizing Data using t-SNE. JMLR 9, 2008. P. G. Poličar,
M. Stražar, B. Zupan: openTSNE, a modular Python library for t-SNE. J. Stat. Softw. 109, 2024.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from proxysr.analysis.map_quality import (
    MapQuality,
    jittered,
    map_quality,
    median_movement,
    neighbour_overlap,
    spread_of,
)
from proxysr.config import AtLeastOne, Settings, Whole, require
from proxysr.files import replacing

VERSION = 4
FEWEST = 5
NEAR = 25
"""Neighbours whose median position a new session is put at."""

Floats = npt.NDArray[np.floating[Any]]


class MapConfig(Settings):
    """How a map is laid out."""

    perplexity: AtLeastOne = 30.0
    """About how many neighbours each point is held to; at most a third of the points."""
    seed: int = 0
    """Seed of the small random move and of the search for neighbours."""
    early_iterations: Whole = 250
    """Steps in which attraction is 12 times as strong, so that groups find together."""
    iterations: Whole = 500
    """Steps after these. A map that continues another takes as many as both together, since it has
    further to go: on Online Retail, it keeps 0.65 of the neighbours after 250 steps, 0.93 after
    500 and 0.96 after 750."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Points on a map.

    Attributes
    ----------
    positions : float32 (n, 2)
    quality : MapQuality
        What the map keeps of the vectors' distances.
    settings : MapConfig
    vectors : float32 (n, D)
        What was laid out, after the small random move; new sessions are compared with them.
    note : str
        What happened to the cached map, or empty.
    """

    positions: npt.NDArray[np.float32]
    quality: MapQuality
    settings: MapConfig
    vectors: npt.NDArray[np.float32] = field(repr=False)
    note: str = ""


@dataclass(frozen=True, eq=False)
class ProjectionPair:
    """The same points by a model half-way and at its best; the second map continues the first.

    Attributes
    ----------
    half, full : Projection
    disparity : float
        What is left of the squared distances after the best shift, scaling, rotation and
        reflection (Procrustes): 0 for the same shape, at most 1.
    neighbour_overlap : float
        Share of each point's 10 neighbours on one map that are its neighbours on the other.
    movement : float
        Median distance that points moved, in units of the first map's radius (the root of the
        mean squared distance from its centre).
    """

    half: Projection
    full: Projection
    disparity: float
    neighbour_overlap: float
    movement: float

    def __str__(self) -> str:
        return (
            f"from half to full: Procrustes disparity {self.disparity:.2f}, neighbour overlap "
            f"{self.neighbour_overlap:.2f}, median movement {self.movement:.2f} of the radius"
        )


def project_sessions(
    vectors: Floats,
    *,
    config: MapConfig | None = None,
    start: Floats | None = None,
    cache: str | Path | None = None,
    progress: bool = False,
) -> Projection:
    """Lay out vectors on a map by t-SNE; the same input gives the same map.

    Parameters
    ----------
    vectors : (n, D)
        At least 5 points, all finite, of at least 2 numbers.
    config : MapConfig, optional
    start : (n, 2), optional
        Positions to start from, without early exaggeration; by default the first two principal
        components, with it.
    cache : str or Path, optional
        A folder to keep the map in. It is found again if vectors, start and settings are the same;
        if it cannot be written, the map's ``note`` says so.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ConfigError
        If there are too few points or dimensions, one is not finite, or ``start`` has not one row
        for each.
    """
    config = MapConfig() if config is None else config
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    require(
        vectors.ndim == 2 and len(vectors) >= FEWEST,
        f"A map needs at least {FEWEST} vectors; received shape {vectors.shape}.",
    )
    require(
        vectors.shape[1] >= 2,
        f"A map needs vectors of at least 2 numbers; received {vectors.shape[1]}. Train with "
        "embedding_dim=2 or more.",
    )
    strange = int((~np.isfinite(vectors).all(axis=1)).sum())
    require(strange == 0, f"{strange} of {len(vectors)} vectors are not finite; no map shows them.")
    if start is not None:
        start = np.ascontiguousarray(start, dtype=np.float64)
        require(
            start.shape == (len(vectors), 2),
            f"start needs one position a vector, {(len(vectors), 2)}; received {start.shape}.",
        )
    key, note = _key(vectors, start, config), ""
    path = None if cache is None else Path(cache) / f"map-{key[:16]}.npz"
    moved = jittered(vectors, config.seed)
    if path is not None and path.is_file():
        try:
            return Projection(*_read(path, key, len(vectors)), config, moved)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            note = f"The kept map {path.name} was damaged; the map was made anew."
    positions = _tsne(moved, config, start, progress)
    quality = map_quality(vectors, positions, seed=config.seed)
    if path is not None:
        figures = np.array(list(asdict(quality).values()), dtype=np.float64)
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, positions=positions, quality=figures, key=np.array(key))
        except OSError as error:  # a run that may only be read; the map itself is there
            note = f"The map could not be kept in {path.parent} ({error.strerror or error})."
    return Projection(positions, quality, config, moved, note)


def project_pair(
    half: Floats,
    full: Floats,
    *,
    config: MapConfig | None = None,
    cache: str | Path | None = None,
    progress: bool = False,
) -> ProjectionPair:
    """Lay out the same points by two snapshots of a model, the second from where the first ended.

    Parameters
    ----------
    half, full : (n, D)
        Row i is the same session (or proxy) in both.
    config, cache, progress
        See :func:`project_sessions`.

    Raises
    ------
    ConfigError
        As there, and if the two have not equally many rows.
    """
    from scipy.spatial import procrustes

    require(
        len(half) == len(full),
        f"Both snapshots have the same points; received {len(half)} and {len(full)}.",
    )
    options = {"config": config, "cache": cache, "progress": progress}
    first = project_sessions(half, **options)  # type: ignore[arg-type]
    second = project_sessions(full, start=first.positions, **options)  # type: ignore[arg-type]
    return ProjectionPair(
        first,
        second,
        disparity=float(procrustes(first.positions, second.positions)[2]),
        neighbour_overlap=neighbour_overlap(first.positions, second.positions),
        movement=median_movement(first.positions, second.positions),
    )


def place(vectors: Floats, projection: Projection) -> npt.NDArray[np.float32]:
    """Positions (m, 2) of new sessions (m, D) on a map, which does not change.

    Each is at the median position of the 25 closest vectors of the map, where openTSNE's
    ``prepare_partial`` starts; optimising from there would take seconds.
    """
    from sklearn.neighbors import NearestNeighbors

    on_map = projection.vectors
    require(
        vectors.ndim == 2 and vectors.shape[1] == on_map.shape[1],
        f"Vectors to place are (m, {on_map.shape[1]}); received {vectors.shape}.",
    )
    search = NearestNeighbors(n_neighbors=min(NEAR, len(on_map)), algorithm="brute").fit(on_map)
    neighbours = search.kneighbors(np.asarray(vectors, np.float32), return_distance=False)
    return np.asarray(np.median(projection.positions[neighbours], axis=1), np.float32)


def _tsne(
    vectors: npt.NDArray[np.float32], config: MapConfig, start: Floats | None, progress: bool
) -> npt.NDArray[np.float32]:
    # loading takes a second, and a map from the cache needs none of it
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.initialization import pca

    data = vectors.astype(np.float64)
    fixed = {"random_state": config.seed, "n_jobs": 1}  # the number of jobs may change the map
    affinities = PerplexityBasedNN(
        data, perplexity=min(config.perplexity, (len(data) - 1) / 3), **fixed
    )
    steps = config.early_iterations + config.iterations
    early = config.early_iterations if start is None else 0
    first = pca(data, random_state=config.seed) if start is None else np.array(start)
    with tqdm(total=steps, desc="map", leave=False, disable=not progress) as bar:

        def tick(*_: Any) -> bool:
            bar.update(EVERY)
            return False

        options = {"callbacks": tick, "callbacks_every_iters": EVERY, **fixed}
        embedding = TSNEEmbedding(first.copy(), affinities, **options)
        if early:
            embedding.optimize(early, exaggeration=12, momentum=0.5, inplace=True)
            if spread_of(embedding) < spread_of(first):
                embedding = TSNEEmbedding(first, affinities, **options)
                bar.total, early = steps + early, 0
        if steps > early:
            embedding.optimize(steps - early, momentum=0.8, inplace=True)
    return np.asarray(embedding, np.float32)


EVERY = 25
"""Steps between two moves of the progress bar."""


def _key(vectors: Floats, start: Floats | None, config: MapConfig) -> str:
    """SHA-256 of everything that a map depends on."""
    from importlib.metadata import version

    inputs = [VERSION, version("openTSNE"), vectors.shape, config.to_dict(), start is not None]
    digest = hashlib.sha256(json.dumps(inputs).encode())
    digest.update(vectors.data)
    if start is not None:
        digest.update(np.ascontiguousarray(start).data)
    return digest.hexdigest()


def _read(path: Path, key: str, n: int) -> tuple[npt.NDArray[np.float32], MapQuality]:
    """Read a cached map; an error if it is damaged or another map."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        positions, figures = arrays["positions"], arrays["quality"]
        if str(arrays["key"]) != key or positions.shape != (n, 2) or len(figures) != 4:
            raise ValueError("another map")
        recall, trustworthiness, cpd, n_compared = (float(figure) for figure in figures)
    return positions, MapQuality(recall, trustworthiness, cpd, int(n_compared))
