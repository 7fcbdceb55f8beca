"""A spec is asked for in a way that can be answered, or refused readably; so is its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.experiments import Spec, Variant, model_variants, read_spec
from proxysr.experiments.presets import preset
from proxysr.experiments.spec import names_in, numbers_in
from proxysr.models import MODELS, learns

TINY = Variant("tiny", "proxysr")

FILE = """\
data: {shop: $PROXYSR_DATA/shop, toy: toy}
models:
  - cooccurrence
  - preset: sasrec-small
  - {name: wide, preset: proxysr-small, settings: {embedding_dim: 64}, train: {epochs: 3}}
  - {model: latent_proxy, vary: {n_proxies: [1, 10], attention: [true]}}
presets: small
train: {valid_min_prefix: 2}
valid_tasks: [repeat]
seeds: [0, 1]
"""


def test_all_models_have_small_settings() -> None:
    variants = model_variants("all", "small")
    assert [variant.name for variant in variants] == [name for name in MODELS if name != "hrnn"]
    assert model_variants("hrnn", "small")[0].train  # it needs users, and is named for that
    assert all(one.train["learning_rate"] > 0 for one in variants if learns(one.model))


def test_models_are_named_or_refused() -> None:
    chosen = model_variants("proxysr, popularity", "small")
    assert [variant.name for variant in chosen] == ["proxysr", "popularity"]
    assert chosen[1] == Variant("popularity", "popularity")
    assert model_variants("sasrec", "") == [Variant("sasrec", "sasrec")]
    with pytest.raises(ConfigError, match="'sasrec-smal' is not a known preset. .*'sasrec-small'"):
        model_variants("sasrec", "smal")
    with pytest.raises(ConfigError, match="'sasreck' is not a known model"):
        model_variants("sasreck", "")
    with pytest.raises(ConfigError, match="No model is named in"):
        model_variants(" ", "small")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variants": [TINY, TINY]}, "tiny is there twice"),
        ({"variants": []}, "At least one model is needed"),
        ({"seeds": ()}, "At least one seed"),
        ({"seeds": (0, 1, 0)}, "Seeds and tasks are there once each; 0 is there twice"),
        ({"valid_tasks": ("repeat", "repeat")}, "once each; repeat is there twice"),
        (
            {"train": {"seed": 7}},
            "seed is no part of train. It is said by seeds of the spec, or",
        ),
        (
            {"train": {"valid_task": "repeat"}},
            "valid_task is no part of .* by valid_tasks of the",
        ),
        ({"train": {"device": "cpu"}}, "device is no part of train. It is said by --device, or"),
        ({"variants": [replace(TINY, train={"seed": 7})]}, "seed is no part of train"),
        (
            {"variants": [Variant("pairs", "cooccurrence", train={"epochs": 3})]},
            "pairs only counts: epochs of its train would have no effect. Leave it out",
        ),
        ({"valid_tasks": ()}, "At least one of valid_tasks"),
        ({"valid_tasks": ("repeats",)}, "'repeats' is not a known task"),
        ({"part": "tset"}, "'tset' is not a known part of a split. Did you mean 'test'"),
        ({"data": {}}, "At least one folder of prepared data"),
    ],
)
def test_a_spec_that_has_no_answer_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Spec(**({"data": "data", "variants": [TINY]} | fields))


def test_a_file_is_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYSR_DATA", "/srv/data")
    (tmp_path / "spec.yaml").write_text(FILE)
    spec = read_spec(tmp_path / "spec.yaml")
    assert spec.folders == {"shop": Path("/srv/data/shop"), "toy": Path("toy")}
    pairs, sasrec, wide, one, ten = spec.variants
    assert pairs == Variant("cooccurrence", "cooccurrence")
    assert sasrec.train == preset("sasrec-small").train
    assert (wide.name, wide.model, wide.model_config["embedding_dim"]) == ("wide", "proxysr", 64)
    assert wide.train == preset("proxysr-small").train | {"epochs": 3}
    assert one.name == "latent_proxy, n_proxies 1, attention True"
    assert ten.model_config == preset("latent_proxy-small").model_config | {
        "n_proxies": 10, "attention": True,
    }  # fmt: skip
    assert (spec.train, spec.valid_tasks, spec.seeds) == (
        {"valid_min_prefix": 2}, ("repeat",), (0, 1),
    )  # fmt: skip
    (tmp_path / "spec.yaml").write_text("data: toy\nmodels: popularity, cooccurrence")
    spec = read_spec(tmp_path / "spec.yaml")
    assert spec.folders == {"toy": Path("toy")}
    assert [variant.name for variant in spec.variants] == ["popularity", "cooccurrence"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds:", "sedes:", "spec.yaml: 'sedes' is not a known option.* Did you mean 'seeds'"),
        ("models:", "model:", "spec.yaml is no spec: it needs 'data' and 'models'"),
        ("preset: sas", "preset: sass", "'sassrec-small' is not a known preset.*'sasrec-small'"),
        ("- cooccurrence", "- coocurrence", "'coocurrence' is not a known model"),
        ("vary:", "vari:", "'vari' is not a known key of an entry of models. Did you mean 'vary'"),
        ("{n_proxies: [1, 10]", "{n_proxies: 1", "vary of n_proxies is a list of values"),
        ("[repeat]", "[repeats]", "'repeats' is not a known task"),
        ("- cooccurrence", "- 3", "An entry of models is a name or a mapping; it is 3"),
        ("settings: {embedding_dim: 64}", "settings: 64", "settings of a model is a mapping"),
        ("name: wide, preset", "model: narm, preset", "Preset 'proxysr-small' is of proxysr, not"),
        ("{shop: $PROXYSR_DATA/shop, toy: toy}", "3", "data is a folder, or a mapping of names"),
        ("toy: toy", "toy: null", "A folder of data is text, such as data/shop; received None"),
        ("[1, 10]", "[]", r"vary of n_proxies is a list of values, one or more; received \[\]"),
        ("name: wide", "name: null", "name of an entry of models is text; received None"),
        ("- cooccurrence", "- {model: 5}", "model of an entry of models is text; received 5"),
        (
            "- cooccurrence",
            "- {model: [a]}",
            r"model of an entry of .* is text; received \['a'\]",
        ),
        (
            "- cooccurrence",
            "- {preset: null}",
            "preset of an entry of models is text; received N",
        ),
        (
            "settings: {embedding_dim: 64}",
            "settings: {1: 2}",
            "is a mapping of settings; rec",
        ),
        (
            "train: {epochs: 3}",
            "train: {1: 2}",
            "train of a model is a mapping of settings; rec",
        ),
        (
            "train: {valid_min_prefix: 2}",
            "train: {1: 2}",
            "train is a mapping of names .*; received",
        ),
        ("train: {valid_min_prefix: 2}", "train: [a]", r"train is a mapping .*; received \['a'\]"),
        ("seeds:", "1:", "'1' is not a known option of _SpecFile"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    (tmp_path / "spec.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_spec(tmp_path / "spec.yaml")


def test_lists_in_text() -> None:
    assert names_in(" a, b,,c ") == ["a", "b", "c"]
    assert numbers_in("3, 10") == [3, 10]
    with pytest.raises(ConfigError, match="Whole numbers between commas are meant; received '3;4'"):
        numbers_in("3;4")


@pytest.mark.parametrize(
    ("settings", "epochs", "expected"),
    [({}, 50, 10), ({}, 5, 3), ({"anneal_epochs": 5}, 20, 5), ({"anneal_epochs": 9}, 10, 6)],
)
def test_choices_harden_before_training_ends(
    settings: dict[str, int], epochs: int, expected: int
) -> None:
    annealed = Variant("a", "proxysr", settings).annealed(epochs)
    assert annealed.model_config["anneal_epochs"] == expected
    other = Variant("b", "sasrec")
    assert other.annealed(epochs) is other
