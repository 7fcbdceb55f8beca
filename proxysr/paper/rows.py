"""Assigns runs to rows of the paper's tables, by their settings and data.

ProxySR's runs that differ from others in nothing but an ablation of Table 5, or in the number of
proxies, are rows of Table 5 or of Figure 3. Runs on data in which some users were made known, or
sessions grouped, are those of Tables 4 and 6.

Where one of several rows is chosen, such as the settings of a model that stand for it, validation
chooses it: :func:`best_on_validation`. Values on the test sessions are only shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from proxysr.analysis.alike import by_settings, sessions_of, training_of
from proxysr.analysis.significance import Contender
from proxysr.data.sessions import Task
from proxysr.evaluation import values_of
from proxysr.experiments.presets import ABLATIONS
from proxysr.findings import CRITERION
from proxysr.models import learns
from proxysr.paper.evidence import Evidence
from proxysr.paper.hrnn_groups import NO_USER, PEEKING, PROXY, RANDOM, TRUE_USER
from proxysr.paper.printed import DATASETS, published_results

DATASET_OF = {
    "retailrocket": "retailrocket",
    "diginetica": "diginetica",
    "lastfm1k": "lastfm",
}
"""Format of a source to the data set of the paper that it is."""

AUTHORS_FILES = "proxysr-csv"
"""Format of the authors' own files; the name of the folder says of which data set they are."""

LEARNT = 2
"""A model has learnt something if its recall is that many times that of best-sellers."""
UNCHOSEN = " †"
"""Ending of a label: the epoch was chosen by the other task."""
OF_MEASUREMENT = ("seed", "device", "valid_task")
"""Settings that do not tell rows apart."""


@dataclass
class Row:
    """A row of a table: runs that differ only in their seeds."""

    label: str
    runs: list[Evidence]
    printed: str = ""
    """Its name in the paper; "" if the paper lacks it, or trains it in another way."""
    _contenders: dict[Task, Contender] = field(default_factory=dict, init=False, repr=False)

    def contender(self, task: Task) -> Contender:
        """Its ranks on the test sessions, under its label; they are read once."""
        if task not in self._contenders:
            seeds = [seed_of(run) if learns(run.model_name) else None for run in self.runs]
            ranks = [run.ranks(task) for run in self.runs]
            self._contenders[task] = Contender(self.label, ranks, seeds)
        return self._contenders[task]

    @property
    def model(self) -> str:
        """Name of its model in ``MODELS``."""
        return self.runs[0].model_name

    def validation(self, task: Task) -> tuple[bool, float]:
        """Whether this task chose its epoch, and recall there on validation, a mean over runs.

        Recall is of the task that chose the epoch; of two rows, compare both parts.
        """
        recall = float(np.mean([run.validation for run in self.runs]))
        return self.runs[0].train_config.valid_task == task, recall

    @property
    def learnt(self) -> bool:
        """Whether its runs have clearly more recall on validation than popularity has."""
        return all(run.validation >= LEARNT * (run.popularity or 0) for run in self.runs)

    def values(self, task: Task, metric: str) -> list[float]:
        """A metric on the test sessions, of each run."""
        frames = self.contender(task).ranks
        return [float(values_of(frame["rank"].to_numpy(), metric).mean()) for frame in frames]

    def mean(self, task: Task, metric: str) -> float:
        """The mean of :meth:`values`."""
        return float(np.mean(self.values(task, metric)))


@dataclass
class DataRuns:
    """The runs on one log."""

    name: str
    dataset: str
    about: str
    sessions: str
    """Fingerprint of its sessions."""
    plain: list[Evidence] = field(default_factory=list)
    known: list[Evidence] = field(default_factory=list)
    grouped: list[Evidence] = field(default_factory=list)


def best_on_validation(rows: Sequence[Row], task: Task) -> Row:
    """The row that is best on the validation sessions, the first of equal ones."""
    return rows[0] if len(rows) == 1 else max(rows, key=lambda row: row.validation(task))


def named_by_log(runs: Sequence[Evidence]) -> list[Evidence]:
    """Evidence with the name of the log itself, not of a folder in which its users are known.

    Where folders of the same log have several names, most runs decide. The order is that of seeds.
    """
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        names[_log_key(run)][run.log] += 1 if _changes(run) else len(runs)
    name_of = {key: max(sorted(found), key=found.__getitem__) for key, found in names.items()}
    in_order = sorted(runs, key=lambda run: (len(_changes(run)), seed_of(run), run.key))
    return [replace(run, log=name_of[_log_key(run)]) for run in in_order]


