"""The numbers of the tables, from scores made by hand; that there are runs behind each is tested on the page."""

from typing import Any

import pandas as pd
import pytest
from frames import frame, record

from initbench.analysis.comparison import Comparison
from initbench.report import tables


def comparison(*records: dict[str, Any]) -> Comparison:
    return Comparison(frame(*records))


def by_column(table: tables.Table) -> pd.DataFrame:
    rows = {init: dict(zip(table.columns, cells, strict=True)) for init, cells in table.rows}
    return pd.DataFrame.from_dict(rows, orient="index")


def test_a_ranking() -> None:
    found = comparison(*(record("a", n, 0.8 + 0.1 * n) for n in (0, 1)), record("b", 0, 0.5, hits=(None, None)))
    table = by_column(tables.of_task(found.rankings[0]))
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a"].to_dict() == {
        "test accuracy": "0.8500 ± 0.6353",  # t(1) = 12.706 standard errors of .05
        "reach 50%": "100%",
        "median steps to it": "10",
        "runs": "2",
    }
    assert table.loc["b", "test accuracy"] == "0.5000"  # one run has no interval
    assert table.loc["b", "median steps to it"] == "never"


def test_outcomes_and_rates_are_columns_where_there_are_any() -> None:
    diverged = record("a", 0, None, lr=1.0, status="diverged", hits=(None, None))
    found = comparison(record("a", 0, 0.8, lr=0.1), diverged)
    assert list(by_column(tables.of_task(found.rankings[0]))) == [
        "learning rate",
        "test accuracy",
        "reach 50%",
        "median steps to it",
        "runs",
    ]
    found = comparison(record("b", 0, 0.8), record("a", 0, None, status="diverged", hits=(None, None)))
    assert by_column(tables.of_task(found.rankings[0])).loc["a", "diverged"] == "1"


def test_over_all_tasks_differences_are_to_the_best() -> None:
    found = comparison(*(record(init, n, mean) for init, mean in (("a", 0.9), ("b", 0.7)) for n in range(8)))
    table = tables.overall(found)
    assert table.rows[0][1][-3:] == ["", "", ""]
    behind, interval, p = table.rows[1][1][-3:]
    assert behind == "20.00"
    assert p == "0.008"  # 2 / 2^8, of one comparison
    share = 1 - 0.05 ** (1 / 8)  # equal differences: what eight blocks need not have shown
    assert interval == f"{20 * (1 - share) - 100 * share:.2f} to {20 * (1 - share) + 100 * share:.2f}"
    assert "8 blocks" in table.note


def test_every_two() -> None:
    runs = [record(init, n, 0.9 - 0.1 * k) for k, init in enumerate("abc") for n in range(3)]
    columns, rows = tables.every_two(comparison(*runs))
    assert [(higher, lower) for higher, lower, _ in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    found = dict(zip(columns, rows[1][2], strict=False))
    assert (found["pairs of runs"], found["difference, points"], found["p"]) == ("3", "+20.00", "0.25")  # 2 / 2^3
    assert found["probability of improvement"] == "1.00"


def test_what_stands_behind_a_ranking() -> None:
    runs = [record("a", n, 0.8 + 0.01 * n, lr=lr, seconds_init=2.0) for n in (0, 1) for lr in (0.1, 1.0)]
    found = comparison(*runs)
    details = {table.title: table for table in tables.details(found, found.rankings[0])}
    assert list(details) == ["At each learning rate", "Time to 50%", "More numbers"]
    rates = details["At each learning rate"]
    assert by_column(rates).loc["a", "good within a point"] == "0.1 to 1"
    assert rates.behind("a", 1) == {"task": found.rankings[0].task, "lr": "1", "init": "a"}
    assert "lr" not in rates.behind("a", 2)
    assert by_column(details["More numbers"]).loc["a", "seconds to initialize"] == "2"
    times = by_column(details["Time to 50%"]).loc["a"]
    assert times["runs that reach it (95 %)"] == "100% (16% to 100%)"  # Clopper-Pearson: .025 ** (1 / 2)
    assert times["median seconds"] == "5.0"


@pytest.mark.parametrize("p, text", [(1.0, "1.00"), (0.1, "0.10"), (0.0123, "0.012"), (0.00123, "0.001")])
def test_p_values(p: float, text: str) -> None:
    assert tables.p_value(p) == text


def test_a_small_p_is_never_0() -> None:
    assert tables.p_value(1e-5) == "1e-05"
    assert tables.p_value(float("nan")) == "-"
