"""What can be compared with what, and what is left out."""

import numpy as np
import pandas as pd

from initbench.analysis.comparison.scope import Scope, left_out, partial, scopes


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
    assert scopes(scores(w={"a": 10, "b": 10, "c": 5}))[0].inits == ("a", "b", "c")
    assert scopes(scores(w={"a": 10, "b": 10, "c": 4}))[0].inits == ("a", "b")


def test_seeds_of_a_third_initializer_take_nothing_from_two() -> None:
    """Whatever seeds it has, and however many of them: what counts is what two share."""
    shared = {"a": [*range(6)], "b": [*range(6)]}
    for others in ([*range(10, 16)], [5, 10, 11, 12], [0]):
        assert scopes(scores(w={**shared, "c": others}))[0].inits == ("a", "b")
    assert scopes(scores(w={"a": 100, "b": [*range(6)]}))[0].inits == ("a", "b")


def test_each_may_lack_a_seed() -> None:
    """Every two share eight of ten seeds, all of them two: all are compared."""
    table = scores(w={init: [seed for seed in range(10) if seed != lacking] for lacking, init in enumerate("abcdefgh")})
    (scope,) = scopes(table)
    assert scope.inits == tuple("abcdefgh")


def test_of_two_that_share_with_a_third_the_reference_is_taken() -> None:
    table = scores(w={"a": [*range(6)], "b": [*range(12)], "c": [*range(6, 12)]})
    assert scopes(table, "a")[0].inits == ("a", "b")
    assert scopes(table, "c")[0].inits == ("b", "c")
    assert len(scopes(table)) == 1  # no workload is compared twice


def test_many_initializers_with_gaps_take_no_time() -> None:
    gaps = np.random.default_rng(0).random((5, 60, 10)) < 0.9
    table = scores(
        **{
            f"w{place}": {f"i{init:02}": np.flatnonzero(of).tolist() for init, of in enumerate(workload)}
            for place, workload in enumerate(gaps)
        }
    )
    assert sum(len(scope.inits) * len(scope.workloads) for scope in scopes(table)) > 20


def test_without_a_common_seed_nothing_is_compared() -> None:
    table = scores(w={"a": [0], "b": [1]})
    assert scopes(table) == []
    assert left_out(table, []) == {"w": "no seed is shared by two initializers"}


def test_few_runs_of_others_are_named() -> None:
    table = scores(v={"a": 10, "b": 1}, w={"a": 3, "b": 3})
    assert left_out(table, scopes(table)) == {"v": "only one seed is shared by two initializers"}


def test_nothing_is_nothing() -> None:
    assert scopes(scores(w={"a": 3})) == []
    assert scopes(scores()) == []
