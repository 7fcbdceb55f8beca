"""A view of a run, made by hand: what the report reads, with positions that need no layout."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from proxysr.analysis.assignments import assignments_from_model
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.runs import RunDir, evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.contract.small import SMALL, cycles, split_of


@dataclass
class View:
    run: RunDir
    split: SessionSplit
    part: str
    sessions: Sessions
    items: pd.DataFrame
    model: Any
    half_model: Any
    table: pd.DataFrame
    half_table: pd.DataFrame | None
    positions: np.ndarray
    half_positions: np.ndarray | None
    drawn: np.ndarray
    proxy_positions: np.ndarray
    half_proxy_positions: np.ndarray | None
    projection: Any
    half_projection: Any
    layout: str = "from half to full: median movement 0.10 of the radius"
    notes: list[str] = field(default_factory=list)

    @property
    def n_proxies(self) -> int:
        return int(self.model.n_proxies)

    def label(self, item: int) -> str:
        row = self.items.iloc[item - 1]
        return str(row["title"] if "title" in self.items else row["item_id"])

    def proxy_label(self, proxy: int) -> str:
        rows = np.flatnonzero(self.table["proxy"] == proxy)[:1]
        return f"{proxy} · " + ", ".join(self.label(self.sessions[row][0]) for row in rows)


def spread(table: pd.DataFrame, n_proxies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A heap of dots for each proxy, and the heaps' middles."""
    random = np.random.default_rng(seed)
    middles = random.normal(scale=10, size=(n_proxies, 2))
    dots = middles[table["proxy"]] + random.normal(size=(len(table), 2))
    return dots.astype(np.float32), middles.astype(np.float32)


def view_of(path: Path, part: str = "test") -> View:
    run = RunDir(path)
    split = run.split()
    sessions = split.part(part)
    model, half_model = run.model(), run.model("half")
    table = assignments_from_model(model, sessions)
    half_table = assignments_from_model(half_model, sessions)
    for frame in (table, half_table):
        if split.n_users:
            ids = np.append(split.users["user_id"].astype(str), "")
            frame["user"] = ids[sessions.user_index]
        if np.isfinite(sessions.started_at).any():
            frame["started_at"] = pd.to_datetime(sessions.started_at, unit="s")
        if len(split.session_info):
            info = split.session_info.set_index("session_id")
            for name in info:
                frame[name] = frame["session_id"].map(info[name])
    n_proxies = model.n_proxies
    dots, middles = spread(table, n_proxies, 0)
    half_dots, half_middles = spread(half_table, n_proxies, 1)
    quality = SimpleNamespace(recall=0.61, cpd=0.42, trustworthiness=0.93)
    settings = SimpleNamespace(to_dict=lambda: {"perplexity": 30.0, "seed": 0})
    projection = SimpleNamespace(quality=quality, settings=settings)
    return View(
        run, split, part, sessions, split.items, model, half_model, table, half_table, dots,
        half_dots, np.arange(len(table)), middles, half_middles, projection, projection,
    )  # fmt: skip


HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!-- <script>alert(2)",
    "<b>bold</b> & “quoted”\u2028line",
    '"><svg onload=alert(3)>',
    "<a href='https://example.com'>away</a>",
)


def hostile_run(folder: Path) -> Path:
    """A small trained run whose titles, ids and labels are markup, evaluated on one task."""
    random = np.random.default_rng(0)

    def dressed(sessions: Sessions, part: str) -> Sessions:
        n = len(sessions)
        return replace(
            sessions,
            session_ids=np.array([f"{part}{row} {HOSTILE[row % 5]}" for row in range(n)]),
            user_index=random.integers(-1, 6, n).astype(np.int32),
            started_at=1.6e9 + 3600.0 * np.arange(n),
        )

    split = split_of(cycles(100, seed=1), cycles(30, seed=2), cycles(40, seed=3))
    test = dressed(split.test, "t")
    titles = [f"{HOSTILE[row % 5]} {row}" for row in range(split.n_items)]
    info = pd.DataFrame(
        {
            "session_id": test.session_ids,
            "<i>country</i>": [HOSTILE[row % 3] for row in range(len(test))],
            "spent": np.arange(len(test)) / 4,
        }
    )
    dressed_split = SessionSplit(
        dressed(split.train, "a"),
        dressed(split.valid, "v"),
        test,
        items=split.items.assign(title=titles),
        users=pd.DataFrame({"user_id": [f"u{user} {HOSTILE[user % 5]}" for user in range(6)]}),
        session_info=info,
        provenance={"source": {"name": HOSTILE[0]}, "options": {}, "steps": []},
    )
    data = dressed_split.save(folder / "data")
    run = folder / "run <b>&"
    settings = SMALL["proxysr"] | {
        "temperature_start": 1.0, "anneal_epochs": 30, "init_std": 0.3, "init_std_selector": 10.0,
    }  # under which sessions choose two proxies  # fmt: skip
    config = TrainConfig(epochs=4, learning_rate=1e-3, batch_size=16, device="cpu")
    train_run(data, run, model="proxysr", model_config=settings, train=config, progress=False)
    evaluate_run(run, progress=False)
    return run
