"""Our runs for each table and figure of the paper, as specs.

Settings: ProxySR has those of the authors' program (preset ``proxysr-diginetica``), the only ones
that are known; other models have their defaults. Or all have those of presets that end alike. The
models beside ProxySR in Tables 4 and 6 and Figure 4 have their defaults, too, if they lack such a
preset.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from proxysr.config import ConfigError, require, unknown
from proxysr.data.sessions import SessionSplit
from proxysr.evaluation import WhoseHistory
from proxysr.experiments.presets import ABLATIONS, PRESETS
from proxysr.experiments.processes import reason
from proxysr.experiments.running import Results, run_spec
from proxysr.experiments.spec import Spec, Variant, model_variants
from proxysr.paper.hrnn_groups import grouping_specs, groupings
from proxysr.paper.known_users import SHARES, data_of_shares, share_specs
from proxysr.run import RunDir
from proxysr.running import evaluate_run

PROXIES = (3, 10, 30, 100, 300, 1000, 3000)
"""Numbers of proxies in Figure 3."""


@dataclass(frozen=True)
class Request:
    """What to run, and how.

    Attributes
    ----------
    data_dir, out : Path
        Prepared data; where runs lie.
    models : str
        Of Tables 2 and 3: names between commas, or "all".
    presets : str
        The ending of the presets' names; empty: see the module.
    seeds : sequence of int
    min_sessions : int
        Fewest training sessions of a user who may be known, in Table 4.
    train : mapping
        Fields of ``TrainConfig`` that are the same for all.
    jobs, device, progress
        See :func:`proxysr.experiments.running.run_spec`.
    """

    data_dir: Path
    out: Path
    models: str = "all"
    presets: str = ""
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    min_sessions: int = 10
    train: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 1
    device: str = "auto"
    progress: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """Fields of ``TrainConfig`` of all runs; all are judged after as many clicks.

        That holds for models without a preset as well, such as those that only count.
        """
        of_presets = [
            preset.train.get("valid_min_prefix", 1)
            for name, preset in PRESETS.items()
            if name == f"{preset.model}-{self.presets}"
        ]
        return {"valid_min_prefix": max(of_presets, default=1), **self.train}

    def variants(self, models: str) -> list[Variant]:
        """Models at the settings that are asked for."""
        if self.presets:
            variants = model_variants(models, self.presets)
        else:
            variants = [
                Variant.of_preset("proxysr", "proxysr-diginetica")
                if variant.model == "proxysr"
                else variant
                for variant in model_variants(models)
            ]
        epochs = self.train.get("epochs")
        return variants if epochs is None else [variant.annealed(epochs) for variant in variants]

    @property
    def proxysr(self) -> Variant:
        """ProxySR at the settings that are asked for."""
        return self.variants("proxysr")[0]

    def beside(self, model: str) -> Variant:
        """A model beside ProxySR: at its defaults if there is no preset of that ending for it."""
        named = f"{model}-{self.presets}"
        if not self.presets or named in PRESETS:
            return self.variants(model)[0]
        if self.progress:
            sys.stderr.write(f"{model} has its defaults: there is no preset {named!r}.\n")
        return replace(self, presets="").variants(model)[0]

    def spec(self, variants: Sequence[Variant], **fields: Any) -> Spec:
        """A spec of these data, seeds and options."""
        options: dict[str, Any] = {"train": self.options, "seeds": self.seeds} | fields
        return Spec({self.data_dir.name: self.data_dir}, variants, **options)

    def run(self, specs: Spec | Sequence[Spec]) -> Results:
        """Their runs."""
        return run_spec(specs, self.out, jobs=self.jobs, device=self.device, progress=self.progress)


def _table2(request: Request) -> Results:
    """All models, next unseen item."""
    return request.run(request.spec(request.variants(request.models), valid_tasks=("unseen",)))


def _table3(request: Request) -> Results:
    """All models, with repeats."""
    return request.run(request.spec(request.variants(request.models), valid_tasks=("repeat",)))


def _table4(request: Request) -> Results:
    """ProxySR with 0, 10, 30 and 50 % of the frequent users known; latent_proxy with histories."""
    data = data_of_shares(request.data_dir, SHARES, request.out, min_sessions=request.min_sessions)
    shares = share_specs(request.proxysr, data, train=request.options, seeds=request.seeds)
    latent = request.beside("latent_proxy")
    results = Results([*request.run(shares).cells, *request.run(request.spec([latent])).cells])
    for cell in results.cells:
        if cell.variant == latent and not cell.hole:
            try:
                _read_histories(RunDir(cell.path), cell.data_dir, request.device)
            except ValueError as error:
                cell.hole = reason(error)
    return results


def _read_histories(run: RunDir, data_dir: Path, device: str) -> None:
    """Evaluate with and without the earlier sessions of users, where that is missing."""
    for history in get_args(WhoseHistory):
        try:
            run.evaluation("test", "unseen", history)
        except ValueError:  # missing, or out of date
            options: dict[str, Any] = {"data_dir": data_dir, "device": device, "progress": False}
            evaluate_run(run.path, part="test", task="unseen", history=history, **options)


def _table5(request: Request) -> Results:
    """ProxySR without one idea at a time."""
    base = request.proxysr
    ablations = [base.changed(name, **changes) for name, changes in ABLATIONS.items()]
    return request.run(request.spec([base, *ablations]))


def _table6(request: Request) -> Results:
    """HRNN by users, proxies of its seed's ProxySR, at random; defaults if it lacks the preset."""
    proxysr_runs = request.spec([request.proxysr])  # a misspelt preset is told first
    hrnn = request.beside("hrnn")
    chooser = request.run(proxysr_runs)
    if chooser.holes:
        return chooser
    specs = []
    for proxysr in chooser.groups()["proxysr"]:
        seed = proxysr.train_config.seed
        by_name = groupings(proxysr, request.data_dir, seed=seed)
        options: dict[str, Any] = {"train": request.options, "seeds": [seed]}
        specs += grouping_specs(by_name, hrnn, proxysr, request.out, **options)
    return Results([*chooser.cells, *request.run(specs).cells])


def _figure3(request: Request) -> Results:
    """ProxySR with 3 to 3000 proxies."""
    proxysr = request.proxysr
    return request.run(request.spec([proxysr.changed(f"K = {k}", n_proxies=k) for k in PROXIES]))


def _figure4(request: Request) -> Results:
    """ProxySR, GCE-GNN, mean, for maps; the last two have defaults if they lack the preset."""
    proxysr = request.proxysr  # a misspelt preset is told first
    others = [request.beside(model) for model in ("gcegnn", "mean")]
    return request.run(request.spec([proxysr, *others]))


TABLES: dict[str, Callable[[Request], Results]] = {
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "table5": _table5,
    "table6": _table6,
    "figure3": _figure3,
    "figure4": _figure4,
}
"""Name to function; the first line of its docstring describes the runs."""


def run_table(name: str, request: Request) -> Results:
    """Make the runs of a table; what is there is kept, and what fails is named.

    Raises
    ------
    ConfigError
        If the table, a model or a setting is unknown, or the table has its own models.
    ValueError
        If the prepared data are missing, or lack what the table needs, such as known users.
    """
    if name not in TABLES:
        raise ConfigError(unknown(name, TABLES, "table or figure"))
    require(
        request.models == "all" or name in ("table2", "table3"),
        f"{name} has models of its own; models are chosen for table2 and table3.",
    )
    SessionSplit.load(request.data_dir)  # fail early if data are missing
    return TABLES[name](request)
