"""The critical-difference diagram: who is under one bar, and where things are drawn."""

import math
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from initbench.analysis.statistics.aggregate import Ranks
from initbench.report.content.rank_diagram import alike, rank_diagram

# Demsar 2006, section 3.2.2 and figure 1: C4.5+m+cf, +m, +cf, plain; critical difference 1.25
DEMSAR = Ranks(pd.Series({"m+cf": 1.964, "m": 2.0, "cf": 2.893, "plain": 3.143}), 1.25, 0.02, 14)


def test_who_is_not_told_apart() -> None:
    assert alike([1.964, 2.0, 2.893, 3.143], 1.25) == [(0, 3)]
    assert alike([1.0, 1.5, 2.2, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert alike([1.0, 2.5, 4.0], 1.0) == []
    assert alike([1.0, 2.0, 3.0], math.inf) == [(0, 2)]


def test_everything_is_within_the_picture_and_every_name_on_it() -> None:
    found = rank_diagram(DEMSAR)
    assert found is not None
    assert {label.text for label in found.labels} >= {*DEMSAR.ranks.index, "critical difference 1.25", "1", "4"}
    for line in found.lines:
        assert all(0 <= x <= found.width for x in line.x)
        assert all(0 <= y <= found.height for y in line.y)
    bars = [line for line in found.lines if line.width == 3.5]
    assert len(bars) == 1  # one bar over the four


def test_where_friedmans_test_finds_nothing_one_bar_is_over_all() -> None:
    ranks = Ranks(pd.Series({"a": 1.0, "b": 2.5, "c": 4.0, "d": 4.5}), 0.5, 0.3, 14)
    found = rank_diagram(ranks)
    assert found is not None
    (bar,) = (line for line in found.lines if line.width == 3.5)
    feet = [line.x[0] for line in found.lines if line.x[0] == line.x[1] and line.y[1] > max(bar.y)]  # of the names
    assert len(feet) == 4
    assert bar.x[0] < min(feet) < max(feet) < bar.x[1]


def test_the_picture_of_the_page_is_well_formed_and_names_stay_text() -> None:
    found = rank_diagram(Ranks(DEMSAR.ranks.rename({"m": "<b>&\"'"}), 1.25, 0.02, 14))
    assert found is not None
    root = ElementTree.fromstring(found.svg())
    assert "<b>&\"'" in [of.text for of in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_of_a_paper_has_the_same_lines() -> None:
    found = rank_diagram(DEMSAR)
    assert found is not None
    (axes,) = found.figure().axes
    assert len(axes.lines) == len(found.lines)
    assert len(axes.texts) == len(found.labels)


@pytest.mark.parametrize(
    "ranks", [Ranks(DEMSAR.ranks.iloc[:2], 1.0, 0.02, 14), Ranks(DEMSAR.ranks, math.nan, math.nan, 1)]
)
def test_two_initializers_or_one_block_have_none(ranks: Ranks) -> None:
    assert rank_diagram(ranks) is None
