"""What is said of workloads on which different initializers are best."""

import re

import numpy as np
from frames import frame, record
from verdicts import said, study

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentences import sentences


def by_depth(means: dict[str, tuple[float, ...]], seeds: int, noise: float = 0.005) -> Comparison:
    rng = np.random.default_rng(0)
    rows = [
        record(init, seed, mean + noise * rng.standard_normal(), model={"depth": depth}, hits=(None, None))
        for init, of in means.items()
        for depth, mean in enumerate(of)
        for seed in range(seeds)
    ]
    return Comparison(frame(*rows))


def test_equal_on_average_is_no_advice_where_workloads_differ() -> None:
    found = said(by_depth({"a": (0.9, 0.8), "b": (0.8, 0.9)}, seeds=12, noise=0.002))
    assert "differs" in found
    assert re.fullmatch(
        r"On average over the workloads, [ab] is equal to [ab] to within 0\.5 points\.", found["equal"].text
    )
    alike = said(study({"a": 0.9, "b": 0.9}, seeds=12, workloads=2, noise=0.001))
    assert re.fullmatch(
        r"On each workload, [ab] and [ab] are equal to within 0\.5 points: either will do\.", alike["equal"].text
    )


def test_where_the_best_differs_that_is_said_first() -> None:
    first, *rest = sentences(by_depth({"shallow": (0.9, 0.8), "deep": (0.8, 0.92)}, seeds=8))
    assert first.kind == "differs"
    assert first.text.startswith("Which initializer is best depends on the workload (p = 0.0")
    assert "Best mean: shallow (model.depth=0) and deep (model.depth=1)." in first.text
    assert rest[0].kind in ("open", "winner")


def test_workloads_are_listed_by_the_initializer_that_is_best_on_them() -> None:
    first = sentences(by_depth({"a": (0.9, 0.9, 0.8), "b": (0.8, 0.8, 0.9)}, seeds=9, noise=0.001))[0].text
    assert re.search(r"Best mean: a \(model.depth=0; model.depth=1\) and b \(model.depth=2\)\.$", first)


def test_where_only_the_order_differs_chance_may_do_that() -> None:
    means = {"a": (0.9, 0.899), "b": (0.899, 0.9)}
    found = said(by_depth(means, seeds=6, noise=0.01))
    assert "differs" not in found
    start = "Different initializers have the best mean on different workloads, which chance alone could explain: "
    assert found["order"].text.startswith(start)
    few = said(by_depth({"a": (0.9, 0.88), "b": (0.88, 0.9)}, seeds=5, noise=0.002))
    assert "workloads, but there are too few seeds to tell that from chance: " in few["order"].text


def test_a_winner_over_workloads_that_differ_is_one_on_average() -> None:
    first, second, *_ = sentences(by_depth({"a": (0.9, 0.81), "b": (0.8, 0.9)}, seeds=9, noise=0.001))
    assert first.kind == "differs"
    assert second.text.startswith("On average over the workloads, use a: it beat b; ")
