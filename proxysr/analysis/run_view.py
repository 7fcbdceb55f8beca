"""A view of a trained run, for the explorer, the report and the notebooks.

It has the proxy of every session, what is known of the sessions, and their map. Choices are
computed at once; maps, which take longer, when they are first used, and then cached in the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.agreement import planted_found
from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.dataset import stratified, with_known_columns
from proxysr.analysis.interest_names import HandNames, InterestName, name_from_items
from proxysr.analysis.items import ItemCounts, top_items
from proxysr.analysis.profiles import collapse
from proxysr.analysis.projection import (
    FEWEST,
    MapConfig,
    Projection,
    ProjectionPair,
    project_pair,
    project_sessions,
)
from proxysr.analysis.representations import proxy_vectors, representations, with_proxies
from proxysr.config import require
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.models import ProxyModel
from proxysr.run import RunDir

N_ITEMS = 12
"""Items listed for an interest."""

Positions = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RunView:
    """A run, its sessions of one part, and their choices. Make one with :meth:`of`.

    Attributes
    ----------
    run : RunDir
    split : SessionSplit
    part : {"train", "valid", "test"}
    sessions : Sessions
        Those of the part that have a click.
    items : DataFrame
        Row ``i - 1`` describes item index i: ``item_id``, and ``title`` where known.
    model, half_model : ProxyModel
        After the best epoch and half-way to it; None if there is no other epoch half-way.
    table : DataFrame
        One row a session, in the order of ``sessions``: ``session_id``, ``n_clicks`` (all, also if
        the model reads only the latest), ``proxy``, ``probability``, ``runner_up``, ``margin``,
        ``entropy``; ``user`` (id, or "") and ``started_at`` (date, or NaT) where known of any; and
        what else is known of sessions.
    half_table : DataFrame or None
        The choices half-way, in the same order.
    drawn : int64 (n_drawn,)
        Rows of the sessions that maps show: all, or a sample with each proxy's share.
    settings : MapConfig
        How maps are laid out.
    cache : Path or None
        Where maps are cached.
    """

    run: RunDir
    split: SessionSplit
    part: str
    sessions: Sessions
    items: pd.DataFrame
    model: ProxyModel
    half_model: ProxyModel | None
    table: pd.DataFrame
    half_table: pd.DataFrame | None
    drawn: npt.NDArray[np.int64]
    settings: MapConfig
    cache: Path | None
    progress: bool
    _notes: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(
        cls,
        run: RunDir | str | Path,
        *,
        part: str = "test",
        data_dir: str | Path | None = None,
        max_drawn: int = 50_000,
        settings: MapConfig | None = None,
        cache: str | Path | None = None,
        device: str = "cpu",
        progress: bool = False,
    ) -> RunView:
        """Open a run: a million sessions take seconds, without their map.

        Parameters
        ----------
        run : RunDir, str or Path
        part : {"train", "valid", "test"}
            Which sessions to look at.
        data_dir : str or Path, optional
            The prepared data, if it has moved since.
        max_drawn : int
            Most sessions on a map.
        settings : MapConfig, optional
            How maps are laid out; its seed also draws the sample.
        cache : str or Path, optional
            Where maps are cached; by default in the run's folder ``cache``.
        device : {"auto", "cpu", "cuda"}
            Where the model reads the sessions.
        progress : bool
            Show progress bars.

        Raises
        ------
        ConfigError
            If the model chooses no proxies, no session has a click, or there is no such part.
        ValueError
            If the run or its data are missing or damaged.
        """
        require(max_drawn >= 1, f"max_drawn is at least 1; received {max_drawn}.")
        settings = MapConfig() if settings is None else settings
        run = run if isinstance(run, RunDir) else RunDir(run)
        split = run.split(data_dir)
        all_sessions = split.part(part)
        clicked = all_sessions.lengths > 0
        sessions = all_sessions if clicked.all() else all_sessions.select(clicked)
        require(len(sessions) > 0, f"No session of {part} has a click: there is nothing to show.")
        model = with_proxies(run.model("best", device))
        table = assignments_from_model(model, sessions)
        notes = [*run.findings, collapse(table)]
        half_model, note = _half_model(run, device)
        half_table = None if half_model is None else assignments_from_model(half_model, sessions)
        for choices in (table, half_table):
            if choices is not None:  # all clicks, also where only the latest are read
                choices["n_clicks"] = sessions.lengths
        table, missing = with_known_columns(table, sessions, split)
        planted = planted_found(table)
        notes.append(f"{planted}." if planted is not None else None)
        n_known_users = model.n_known_users
        if n_known_users > 0:
            missing.append(
                f"The model has parameters for {n_known_users:,} users, so that its proxies agree "
                "with users is no surprise."
            )
        drawn = stratified(table["proxy"].to_numpy(), max_drawn, settings.seed)
        if len(drawn) < len(table):
            notes.append(
                f"Maps show {len(drawn):,} of {len(table):,} sessions, drawn at random with each "
                "proxy's share; tables and counts are of all."
            )
        titles = None if "title" in run.items else "Items have no titles: their ids are shown."
        return cls(
            run=run,
            split=split,
            part=part,
            sessions=sessions,
            items=run.items,
            model=model,
            half_model=half_model,
            table=table,
            half_table=half_table,
            drawn=drawn,
            settings=settings,
            cache=run.path / "cache" if cache is None else Path(cache),
            progress=progress,
            _notes=tuple(filter(None, [*notes, note, titles, *missing])),
        )

    # -- maps ------------------------------------------------------------------------------

    @cached_property
    def layout(self) -> ProjectionPair | Projection:
        """Drawn sessions, then proxies (if the model has vectors of them), on one map or a pair.

        Raises
        ------
        ConfigError
            If there are too few sessions for a map.
        """
        n, n_shown = len(self.table), len(self.drawn)
        of_all = f"the {self.part} part has {n}. Show another part (--split), or prepare more data"
        of_drawn = f"received max_drawn={n_shown}. Allow more of the {n:,} (--max-drawn)"
        why = of_all if n < FEWEST else of_drawn
        require(n_shown >= FEWEST, f"A map needs at least {FEWEST} sessions; {why}.")
        shown = self.sessions.select(self.drawn)
        vectors = [
            np.concatenate(
                [representations(model, shown, progress=self.progress), *_proxies(model)]
            )
            for model in (self.half_model, self.model)
            if model is not None
        ]
        make: Any = project_sessions if self.half_model is None else project_pair
        layout: ProjectionPair | Projection = make(
            *vectors, config=self.settings, cache=self.cache, progress=self.progress
        )
        return layout

    @property
    def projection(self) -> Projection:
        """The map of the best epoch, to place new sessions on."""
        return self.layout if isinstance(self.layout, Projection) else self.layout.full

    @property
    def half_projection(self) -> Projection | None:
        """The map half-way, if there is one."""
        return None if isinstance(self.layout, Projection) else self.layout.half

    @property
    def positions(self) -> Positions:
        """Where the drawn sessions are (n_drawn, 2)."""
        return self.projection.positions[: len(self.drawn)]

    @property
    def half_positions(self) -> Positions | None:
        """Where they were half-way."""
        half = self.half_projection
        return None if half is None else half.positions[: len(self.drawn)]

    @cached_property
    def proxy_positions(self) -> Positions:
        """Where the proxies are (K, 2).

        NaN for a proxy that no drawn session chose, if the variant has no vectors of proxies.
        """
        return self._proxy_positions(self.projection, self.table)

    @cached_property
    def half_proxy_positions(self) -> Positions | None:
        """Where they were half-way."""
        if self.half_projection is None or self.half_table is None:
            return None
        return self._proxy_positions(self.half_projection, self.half_table)

    def _proxy_positions(self, projection: Projection, table: pd.DataFrame) -> Positions:
        positions = projection.positions[len(self.drawn) :]
        if len(positions):
            return positions
        shown = pd.DataFrame(projection.positions)
        middle = shown.groupby(table["proxy"].to_numpy()[self.drawn]).median()
        return middle.reindex(range(self.n_proxies)).to_numpy(np.float32)

    @property
    def projection_quality(self) -> str:
        """Lines on the quality of the maps."""
        parts = [f"{self.name_of_epoch('best')}: {self.projection.quality}"]
        if isinstance(self.layout, ProjectionPair):
            half = f"{self.name_of_epoch('half')}: {self.layout.half.quality}"
            parts = [half, *parts, str(self.layout)]
        return "\n".join(parts)

    # -- words -----------------------------------------------------------------------------

    @property
    def n_proxies(self) -> int:
        """Number K of proxies."""
        return self.model.n_proxies

    @cached_property
    def proxy_sizes(self) -> npt.NDArray[np.int64]:
        """Number of sessions (K,) that chose each proxy."""
        return np.bincount(self.table["proxy"], minlength=self.n_proxies)

    @cached_property
    def half_proxy_sizes(self) -> npt.NDArray[np.int64] | None:
        """Number of sessions (K,) of each proxy half-way."""
        if self.half_table is None:
            return None
        return np.bincount(self.half_table["proxy"], minlength=self.n_proxies)

    @property
    def notes(self) -> list[str]:
        """Sentences on the result of training, and on missing or sampled data."""
        layout = self.__dict__.get("layout")  # notes do not compute a map
        maps = [layout.half, layout.full] if isinstance(layout, ProjectionPair) else [layout]
        names = [self.hand_names.note] if self.hand_names.note else []
        return [*self._notes, *(m.note for m in maps if m is not None and m.note), *names]

    def name_of_epoch(self, which: str) -> str:
        """Words for a snapshot, such as "after epoch 8 (best)"."""
        epoch = self.run.best_epoch if which == "best" else self.run.half_epoch
        return f"after epoch {epoch} ({which if which == 'best' else 'half-way'})"

    @cached_property
    def item_counts(self) -> ItemCounts:
        """Which items are in which sessions; computed once for all selections."""
        return ItemCounts.of(self.sessions, len(self.items))

    @cached_property
    def _names(self) -> npt.NDArray[np.object_]:
        ids = self.items["item_id"].astype(str)
        titles = self.items.get("title", ids)
        return titles.where(titles.notna() & (titles != ""), ids).astype(str).to_numpy(object)

    def label(self, item: int) -> str:
        """Title of an item index, else its id; ConfigError if there is no such item."""
        n = len(self.items)
        require(1 <= item <= n, f"Items are 1 to {n}; received {item}.")
        return str(self._names[item - 1])

    def rows_of(self, proxy: int) -> npt.NDArray[np.int64]:
        """Rows of the sessions that chose a proxy."""
        return np.flatnonzero(self.table["proxy"].to_numpy() == proxy)

    def items_of(self, proxy: int) -> pd.DataFrame:
        """The typical items of a proxy's sessions; see :func:`top_items`."""
        cached = self._items_of
        if proxy not in cached:
            n = self.n_proxies
            require(0 <= proxy < n, f"Proxies are 0 to {n - 1}; received {proxy}.")
            rows, counts = self.rows_of(proxy), self.item_counts
            cached[proxy] = top_items(self.sessions, rows, self.items, k=N_ITEMS, counts=counts)
        return cached[proxy]

    def interest(self, proxy: int) -> InterestName:
        """The name of a proxy, given by hand or else made of its items.

        Raises
        ------
        ConfigError
            If there is no such proxy.
        """
        names = self._names_by_items
        if proxy not in names:
            top, n_sessions = self.items_of(proxy), int(self.proxy_sizes[proxy])
            names[proxy] = name_from_items(top, n_sessions, self.label)
        by_hand = self.hand_names.names
        return InterestName(by_hand[proxy], "hand") if proxy in by_hand else names[proxy]

    def rename(self, proxy: int, name: str) -> InterestName:
        """Name a proxy by hand and store the name; an empty name restores the one from its items.

        Raises
        ------
        ConfigError
            If there is no such proxy, or the name is too long.
        ValueError, OSError
            If the file of names is damaged or cannot be written.
        """
        self.items_of(proxy)
        self.hand_names.give(proxy, name)
        return self.interest(proxy)

    def proxy_label(self, proxy: int) -> str:
        """Number and name of a proxy, such as "12 · oak chair".

        Raises
        ------
        ConfigError
            If there is no such proxy.
        """
        return f"{proxy} · {self.interest(proxy).name}"

    @cached_property
    def hand_names(self) -> HandNames:
        """The names that were given by hand."""
        return HandNames(self.run)

    @cached_property
    def _items_of(self) -> dict[int, pd.DataFrame]:
        return {}

    @cached_property
    def _names_by_items(self) -> dict[int, InterestName]:
        return {}


def _proxies(model: ProxyModel) -> list[npt.NDArray[np.float32]]:
    """Vectors of the proxies, if sessions are represented by mixtures of them."""
    return [proxy_vectors(model)] if model.represents_by_proxies else []


def _half_model(run: RunDir, device: str) -> tuple[ProxyModel | None, str | None]:
    """The model half-way, or a sentence on why there is none."""
    if run.half_epoch == run.best_epoch:
        return None, f"Half-way is the best epoch itself ({run.best_epoch}): there is one map."
    try:
        return with_proxies(run.model("half", device)), None
    except ValueError as error:
        return None, f"The model half-way cannot be shown: {error}"
