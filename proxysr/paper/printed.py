"""The numbers printed in the paper.

J. Cho, S. Kang, D. Hyun, H. Yu: Unsupervised Proxy Selection for Session-based Recommender
Systems. SIGIR 2021. https://doi.org/10.1145/3404835.3462958. Means of five runs; Tables 2 and 3
compare models under the two tasks, 4 to 6 are further studies.

>>> table = published_results()
>>> row = table[(table["model"] == "gcegnn") & (table["dataset"] == "diginetica")]
>>> row[(row["task"] == "unseen") & (row["metric"] == "R@20")]["value"].item()
0.3573
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

from proxysr.config import require, unknown

DATASETS = ("retailrocket", "diginetica", "lastfm")


@cache
def _read(name: str) -> pd.DataFrame:
    with files("proxysr.paper").joinpath(name).open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


def published_results() -> pd.DataFrame:
    """Tables 2 and 3.

    Returns
    -------
    DataFrame
        ``task``, ``dataset``, ``metric``, ``printed`` (the model's name in the paper), ``model``
        (its name in ``MODELS``) and ``value``, a share in [0, 1].
    """
    table = _read("tables_2_3.csv").rename(columns={"model": "printed"})
    model = table["printed"].str.lower().str.replace("-", "")
    return table[["task", "dataset", "metric", "printed"]].assign(model=model, value=table["value"])


def published_variants(number: int) -> pd.DataFrame:
    """Table 4 (known users), 5 (ablations) or 6 (HRNN), all for the next unseen item.

    Returns
    -------
    DataFrame
        ``dataset``, ``variant``, ``metric`` and ``value``.
    """
    table = _read("tables_4_5_6.csv")
    numbers = sorted(set(table["table"].tolist()))
    require(number in numbers, f"These tables are {numbers}; received {number}.")
    rows = table[table["table"] == number]
    return rows.drop(columns="table").reset_index(drop=True)


def published_shares() -> pd.DataFrame:
    """Table 4 by the share of known users, and how its values differ from those at 0 %.

    Returns
    -------
    DataFrame
        ``share`` (percent), ``metric``, ``value``, and ``difference`` to the value at 0 %. The data
        are LastFM.
    """
    table = published_variants(4)
    share = table["variant"].str.extract(r"(\d+)%", expand=False).astype(int)
    table = table.assign(share=share)[["share", "metric", "value"]]
    base = table[table["share"] == 0].set_index("metric")["value"]
    return table.assign(difference=table["value"] - table["metric"].map(base))


def with_published(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """A comparison table with the paper's numbers beside ours.

    A row finds its number by its name: ``run`` is a model's name in ``MODELS``, or that of a
    variant in Table 5 or 6.

    Parameters
    ----------
    table : DataFrame
        With ``run``, ``task`` and ``metric``, such as
        :func:`proxysr.analysis.comparison.comparison_table` gives.
    dataset : str
        "retailrocket", "diginetica" or "lastfm"; empty if the data are none of the paper's.

    Returns
    -------
    DataFrame
        ``table`` and ``published``: NaN where the paper has no such number.

    Raises
    ------
    ConfigError
        If the paper has no such data set.
    """
    require(
        dataset in ("", *DATASETS), unknown(dataset, DATASETS, "data set of the paper's tables")
    )
    models = published_results().rename(columns={"model": "run"})
    variants = pd.concat([published_variants(5), published_variants(6)])
    variants = variants.rename(columns={"variant": "run"}).assign(task="unseen")
    variants = variants[variants["run"] != "ProxySR"]  # Table 2 has it as a model
    all_published = pd.concat([models, variants])
    all_published = all_published[all_published["dataset"] == dataset]
    values = all_published.set_index(["run", "task", "metric"])["value"]
    keys = pd.MultiIndex.from_frame(table[["run", "task", "metric"]])
    return table.assign(published=values.reindex(keys).to_numpy(dtype="float64"))