def runs_by_data(runs: Sequence[Evidence]) -> list[DataRuns]:
    """Runs by the log that they are of, also where some users were made known or grouped."""
    by_log: dict[str, DataRuns] = {}
    for run in named_by_log(runs):
        if (key := _log_key(run)) not in by_log:
            by_log[key] = _described(run, key)
        attribute = "known" if "known_users" in run.data["provenance"] else "plain"
        attribute = "grouped" if "grouped" in run.data["provenance"] else attribute
        getattr(by_log[key], attribute).append(run)
    return sorted(by_log.values(), key=lambda data: data.name)


def _log_key(run: Evidence) -> str:
    """A fingerprint of the sessions, whoever of their users is known."""
    known = run.data["provenance"].get("known_users", {})
    return str(known.get("of_data", sessions_of(run)))


def _changes(run: Evidence) -> set[str]:
    return {"known_users", "grouped"} & set(run.data["provenance"])


def _described(run: Evidence, sessions: str) -> DataRuns:
    provenance = run.data["provenance"]
    source = provenance.get("source", {}).get("format", "")
    named = next((dataset for dataset in DATASETS if dataset in run.log), "")
    same = DATASET_OF.get(source, named if source == AUTHORS_FILES else "")
    comparison = "No data of the paper."
    if same:
        comparison = f"The paper's numbers are those of {same}."
    elif named:
        comparison = (
            f"The paper's numbers are of its own preparation of {named}, and no measure of ours."
        )
    description = f"{run.data['n_items']:,} items"
    recent = provenance.get("options", {}).get("recent_fraction", 1.0)
    if recent < 1:
        description += (
            f"; trained on the most recent {recent:.0%} of the training sessions, and judged by "
            "the items in them: clicks on others are no targets"
        )
    return DataRuns(run.log, same or named, f"{description}. {comparison}", sessions)


@dataclass
class MainRows:
    """Runs on one log for one task: rows of models, of ablations and of numbers of proxies."""

    models: list[Row]
    ablations: list[Row]
    sizes: list[Row]


def main_rows(data: DataRuns, task: Task) -> MainRows:
    """The rows of Table 2 or 3, of Table 5 and of Figure 3; each empty if there is nothing to show.

    Where no run of a model had its epoch chosen by the task, those chosen by the other one serve.
    """
    groups = by_settings([run for run in data.plain if task in run.ranked])
    of_task = [group for group in groups if group[0].train_config.valid_task == task]
    trained = {group[0].model_name for group in of_task}
    of_other_task = [group for group in groups if group[0].model_name not in trained]
    shown = [*of_task, *of_other_task]
    base, parts, sizes = _relatives([g for g in shown if g[0].model_name == "proxysr"])
    separate = [id(group) for group in (*parts.values(), *sizes.values())]
    if data.grouped:  # then HRNN has a table of its own
        separate += [id(group) for group in groups if group[0].model_name == "hrnn"]
    rows = MainRows(_named([group for group in shown if id(group) not in separate], task), [], [])
    if parts:
        base_row = Row("ProxySR", base, "ProxySR")
        rows.ablations = [base_row, *(Row(n, parts[n], n) for n in ABLATIONS if n in parts)]
    if sizes:
        counts = sizes | {base[0].model_config.to_dict()["n_proxies"]: base}
        rows.sizes = [Row(f"K = {k}", counts[k]) for k in sorted(counts)]
    return rows


def _relatives(
    groups: list[list[Evidence]],
) -> tuple[list[Evidence], dict[str, list[Evidence]], dict[int, list[Evidence]]]:
    """The settings that most others are ablations or other sizes of, and these."""
    best: tuple[Any, ...] = (-1,)
    best_relatives: tuple[list[Evidence], dict[str, Any], dict[int, Any]] = ([], {}, {})
    settings = [group[0].model_config.to_dict() for group in groups]
    trains = [training_of(group[0]) for group in groups]
    for i, group in enumerate(groups):
        ablations, sizes = {}, {}
        for j, other in enumerate(groups):
            if i == j or trains[i] != trains[j]:
                continue
            for name, changes in ABLATIONS.items():
                if settings[j] == settings[i] | changes:
                    ablations[name] = other
            if settings[j] == settings[i] | {"n_proxies": settings[j]["n_proxies"]}:
                sizes[settings[j]["n_proxies"]] = other
        score = (len(ablations), len(group), len(sizes))
        if score > best:
            best, best_relatives = score, (group, ablations, sizes)
    return best_relatives


