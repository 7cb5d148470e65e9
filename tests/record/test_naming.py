"""Names in words: no two configs that differ are called alike, and no name says more than it takes."""

import pytest

from initbench.record.naming import differences, flatten, name_versions, title, varying


@pytest.mark.parametrize(
    "data, optimizer, expected",
    [
        ("mnist", "sgd", "net on mnist, sgd"),
        ("own", "own", "net"),
        ("mnist", "own", "net on mnist"),
        ("own", "sgd", "net on own, sgd"),
    ],
)
def test_a_title_leaves_out_what_is_the_users_own(data: str, optimizer: str, expected: str) -> None:
    assert title("net", data, optimizer) == expected


def test_nested_keys_are_dotted_at_every_depth() -> None:
    assert flatten({"a": {"b": {"c": 1, "d": [2]}, "e": None}, "f": 3}) == {
        "a.b.c": 1,
        "a.b.d": [2],
        "a.e": None,
        "f": 3,
    }
    assert flatten({"a": 1}, "x.") == {"x.a": 1}


def test_a_key_varies_if_any_config_has_another_value_or_lacks_it() -> None:
    configs = {"x": {"a": 1, "b": 2, "c": None, "d": 0}, "y": {"a": 1, "b": 2, "d": 0}, "z": {"a": 1, "b": 3, "d": 0}}
    assert varying(configs) == {"b": {"x": 2, "y": 2, "z": 3}, "c": {"x": None}}
    assert varying({"x": {"a": 0}, "y": {"a": 1}, "z": {"a": 0}}) == {"a": {"x": 0, "y": 1, "z": 0}}


def test_only_names_that_are_alike_are_followed_by_what_differs() -> None:
    names = {"1": "net", "2": "net", "3": "other"}
    configs = {"1": {"width": 0, "depth": 2}, "2": {"width": 8, "depth": 2}, "3": {"width": 8, "depth": 9}}
    assert differences(names, configs) == {"1": ", width=0", "2": ", width=8", "3": ""}


def test_a_key_that_one_lacks_follows_the_name_of_those_that_have_it() -> None:
    names = dict.fromkeys("12", "net")
    assert differences(names, {"1": {"bias": None, "depth": 2}, "2": {"depth": 3}}) == {
        "1": ", bias=None, depth=2",
        "2": ", depth=3",
    }


def test_values_that_print_alike_are_told_apart_by_the_ids() -> None:
    names = {"1": "net", "2": "net", "3": "net", "4": "other"}
    configs = {"1": {"width": 1}, "2": {"width": "1"}, "3": {"width": 2}, "4": {"width": 1}}
    assert differences(names, configs) == {"1": ", width=1 (1)", "2": ", width=1 (2)", "3": ", width=2", "4": ""}


def test_an_initializer_that_is_seen_twice_with_the_same_source_is_one() -> None:
    mine = ("mine", "3fa2c1d0e5")
    assert name_versions([mine, mine, mine]) == {mine: "mine"}
