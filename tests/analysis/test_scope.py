"""What can be compared with what, and what is left out."""

import pandas as pd

from initbench.analysis.scope import Scope, left_out, partial, scopes


def scores(**seeds: dict[str, int | list[int]]) -> pd.DataFrame:
    """By workload, the seeds (or their number) of each initializer."""
    rows = [
        (workload, seed, init, 0.5)
        for workload, of in seeds.items()
        for init, given in of.items()
        for seed in (range(given) if isinstance(given, int) else given)
    ]
    table = pd.DataFrame(rows, columns=["workload", "seed", "init", "score"])
    return table.pivot(index=["workload", "seed"], columns="init", values="score")


def test_a_full_grid_is_one_comparison() -> None:
    found = scopes(scores(v={"a": 3, "b": 3}, w={"a": 3, "b": 3}))
    assert found == [Scope(("a", "b"), ("v", "w"))]


def test_a_stray_run_of_another_model_takes_nothing_away() -> None:
    table = scores(lenet={"a": 5, "b": 5, "c": 5}, resnet={"a": 1})
    assert scopes(table) == [Scope(("a", "b", "c"), ("lenet",))]
    assert left_out(table, scopes(table)) == {"resnet": "only a has runs on it"}


def test_initializers_that_most_runs_have_are_compared_everywhere() -> None:
    table = scores(v={"a": 5, "b": 5, "c": 5}, w={"a": 5, "b": 5})
    (scope,) = scopes(table)
    assert scope == Scope(("a", "b"), ("v", "w"))
    assert list(partial(table, [scope])) == [("c", ["v"], scope)]


def test_sets_that_share_nothing_are_compared_apart() -> None:
    found = scopes(scores(v={"a": 5, "b": 5}, w={"c": 5, "d": 5, "e": 5}))
    assert found == [Scope(("c", "d", "e"), ("w",)), Scope(("a", "b"), ("v",))]


def test_one_seed_of_many_does_not_outweigh_many_seeds_of_few() -> None:
    """All initializers once on one workload; the three that were compared with care elsewhere come first."""
    table = scores(
        lenet=dict.fromkeys("abc", 5), mlp=dict.fromkeys("abc", 5), resnet=dict.fromkeys("abcdefghijklmnop", 1)
    )
    (found,) = scopes(table)
    assert found == Scope(("a", "b", "c"), ("lenet", "mlp"))
    assert left_out(table, [found]) == {"resnet": "only one seed is shared by two initializers"}


def test_one_seed_is_better_than_nothing() -> None:
    assert scopes(scores(w={"a": 1, "b": 1})) == [Scope(("a", "b"), ("w",))]


def test_an_initializer_with_few_seeds_takes_none_from_the_others() -> None:
    table = scores(w={"a": 10, "b": 10, "c": 1})
    (scope,) = scopes(table)
    assert scope.inits == ("a", "b")
    assert [init for init, _, _ in partial(table, [scope])] == ["c"]


def test_half_of_the_seeds_are_enough() -> None:
    assert scopes(scores(w={"a": 10, "b": 5}))[0].inits == ("a", "b")


def test_without_a_common_seed_nothing_is_compared() -> None:
    table = scores(w={"a": [0], "b": [1]})
    assert scopes(table) == []
    assert left_out(table, []) == {"w": "no seed is shared by two initializers"}


def test_few_runs_of_others_are_named() -> None:
    table = scores(v={"a": 10, "b": 1}, w={"a": 3, "b": 3})
    assert left_out(table, scopes(table)) == {"v": "only a has enough seeds on it"}


def test_nothing_is_nothing() -> None:
    assert scopes(scores(w={"a": 3})) == []
    assert scopes(scores()) == []
