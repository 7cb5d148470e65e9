"""The numbers of the tables, from scores made by hand; that there are runs behind each is tested on the page."""

from typing import Any

import pandas as pd
import pytest
from frames import frame, record
from scipy import stats

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.sentence import p_value
from initbench.metric import ACCURACY
from initbench.report.content.comparison_tables import overall_table, pairs_table, reference_table
from initbench.report.content.table import Table, interval
from initbench.report.content.workload_tables import _hundredth, between, detail_tables, ranking_table


def comparison(*records: dict[str, Any]) -> Comparison:
    return Comparison(frame(*records))


def main(found: Comparison) -> Findings:
    assert found.main is not None
    return found.main


def by_column(table: Table) -> pd.DataFrame:
    rows = {init: dict(zip(table.columns, cells, strict=True)) for init, cells in table.rows}
    return pd.DataFrame.from_dict(rows, orient="index")


def test_a_ranking() -> None:
    found = comparison(*(record("a", n, 0.8 + 0.1 * n) for n in (0, 1)), record("b", 0, 0.5, hits=(None, None)))
    table = by_column(ranking_table(found.rankings[0], ACCURACY))
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a"].to_dict() == {
        "test accuracy, mean ± 95%": "0.8500 ± 0.6353",  # t(1) = 12.706 standard errors of .05
        "runs": "2",
        "reach 50%": "100%",
        "median steps to 50%": "10",
    }
    assert table.loc["b", "test accuracy, mean ± 95%"] == "0.5000"  # one run has no interval
    assert table.loc["b", "median steps to 50%"] == "never"


def test_where_runs_learned_nothing_no_mean_is_given() -> None:
    scores = {"a": [0.9, 0.91, 0.92, 0.93, 0.94], "b": [0.8, 0.1, 0.82, 0.81, 0.83]}
    rows = [record(init, n, score, hits=(None, None)) for init, of in scores.items() for n, score in enumerate(of)]
    found = comparison(
        *rows, record("b", 5, None, status="diverged", hits=(None, None)), record("a", 5, 0.95, hits=(None, None))
    )
    table = by_column(ranking_table(found.rankings[0], ACCURACY))
    assert not any("±" in cell for cell in table.to_numpy().ravel())
    assert table.loc["b", "learned"] == "4 of 6"
    assert (
        table.loc["b", "test accuracy, interquartile mean"] == "0.6325"
    )  # of .1, .8, .81, .82: one at either end goes
    assert table.loc["b", "diverged"] == "1"


def test_outcomes_and_rates_are_columns_where_there_are_any() -> None:
    diverged = record("a", 0, None, lr=1.0, status="diverged", hits=(None, None))
    found = comparison(record("a", 0, 0.8, lr=0.1), diverged)
    assert list(by_column(ranking_table(found.rankings[0], ACCURACY))) == [
        "learning rate",
        "test accuracy, mean ± 95%",
        "runs",
        "reach 50%",
        "median steps to 50%",
    ]
    found = comparison(record("b", 0, 0.8), record("a", 0, None, status="diverged", hits=(None, None)))
    assert by_column(ranking_table(found.rankings[0], ACCURACY)).loc["a", "diverged"] == "1"


def test_over_all_workloads_differences_are_to_the_best() -> None:
    leads = [0.19, 0.21, 0.2, 0.18, 0.22, 0.2, 0.19, 0.21]
    rows = [record(init, n, 0.9 - (init == "b") * lead) for init in "ab" for n, lead in enumerate(leads)]
    table = overall_table(main(comparison(*rows)), ACCURACY)
    first, second = table.rows
    found = dict(zip(table.columns, second[1], strict=True))
    assert first[1][-4:] == [""] * 4
    assert found["behind the best by"] == "20.00"
    assert found["p"] == found["p (Holm)"] == "0.008"  # 2 / 2^8, of one comparison
    reach = stats.t.ppf(0.975, 7) * stats.sem(leads)
    assert found["95% interval (all pairs)"] == f"{20 - 100 * reach:.2f} to {20 + 100 * reach:.2f}"
    assert "over 8 seeds" in table.note
    assert "best in resamples" not in table.columns  # from ten seeds on


def test_a_reference_against_each_other() -> None:
    rows = [record(init, n, mean + n / 1000) for init, mean in (("a", 0.9), ("b", 0.8), ("c", 0.7)) for n in range(8)]
    table = reference_table(main(Comparison(frame(*rows), reference="b")), ACCURACY)
    assert [(init, cells[0], cells[3]) for init, cells in table.rows] == [
        ("c", "+10.00", "0.016"),
        ("a", "-10.00", "0.016"),
    ]
    assert table.title == "b against each of the others"


