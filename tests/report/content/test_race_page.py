"""The table and the plot of a race, against its course."""

import math

import numpy as np
import pytest
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.verdict import Verdict
from initbench.record.plans import Plan, Race
from initbench.report.content.race import _filled, race_plot, race_tables
from initbench.report.formats.markdown import markdown


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """a is the best, b is close, c far behind."""
    rng = np.random.default_rng(1)
    means = {"c": 0.2, "b": 0.893, "a": 0.9}
    runs = frame(*(record(init, seed, of + 0.005 * rng.normal()) for init, of in means.items() for seed in range(30)))
    plan = Plan(
        ("a", "b", "c"), tuple(runs["workload_id"].unique()), (), (), None, None, Race(0.05, 30, None, False, False)
    )
    runs.attrs["plans"] = [plan]
    return Comparison(runs)


def test_the_table_has_who_is_in_first_then_who_left_last(comparison: Comparison) -> None:
    (race,) = comparison.races
    (table,) = race_tables(comparison)
    last, first = reversed(race.course.exits)
    assert [init for init, _ in table.rows] == ["a", "b", "c"]
    assert [cells[0] for _, cells in table.rows] == ["in", "out", "out"]
    assert [cells[1] for _, cells in table.rows] == [str(last.seeds), str(last.seeds), "5"]
    assert (last.seeds, first.seeds) == (race.course.seeds, 5)
    assert table.rows[0][1][2] == f"{race.scores[: last.seeds, 0].mean():.4f}"
    assert table.rows[1][1][3:] == ["a", f"{100 * last.lead:.2f}"]
    assert "## The race" in markdown(Verdict(comparison), "study")


def test_the_plot_has_the_leads_and_the_bounds_that_they_cross(comparison: Comparison) -> None:
    (race,) = comparison.races
    plot = race_plot(race, comparison.metric, 0)
    assert plot is not None
    lead = plot.series["b"]["lead"]
    assert list(lead["x"])[-1] == race.course.exits[-1].seeds
    assert lead["y"][-1] == pytest.approx(100 * race.course.exits[-1].lead)
    look = race.course.looks[-1]
    assert look.leads[1] >= look.bounds[1] > 0
    assert plot.series["b"]["share"]["y"][-1] == pytest.approx(look.leads[1] / look.bounds[1])
    assert plot.series["c"]["share"]["y"][-1] == 1  # worse in every run
    before = race.course.looks[-2]
    assert before.leads[1] < before.bounds[1]
    assert lead["high"][-2] == pytest.approx(
        max(lead["y"][-2], 100 * before.bounds[1]) if math.isfinite(before.bounds[1]) else lead["y"][-2]
    )


def test_the_band_has_no_notch_where_a_look_may_decide_nothing() -> None:
    bounds = np.array([math.nan, 2.0, math.nan, 4.0, math.nan])
    assert np.array_equal(_filled(bounds), [math.nan, 2.0, 3.0, 4.0, math.nan], equal_nan=True)
    assert np.isnan(_filled(np.full(3, math.nan))).all()


def test_verdict_json_has_its_course(comparison: Comparison) -> None:
    content = Verdict(comparison).to_dict()
    (race,) = content["races"]
    assert content["comparisons"] == []
    assert (race["winner"], race["is_over"], race["refused"]) == ("a", True, [])
    assert [out["init"] for out in race["out"]] == ["c", "b"]
    assert race["out"][0] == {"init": "c", "seeds": 5, "by": "a", "lead": race["out"][0]["lead"], "in_every_run": True}
    assert race["looks"][0]["bounds"] == {"b": None, "c": None} or race["looks"][0]["best"] != "a"
    assert race["inside"][0]["mean"] == pytest.approx(comparison.races[0].scores[: race["seeds"], 0].mean())
