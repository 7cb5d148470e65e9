"""Names that fit beside a plot, and lines that are told apart."""

import math

import pytest

from initbench.figures import COLOURS, DASHES, log_axis, look, shortened


def test_looks_differ() -> None:
    number = len(COLOURS) * len(DASHES)
    assert len({look(index) for index in range(number)}) == number
    for lines in (COLOURS, DASHES):  # neighbours differ in both, for those who see no colours
        first = [look(index) for index in range(len(lines))]
        assert len({colour for colour, _ in first}) == len(lines)
        assert len({dash for _, dash in first}) == len(DASHES)


def test_long_names_keep_both_ends_and_stay_apart() -> None:
    names = ["short", *(f"orthogonal(gain={gain},{'x' * 200})" for gain in (1, 2)), "b" * 50 + "1", "b" * 50 + "2"]
    names += ["a" * 20 + middle + "z" * 30 for middle in "123"]
    short = shortened(names)
    assert short["short"] == "short"
    assert len(set(short.values())) == len(names)
    assert max(map(len, short.values())) <= 45
    assert short[names[1]].startswith("orthogonal(gain=1,")
    assert short["b" * 50 + "2"].endswith("2")


@pytest.mark.parametrize(
    "values, ticks",
    [
        ([1.0, 2.0, 3.0], {}),
        ([1.0, 10.0], {"dtick": "D2", "tickformat": "~g"}),
        ([10.0, None, 0.0, 1.0, -5.0, math.inf, math.nan], {"dtick": "D2", "tickformat": "~g"}),
        ([1.0, 1e3], {"dtick": 1}),
        ([1e-10, 1e10], {"dtick": 3}),
        ([], {}),
        ([0.0, None], {}),
    ],
)
def test_ticks_are_as_far_apart_as_the_decades_need(values: list[float | None], ticks: dict[str, object]) -> None:
    assert log_axis(values) == {"type": "log", "exponentformat": "power", **ticks}


def test_a_name_of_the_greatest_length_stays_whole() -> None:
    names = ["x" * 40, "y" * 41]
    assert shortened(names)["x" * 40] == "x" * 40
    assert shortened(names)["y" * 41] == f"{'y' * 20}…{'y' * 19}"
    assert shortened(["abcdefgh"], most=6) == {"abcdefgh": "abc…gh"}
