"""Factorial designs: their resolution, what they cannot tell apart, and that both initializers alone are arms."""

from itertools import combinations

import numpy as np
import pytest

from initbench.attribution.design import Design, design

NAMES = ("embedding", "positions", "qkv", "attention_out", "mlp_in", "mlp_out", "head", "norms", "input", "other")
# Parts, arms of the fraction, its resolution (None: all combinations), and words of length 4: Chen, Sun & Wu 1993.
PUBLISHED = [
    (2, 4, None, 0),
    (3, 8, None, 0),
    (4, 16, None, 0),
    (5, 16, 5, 0),
    (6, 32, 6, 0),
    (6, 16, 4, 3),
    (7, 32, 4, 1),
    (7, 16, 4, 7),
    (8, 32, 4, 3),
    (8, 16, 4, 14),
    (9, 32, 4, 6),
    (10, 32, 4, 10),
]
DESIGNS = [design(NAMES[:parts], arms) for parts, arms, *_ in PUBLISHED]


@pytest.mark.parametrize("parts, arms, resolution, of_four", PUBLISHED)
def test_the_words_are_those_of_minimum_aberration(parts: int, arms: int, resolution: int | None, of_four: int) -> None:
    made = design(NAMES[:parts], arms)
    assert made.levels.shape == (arms, parts)
    assert len(made.words) == 2**parts // arms - 1
    assert made.resolution == resolution
    assert sum(len(word) == 4 for word in made.words) == of_four


@pytest.mark.parametrize("made", DESIGNS)
def test_a_word_is_a_product_of_levels_that_never_changes(made: Design) -> None:
    constant = {}
    for size in range(1, len(made.parts) + 1):
        for word in combinations(range(len(made.parts)), size):
            column = made.levels[:, list(word)].prod(axis=1)
            if (column == column[0]).all():
                constant[word] = int(column[0])
    assert made.words == constant


@pytest.mark.parametrize("made", DESIGNS)
def test_both_initializers_alone_are_arms_and_no_arm_is_there_twice(made: Design) -> None:
    assert made.arms[0] == ()
    assert made.parts in made.arms
    assert len({*made.arms}) == len(made.arms)
    is_even = all(len(word) % 2 == 0 for word in made.words)
    assert len(made.arms) == len(made.levels) + (not is_even)


@pytest.mark.parametrize("made", DESIGNS)
def test_columns_of_parts_are_balanced_and_of_different_groups_orthogonal(made: Design) -> None:
    columns = np.column_stack([made.column(group[0]) for group in made.groups])
    assert (columns.sum(axis=0) == 0).all()
    assert np.array_equal(columns.T @ columns, len(made.levels) * np.eye(len(made.groups)))


@pytest.mark.parametrize("made", DESIGNS)
def test_effects_of_a_group_differ_by_a_defining_word(made: Design) -> None:
    grouped = {effect: number for number, group in enumerate(made.groups) for effect in group}
    assert len(grouped) == len(made.parts) * (len(made.parts) + 1) // 2
    for one, other in combinations(grouped, 2):
        sign = made.words.get(tuple(sorted({*one} ^ {*other})))
        assert (grouped[one] == grouped[other]) == (sign is not None)
        assert sign in (None, 1)


@pytest.mark.parametrize("made", DESIGNS)
def test_no_part_is_confused_with_an_interaction(made: Design) -> None:
    for group in made.groups:
        assert len({len(effect) for effect in group}) == 1
        assert len(group) == 1 or len(group[0]) == 2
    if made.resolution is None or made.resolution >= 5:
        assert all(len(group) == 1 for group in made.groups)


def test_a_design_for_five_parts_is_a_half_with_the_missing_corner() -> None:
    made = design(["a", "b", "c", "d", "e"])
    assert len(made.arms) == 17
    assert made.arms[-1] == ("a", "b", "c", "d", "e")
    assert made.label((0, 4)) == "a x e"


@pytest.mark.parametrize(
    "parts, arms, said",
    [
        (1, None, "takes 2 to 10 parts, got 1"),
        (11, None, "takes 2 to 10 parts, got 11"),
        (4, 8, "arms=8: for 4 parts there is a design with 16 arms"),
        (6, 64, "arms=64: for 6 parts there is a design with 32 or 16 arms"),
    ],
)
def test_what_there_is_no_design_for(parts: int, arms: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        design([f"part{number}" for number in range(parts)], arms)
