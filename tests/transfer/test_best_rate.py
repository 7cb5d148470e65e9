"""The vertex of a parabola, and which runs it is of."""

import numpy as np
import pandas as pd
import pytest

from initbench.transfer.best_rate import Scores, scores_of, vertices

RATES = (0.001, 0.002, 0.004, 0.008)


@pytest.mark.parametrize("best", [-9.1, -9.0, -8.6])
def test_the_vertex_of_a_parabola_is_exact(best: float) -> None:
    x = np.log2(RATES)
    assert vertices(-((x - best) ** 2), x) == pytest.approx(best)


def test_rates_need_not_be_equally_far_apart() -> None:
    x = np.array([-10.0, -9.0, -6.0, -5.5])
    assert vertices(3 - 2 * (x + 7.9) ** 2, x) == pytest.approx(-7.9)


def test_at_an_edge_it_is_the_edge() -> None:
    x = np.log2(RATES)
    assert vertices(np.array([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]]), x).tolist() == [x[0], x[-1]]
    concave = np.array([4.0, 3.9, 2.0, -5.0])  # the parabola through its first three is highest inside the grid
    assert vertices(np.array([concave, concave[::-1]]), x).tolist() == [x[0], x[-1]]


def test_what_diverges_beyond_moves_it_by_half_a_step_at_most() -> None:
    x = np.log2(RATES)
    assert vertices(np.array([1.0, 1.1, 1.2, -1e6]), x) == pytest.approx(x[2] - 0.5)


def test_rates_beyond_an_edge_keep_the_spacing() -> None:
    scores = Scores("a", (1, 2), RATES, np.array([[[4.0, 3, 2, 1], [1, 2, 3, 4]]]), (), np.zeros((2, 4), dtype=bool))
    assert scores.beyond() == pytest.approx([0.0005, 0.016])
    assert scores.edges() == [1, 2]


def test_rates_beyond_an_edge_keep_the_spacing_at_that_edge() -> None:
    rates = (0.001, 0.003, 0.03)
    scores = Scores("a", (1, 2), rates, np.array([[[3.0, 2, 1], [1, 2, 3]]]), (), np.zeros((2, 3), dtype=bool))
    assert scores.beyond() == pytest.approx([0.001 / 3, 0.3], rel=1e-5)


@pytest.mark.parametrize("best", range(4))
@pytest.mark.parametrize("place", range(4))
def test_a_cliff_is_beside_a_best_rate_inside_the_grid(best: int, place: int) -> None:
    diverged = np.zeros((2, 4), dtype=bool)
    diverged[1, place] = True
    scores = Scores("a", (1, 2), RATES, np.array([np.eye(4)[[1, best]]]), (), diverged)
    assert scores.cliffs() == ([2] if best in (1, 2) and abs(best - place) <= 1 else [])


def frame(*, without: tuple[int, int, float] | None = None) -> pd.DataFrame:
    rows = [
        {
            "init": init,
            "seed": seed,
            "lr": rate,
            "status": "finished",
            "workload_config": {"model": {"width": value, "depth": 2}},
            "selection_score": np.nan if (seed, value, rate) == without else seed + value * rate,
        }
        for init in "ab"
        for seed in range(3)
        for value in (16, 32, 64)
        for rate in RATES
    ]
    return pd.DataFrame(rows)


def test_seeds_that_have_not_ended_everywhere_are_left_out() -> None:
    first, second = scores_of(frame(without=(1, 32, 0.004)), "model.width", (16, 32))
    assert [(each.init, each.seeds, each.left_out) for each in (first, second)] == [("a", 2, (1,)), ("b", 2, (1,))]
    assert first.scores.shape == (2, 2, 4)
    assert first.scores[1, 1, 3] == pytest.approx(2 + 32 * 0.008)


def test_a_rate_that_was_not_run_everywhere_is_left_out() -> None:
    runs = frame()
    is_wide = runs["workload_config"].map(lambda config: config["model"]["width"] == 32)
    runs = runs[~((runs["lr"] == 0.008) & (runs["init"] == "a") & is_wide)]
    first, second = scores_of(runs, "model.width", (16, 32))
    assert (first.rates, second.rates) == (RATES[:3], RATES)


def test_runs_of_another_workload_are_refused() -> None:
    runs = frame()
    runs.at[0, "workload_config"] = {"model": {"width": 16, "depth": 4}}
    with pytest.raises(ValueError, match=r"its runs differ in more than model\.width"):
        scores_of(runs, "model.width", (16, 32))


def test_a_value_at_which_runs_failed_is_named() -> None:
    runs = frame()
    is_wide = runs["workload_config"].map(lambda config: config["model"]["width"] == 32)
    runs.loc[is_wide & (runs["lr"] > 0.001), ["selection_score", "status"]] = [np.nan, "failed"]
    with pytest.raises(ValueError, match="a: runs ended at 1 rates at every value, and a parabola needs three; at 32"):
        scores_of(runs, "model.width", (16, 32))


def test_where_runs_diverged_is_known() -> None:
    runs = frame()
    runs.loc[(runs["lr"] == 0.008) & (runs["seed"] == 1) & (runs["init"] == "a"), "status"] = "diverged"
    first, second = scores_of(runs, "model.width", (16, 32))
    assert first.diverged.tolist() == [[False, False, False, True]] * 2
    assert not second.diverged.any()
    assert first.cliffs() == []


def test_runs_may_come_in_any_order() -> None:
    runs = frame()
    turned = runs.iloc[::-1]
    inits = list(dict.fromkeys(turned["init"]))
    assert inits == ["b", "a"]  # which is the order in which they are said
    found = scores_of(turned, "model.width", (16, 32))
    assert [each.init for each in found] == inits
    for each, other in zip(found, reversed(scores_of(runs, "model.width", (16, 32))), strict=True):
        assert each.rates == RATES
        assert np.array_equal(each.scores, other.scores)


def test_two_rates_make_no_parabola() -> None:
    runs = frame()
    with pytest.raises(ValueError, match="a: runs ended at 2 rates at every value, and a parabola needs three"):
        scores_of(runs[runs["lr"] < 0.004], "model.width", (16, 32))


def test_without_a_seed_that_ended_everywhere_nothing_is_known() -> None:
    runs = frame()
    for seed, rate in enumerate(RATES[:3]):
        runs.loc[(runs["seed"] == seed) & (runs["lr"] == rate), "selection_score"] = np.nan
    with pytest.raises(ValueError, match="a: no seed has ended at all values and rates"):
        scores_of(runs, "model.width", (16, 32))


def test_a_seed_that_is_left_out_diverges_nowhere() -> None:
    runs = frame(without=(1, 32, 0.004))
    runs.loc[(runs["lr"] == 0.002) & (runs["seed"] == 1), "status"] = "diverged"
    assert not any(each.diverged.any() for each in scores_of(runs, "model.width", (16, 32)))