def test_every_two() -> None:
    runs = [record(init, n, 0.9 - 0.1 * k) for k, init in enumerate("abc") for n in range(3)]
    table = pairs_table(main(comparison(*runs)), ACCURACY)
    assert [(higher, lower) for higher, lower, _ in table.rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    found = dict(zip(table.columns, table.rows[1][2], strict=False))
    assert (found["pairs of runs"], found["difference, points"], found["p"]) == ("3", "+20.00", "0.25")  # 2 / 2^3
    assert found["probability of improvement"] == "1.00"
    assert found["p (equal to within the margin)"] == "1.00"


def test_what_stands_behind_a_ranking() -> None:
    runs = [record("a", n, 0.8 + 0.01 * n, lr=lr, seconds_init=2.0) for n in (0, 1) for lr in (0.1, 1.0)]
    found = comparison(*runs)
    details = {table.title: table for table in detail_tables(found, found.rankings[0])}
    assert list(details) == ["At each learning rate", "Time to 50%", "Other means"]
    rates = details["At each learning rate"]
    assert by_column(rates).loc["a", "within 1.00 points of the best"] == "0.1 to 1"
    assert rates.behind("a", 1) == {"workload": found.rankings[0].workload_id, "lr": "1", "init": "a"}
    assert "lr" not in rates.behind("a", 2)
    assert by_column(details["Other means"]).loc["a", "seconds to initialize"] == "2"
    times = by_column(details["Time to 50%"]).loc["a"]
    assert times["runs that reach it (95%)"] == "100% (16% to 100%)"  # Clopper-Pearson: .025 ** (1 / 2)
    assert times["median steps"] == "0 to 10"  # evaluations are ten steps apart
    assert times["median seconds"] == "5.0"


@pytest.mark.parametrize("p, text", [(1.0, "1.00"), (0.1, "0.10"), (0.0123, "0.012"), (0.00123, "0.001")])
def test_p_values(p: float, text: str) -> None:
    assert p_value(p) == text


def test_a_small_p_is_never_0() -> None:
    assert p_value(1e-5) == "1e-05"
    assert p_value(float("nan")) == "-"


def test_an_interval_of_which_one_end_is_not_known_is_empty() -> None:
    assert interval(0.01, 0.02, ACCURACY) == "1.00 to 2.00"
    for low, high in ((float("nan"), 0.02), (0.01, float("nan"))):
        assert interval(low, high, ACCURACY) == ""


def test_columns_without_any_content_go_and_others_keep_their_order() -> None:
    table = Table(
        "", ["one", "two", "three", "95% interval"], [("a", ["1", "-", "", "x"]), ("b", ["", "", "", "y"])], {}
    )
    assert table.without_empty().columns == ["one", "95% interval"]
    assert table.without_empty().rows == [("a", ["1", "x"]), ("b", ["", "y"])]
    assert table.without_intervals().columns == ["one", "two", "three"]
    assert [cells for _, cells in table.without_intervals().rows] == [["1", "-", ""], ["", "", ""]]


def test_every_two_are_in_the_order_of_all() -> None:
    """The best first, whatever the alphabet says; each row has its own p before that of Holm's correction."""
    means = {"c": 0.9, "a": 0.8, "b": 0.7, "d": 0.6}
    runs = [record(init, n, mean + n * (-1) ** n / 100) for init, mean in means.items() for n in range(8)]
    table = pairs_table(main(comparison(*runs)), ACCURACY)
    assert [(higher, lower) for higher, lower, _ in table.rows] == [
        (a, b) for a, b in ("ca", "cb", "cd", "ab", "ad", "bd")
    ]
    for _, _, cells in table.rows:
        found = dict(zip(table.columns, cells, strict=False))
        assert (found["p"], found["p (Holm)"]) == ("0.008", "0.047")
    differences = [dict(zip(table.columns, cells, strict=False))["difference, points"] for *_, cells in table.rows]
    assert differences == ["+10.00", "+20.00", "+30.00", "+10.00", "+20.00", "+10.00"]


def test_times_have_p_of_all_pairs_before_p_of_the_fastest() -> None:
    """Ten runs at 10 steps, ten at 20 and ten at 30: as extreme a split of twenty is rare."""
    hits = {"fast": 10, "slow": 20, "slower": 30}
    runs = [record(init, n, 0.8, hits=(hit, None)) for init, hit in hits.items() for n in range(10)]
    runs += [record("never", n, 0.8, hits=(None, None)) for n in range(10)]
    found = comparison(*runs)
    details = {table.title: table for table in detail_tables(found, found.rankings[0])}
    table = by_column(details["Time to 50%"])
    (times,) = found.times
    for init in ("slow", "slower", "never"):
        assert table.loc[init, "p (log-rank, all pairs)"] == p_value(min(6 * times.table.at[init, "p_alone"], 1.0))
        assert table.loc[init, "p (to be the fastest)"] == p_value(times.table.at[init, "p_alone"])
    assert table.index.tolist() == ["fast", "slow", "slower", "never"]
    assert table.loc["slow", "median steps"] == "10 to 20"
    assert table.loc["slow", "median seconds"] == "10.0"
    assert table.loc["never", ["median steps", "median seconds"]].tolist() == ["never", "never"]
    assert table.loc["never", "runs that reach it (95%)"] == "0% (0% to 31%)"


def test_the_good_rates_are_those_within_a_point_of_the_best_and_above_chance() -> None:
    scores = {"a": {0.01: 0.8, 0.1: 0.805, 1.0: 0.79}, "b": {0.01: 0.1, 0.1: 0.105, 1.0: 0.1}}
    runs = [record(init, n, score, lr=lr) for init, of in scores.items() for lr, score in of.items() for n in range(3)]
    found = comparison(*runs, record("a", 3, None, lr=1.0, status="diverged", hits=(None, None)))
    rates = by_column(next(iter(detail_tables(found, found.rankings[0]))))
    assert rates.loc["a", "within 1.00 points of the best"] == "0.01 to 0.1"
    assert rates.loc["b", "within 1.00 points of the best"] == "-"  # no better than chance at any rate
    assert rates.loc["a", "1"].endswith(" (1 diverged)")
    assert rates.loc["a", "0.1"] == "0.8050 ± 0.0000"


def test_a_ranking_counts_the_runs_and_has_intervals_from_low_to_high() -> None:
    """Of a loss, whose scores are its negatives; b learned something in five runs of six."""
    loss = {"name": "loss", "label": "test loss", "higher_is_better": False, "unit": "nats", "perfect": 0.0}
    loss |= {"chance": 4.0}

    def of(init: str, seed: int, value: float) -> dict[str, Any]:
        results = {"val/loss": value, "val/best_loss": value, "test/loss": value, "chance_loss": 4.0}
        return record(init, seed, None, metric=loss, results=results, hits=(None, None))

    good = [of("a", n, 1.0 + n / 10) for n in range(6)]
    failed = record("a", 6, None, metric=loss, status="failed", hits=(None, None))
    found = comparison(*good, failed)
    metric = found.rankings[0].scored["metric"].iloc[0]
    table = by_column(ranking_table(found.rankings[0], metric))
    assert table.loc["a", ["runs", "failed"]].tolist() == ["7", "1"]
    found = comparison(*good, *(of("b", n, 2.0 + n / 10) for n in range(5)), of("b", 5, 4.0))
    ranking = ranking_table(found.rankings[0], metric)
    (row,) = [cells for init, cells in ranking.rows if init == "b"]
    assert row[0] == "5 of 6"
    low, high = map(float, row[3].split(" to "))
    assert low < float(row[2]) < high
    assert ranking.columns[0] == "learned"  # nobody chose a rate


def test_one_learning_rate_has_no_table() -> None:
    found = comparison(*(record("a", n, 0.8) for n in range(3)))
    assert "At each learning rate" not in [table.title for table in detail_tables(found, found.rankings[0])]


def test_without_a_natural_unit_close_is_a_hundredth_of_the_way_from_chance_to_the_best() -> None:
    scores = pd.Series([-3.0, -1.0])
    assert _hundredth(scores, -5.0) == pytest.approx(4 / 100)
    assert _hundredth(scores, -2.0) == pytest.approx(2 / 100)  # some are worse than chance
    assert _hundredth(scores, float("nan")) == pytest.approx(2 / 100)


@pytest.mark.parametrize(
    "steps, after, text",
    [(20.0, 10.0, "10 to 20"), (20.0, float("nan"), "20"), (float("inf"), 10.0, "never")],
)
def test_a_median_lies_between_two_evaluations_if_they_are_known(steps: float, after: float, text: str) -> None:
    row = pd.Series({"median_steps": steps, "median_after": after})
    assert between(row) == text


def test_of_unequal_workloads_that_with_the_fewest_seeds_has_no_interval() -> None:
    """Two workloads take three seeds of each; one takes five."""
    runs = [record(init, n, 0.9 - 0.1 * (init == "b"), model={"depth": 1}) for init in "ab" for n in range(6)]
    few = [record(init, n, 0.9 - 0.1 * (init == "b"), model={"depth": 2}) for init in "ab" for n in range(2)]
    need = "Intervals of the interquartile mean need at least 5 seeds of a single workload, or 3 of each of several."
    assert need in overall_table(main(comparison(*runs, *few)), ACCURACY).note
    assert need not in overall_table(main(comparison(*runs)), ACCURACY).note
    assert need in overall_table(main(comparison(*(run for run in runs if run["seed"] < 4))), ACCURACY).note


def test_what_is_close_to_the_best_rate_is_told_in_the_unit_of_a_loss() -> None:
    """From a chance of 4 to the best, 1, a hundredth is 0.03: 1.02 is within it, 1.05 is not."""
    loss = {"name": "loss", "label": "test loss", "higher_is_better": False, "unit": "nats", "perfect": 0.0}
    values = {0.1: 1.05, 0.2: 1.0, 0.4: 1.02}
    runs = [
        record(
            init,
            n,
            None,
            lr=lr,
            metric={**loss, "chance": 4.0},
            results={"val/loss": value, "val/best_loss": value, "test/loss": value, "chance_loss": 4.0},
            hits=(None, None),
        )
        for init in "ab"
        for lr, value in values.items()
        for n in range(2)
    ]
    table_of = frame(*runs)
    found = Comparison(table_of, table_of["metric"].iloc[0])
    table = by_column(next(iter(detail_tables(found, found.rankings[0]))))
    assert table.columns[-1].startswith("within 0.03")
    assert table.loc["a"].tolist()[-1] == "0.2 to 0.4"
