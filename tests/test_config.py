"""Settings: typed, checked, plain data on request, and strict about names."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.config import ConfigError, Count, Settings, Share, coerce, require, unknown


class Base(Settings):
    """A base class of options."""

    seed: int = 0
    """Seed of everything random."""


class Example(Base):
    """All kinds of fields."""

    n_items: Count = 3
    """How many,
    over two lines."""
    left_out: Share = 0.0
    rate: float = 0.5
    name: str = "x"
    """A name."""
    kind: Literal["a", "b"] = "a"
    most: int | None = None
    on: bool = False
    sizes: tuple[int, ...] = (1, 2)

    def check(self) -> None:
        require(self.rate != 7, f"rate is anything but 7; received {self.rate:g}.")


def test_text_from_a_command_line_is_parsed() -> None:
    got = Example.from_dict(
        {
            "n_items": "4",
            "rate": "1e-3",
            "kind": "b",
            "most": "7",
            "on": "true",
            "sizes": "3,4",
            "seed": "1",
        }
    )
    assert got == Example(n_items=4, rate=1e-3, kind="b", most=7, on=True, sizes=(3, 4), seed=1)
    assert Example.from_dict({"most": "none"}).most is None


@given(
    n_items=st.integers(1, 10**6),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    kind=st.sampled_from(["a", "b"]),
    most=st.none() | st.integers(max_value=2**63 - 1),
    on=st.booleans(),
    sizes=st.lists(st.integers(), min_size=1),
)
def test_plain_data_round_trip(**values: object) -> None:
    settings = Example.from_dict(values)
    assert Example.from_dict(settings.to_dict()) == settings
    assert settings.replace() == settings


def test_whole_floats_are_whole_numbers() -> None:
    assert Example(n_items=4.0).n_items == 4  # type: ignore[arg-type]
    assert isinstance(Example(n_items=4.0).n_items, int)  # type: ignore[arg-type]
    assert isinstance(Example(rate=1).rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_items": 2.5}, r"n_items is a whole number; received 2\.5"),
        ({"n_items": "2.5"}, r"n_items is a whole number; received '2\.5'"),
        ({"n_items": True}, "n_items is a whole number; received True"),
        ({"n_items": None}, "n_items is a whole number; received None"),
        ({"n_items": 0}, "n_items is at least 1; received 0"),
        ({"n_items": "0.0"}, r"n_items is at least 1; received 0\.0"),
        ({"most": 2**63}, r"most is at most 9\.22337e\+18; received 9223372036854775808"),
        ({"n_items": 2**70}, r"n_items is in \[1, 9\.22337e\+18\]; received 11805916207174"),
        ({"left_out": 1}, r"left_out is in \[0, 1\); received 1"),
        ({"left_out": -0.1}, r"left_out is in \[0, 1\); received -0.1"),
        ({"rate": 7}, "rate is anything but 7; received 7"),
        ({"most": True}, "most is a whole number; received True"),
        ({"rate": "much"}, "rate is a number; received 'much'"),
        ({"rate": "nan"}, "rate is a number; received 'nan'"),
        ({"rate": float("inf")}, "rate is a number; received inf"),
        ({"rate": False}, "rate is a number; received False"),
        ({"name": 3}, "name is text; received 3"),
        ({"kind": "c"}, "kind is one of 'a', 'b'; received 'c'"),
        ({"most": "few"}, "most is a whole number; received 'few'"),
        ({"on": "perhaps"}, "on is true or false; received 'perhaps'"),
        ({"on": 1}, "on is true or false; received 1"),
        ({"sizes": 3}, "sizes is a list; received 3"),
        ({"sizes": "1,x"}, "sizes is a whole number; received 'x'"),
        ({"n_item": 3}, "'n_item' is not a known option of Example. Did you mean 'n_items'"),
        (
            {"zzz": 3},
            "'zzz' is not a known option of Example. Known: kind, left_out, most, n_items",
        ),
    ],
)
def test_what_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Example.from_dict(values)


def test_replace_checks_and_knows_its_fields() -> None:
    assert Example().replace(n_items=9) == Example(n_items=9)
    with pytest.raises(ConfigError, match="n_items is at least 1; received -1"):
        Example().replace(n_items=-1)
    with pytest.raises(ConfigError, match="'nitems' is not a known option"):
        Example().replace(nitems=1)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Example().seed = 3  # type: ignore[misc]


def test_meanings_include_those_of_the_bases() -> None:
    fields = Example.model_fields
    assert fields["seed"].description == "Seed of everything random."
    assert fields["n_items"].description == "How many,\nover two lines."


def test_unknown_without_a_near_match_gives_none() -> None:
    assert unknown("q", ["beta", "alpha"], "letter") == (
        "'q' is not a known letter. Known: alpha, beta."
    )


@given(st.floats(-1e15, 1e15))
def test_coerce_of_a_float_as_int_loses_nothing(value: float) -> None:
    if value == int(value):
        assert coerce(value, int, "n") == value
    else:
        with pytest.raises(ConfigError, match="n is a whole number"):
            coerce(value, int, "n")


def test_coerce_of_infinity_as_int_is_an_error() -> None:
    with pytest.raises(ConfigError, match="n is a whole number; received inf"):
        coerce(float("inf"), int, "n")