def _named(groups: Sequence[list[Evidence]], task: Task) -> list[Row]:
    """Rows with the model's name, and with the settings in which those of one model differ.

    Models are ordered as in the paper; others come after, the highest recall first. Settings of one
    model are ordered by validation, so the first ones stand for it. The paper averages no weights:
    a row that does is none of the paper's.
    """
    printed = published_results().drop_duplicates("model").set_index("model")["printed"].to_dict()
    by_model: dict[str, list[list[Evidence]]] = defaultdict(list)
    for group in groups:
        by_model[group[0].model_name].append(group)
    rows_of_models: list[list[Row]] = []
    for model, members in by_model.items():
        rows: list[Row] = []
        for group, words in zip(members, _differing(members), strict=True):
            label = printed.get(model, model)
            if len(members) > 1:
                label += f" ({words})"
            if learns(model) and group[0].train_config.valid_task != task:
                label += UNCHOSEN
            averaged = learns(model) and group[0].train_config.averaging
            rows.append(Row(label, group, "" if averaged else printed.get(model, "")))
        if len(rows) > 1:
            rows.sort(key=lambda row: row.validation(task), reverse=True)
        rows_of_models.append(rows)
    order = list(printed.values())

    def place(rows: list[Row]) -> tuple[int, float]:
        name = printed.get(rows[0].model)
        return order.index(name) if name else len(order), -rows[0].mean(task, CRITERION)

    return [row for rows in sorted(rows_of_models, key=place) for row in rows]


def _differing(groups: Sequence[list[Evidence]]) -> list[str]:
    """In which settings each group differs from others; one of training may have a model's name."""
    of_groups = []
    for runs in groups:
        of_model, of_training = runs[0].model_config.to_dict(), runs[0].train_config.to_dict()
        settings = {name: str(value) for name, value in of_model.items()}
        for name, value in of_training.items():
            if name not in OF_MEASUREMENT:
                settings[f"{name} in training" if name in of_model else name] = str(value)
        of_groups.append(settings)
    values = {n: {settings.get(n) for settings in of_groups} for n in of_groups[0]}
    return [
        ", ".join(_said(n, settings[n], values[n]) for n in values if len(values[n]) > 1)
        for settings in of_groups
    ]


def _said(name: str, value: str, values: set[str | None]) -> str:
    """A setting in words; of one that is on or off, its name is enough."""
    if values <= {"True", "False", "None"}:
        return name if value == "True" else f"no {name}"
    return f"{name} {value}"


def runs_by_share(data: DataRuns) -> dict[int, list[Evidence]]:
    """Table 4: the share of known users, in percent, to its runs by seed, of one setting."""
    shares: dict[int, list[Evidence]] = defaultdict(list)
    for run in sorted(_of_unseen(data.known), key=seed_of):
        shares[round(100 * run.data["provenance"]["known_users"]["share"])].append(run)
    return _of_one_setting(dict(sorted(shares.items())), "n_users")


def group_rows(data: DataRuns) -> list[Row]:
    """The rows of Table 6, of one setting of HRNN."""
    groups: dict[str, list[Evidence]] = defaultdict(list)
    for run in sorted(_of_unseen(data.grouped), key=seed_of):
        by = run.data["provenance"]["grouped"]["by"]
        chosen = PROXY if run.model_config.to_dict().get("proxysr") else PEEKING
        groups[{"no user": NO_USER, "random": RANDOM}.get(by, chosen)].append(run)
    if groups:
        of_users = [run for run in data.plain if run.model_name == "hrnn"]
        groups[TRUE_USER] = _of_unseen(of_users)
    groups = _of_one_setting(groups, "proxysr")
    order = (NO_USER, TRUE_USER, PROXY, RANDOM, PEEKING)
    return [Row(name, groups[name], name) for name in order if groups.get(name)]


def _of_unseen(runs: Sequence[Evidence]) -> list[Evidence]:
    """Runs that ranked unseen items; those whose epoch was chosen by these, if there are any."""
    ranked = [run for run in runs if "unseen" in run.ranked]
    return [run for run in ranked if run.train_config.valid_task == "unseen"] or ranked


K = TypeVar("K")


def _of_one_setting(groups: Mapping[K, list[Evidence]], differing: str) -> dict[K, list[Evidence]]:
    """The runs of the settings that most groups have, and most runs; of equal ones the best.

    Else runs of other settings would count as further seeds. ``differing`` is the setting of the
    model that groups differ in, and validation says which is best.
    """
    families: dict[str, dict[K, list[Evidence]]] = defaultdict(dict)
    for name, runs in groups.items():
        for run in runs:
            settings = {**run.model_config.to_dict(), differing: None}
            family = families[str((run.model_name, settings, training_of(run)))]
            family.setdefault(name, []).append(run)

    def worth(family: dict[K, list[Evidence]]) -> tuple[int, int, float]:
        runs = [run for members in family.values() for run in members]
        return len(family), len(runs), float(np.mean([run.validation for run in runs]))

    return max(families.values(), key=worth, default={})


def seed_of(run: Evidence) -> int:
    """The seed of a run."""
    return run.train_config.seed
