"""Numbers that were made elsewhere: what is taken, and what is refused in one line."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from packaging.version import Version

from initbench.analysis.loading.table import from_table
from initbench.metric import Metric

LOSS = Metric("loss", "loss", higher_is_better=False)


needs_pandas_31 = pytest.mark.skipif(
    Version(pd.__version__) < Version("3.1"), reason="pandas before 3.1 makes no frame of a number that no float holds"
)
HUGE = pytest.param(10**400, marks=needs_pandas_31)


def table(*losses: object, **columns: list[object]) -> pd.DataFrame:
    """A run of method m for each loss, seeds from 0 on."""
    n = len(losses)
    return pd.DataFrame({"method": ["m"] * n, "seed": range(n), "loss": losses, **columns})


def runs(given: pd.DataFrame, metric: Metric = LOSS, **names: Any) -> pd.DataFrame:
    return from_table(given, metric, init="method", **names)


def test_a_score_is_what_is_better() -> None:
    assert runs(table(2.0, 1.5))["score"].tolist() == [-2.0, -1.5]
    assert runs(table(2.0, 1.5), Metric("loss", "loss"))["score"].tolist() == [2.0, 1.5]


def test_workloads_are_named_by_their_columns() -> None:
    given = table(2.0, 1.5, data=["x", "y"], depth=[3, 4])
    assert runs(given, workload=["data"])["workload"].tolist() == ["x", "y"]
    assert runs(given, workload=["data", "depth"])["workload"].tolist() == ["x, 3", "y, 4"]
    assert runs(given)["workload"].tolist() == ["all runs"] * 2


@pytest.mark.parametrize(
    "bad",
    [
        math.nan,
        None,
        "",
        "nan",
        "NA",
        " n/a ",
        "None",
        "null",
        math.inf,
        "inf",
        1e308,
        HUGE,
        np.float32("nan"),
        pd.NA,
    ],
)
def test_a_run_without_a_finite_score_failed(bad: object) -> None:
    found = runs(table(2.0, 1.5, bad))
    assert found["score"].tolist() == [-2.0, -1.5, -2.0]  # the worst there is
    assert found["status"].tolist() == ["finished", "finished", "diverged"]
    assert found["learned"].tolist() == [True, True, False]
    known = Metric("loss", "loss", higher_is_better=False, chance=2.3)
    assert runs(table(2.0, 1.5, bad), known)["score"].tolist() == [-2.0, -1.5, -2.3]


def test_a_chance_level_better_than_all_scores_is_not_theirs_that_failed() -> None:
    odd = Metric("loss", "loss", higher_is_better=False, chance=0.1)
    assert runs(table(2.0, 1.5, None), odd)["score"].tolist() == [-2.0, -1.5, -2.0]
    assert runs(table(None, None), odd)["score"].tolist() == [-0.1, -0.1]


def test_workloads_that_only_print_alike_are_apart() -> None:
    given = table(2.0, 1.5, p=["x, y", "x"], q=["z", "y, z"])
    assert runs(given, workload=["p", "q"])["workload"].tolist() == ["p='x, y', q='z'", "p='x', q='y, z'"]


def test_names_are_on_one_line() -> None:
    given = table(2.0, 1.5, 1.0).assign(method=["a\n b", " a\tb\x07 ", "c\r"], seed=[0, 1, 0])
    assert runs(given)["init"].tolist() == ["a b", "a b", "c"]


@pytest.mark.parametrize("bad", [-math.inf, "-inf", -1e308, pytest.param(-(10**400), marks=needs_pandas_31)])
def test_a_score_that_is_too_good_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"^row 1: loss is -.*, which cannot be a score if lower is better$"):
        runs(table(2.0, bad))


@pytest.mark.parametrize("bad", ["oops", "1,5", "0.9.1", "1_0", True, np.True_, [1.0], {}])
def test_what_is_not_a_number_is_refused_with_its_row(bad: object) -> None:
    with pytest.raises(ValueError, match=rf"^row 2: loss is {re.escape(repr(bad))}, which is not a number$"):
        runs(table(2.0, 1.5, bad))


def test_what_is_refused_is_not_echoed_at_length() -> None:
    with pytest.raises(ValueError, match="is not a number") as error:
        runs(table("x" * 200_000))
    assert len(str(error.value)) < 200


def test_shares_that_rounding_takes_beyond_the_ends_are_at_the_ends() -> None:
    share = Metric("score", "score", is_share=True)
    table = pd.DataFrame({"init": ["a", "b"], "seed": 0, "score": [1 + 1e-15, -1e-15]})
    assert from_table(table, share)["score"].tolist() == [1.0, 0.0]


def test_numbers_in_words_are_numbers() -> None:
    assert runs(table("2.0", " 1.5", 1))["score"].tolist() == [-2.0, -1.5, -1.0]


def test_a_missing_column_is_named_with_the_nearest() -> None:
    given = table(2.0)
    with pytest.raises(ValueError, match=r"^there is no column 'los'\. Did you mean 'loss'\? Columns: method,"):
        runs(given, Metric("los", "los"))
    with pytest.raises(ValueError, match=r"^there is no column 'dataset'\. Columns: "):
        runs(given, workload=["dataset"])
    with pytest.raises(ValueError, match=r"^there is no column 'seeds'\. Did you mean 'seed'\?"):
        runs(given, seed="seeds")


@pytest.mark.parametrize("seeds", [[0, 1, 0], ["0", "1", "0.0"], ["0", "1", "00"], [0, 1, 0.0]])
def test_a_run_that_is_there_twice_is_refused(seeds: list[object]) -> None:
    """Also where only what is written differs."""
    given = table(2.0, 1.5, 1.0).assign(seed=pd.Series(seeds, dtype=object))
    message = r"^method=m seed=0 occurs 2 times \(row 0, row 2\); if the runs differ in a column, name it as workload$"
    with pytest.raises(ValueError, match=message):
        runs(given)
    assert len(runs(given.assign(data=["x", "x", "y"]), workload=["data"])) == 3
    with pytest.raises(ValueError, match=r"^method=1 seed=5 occurs 2 times"):
        runs(table(1.0, 2.0).assign(method=pd.Series([1, "1"], dtype=object), seed=5))


@pytest.mark.parametrize("column", ["method", "seed", "data"])
@pytest.mark.parametrize("empty", [None, "", "  ", math.nan])
def test_a_run_without_a_name_is_refused(column: str, empty: object) -> None:
    given = table(2.0, 1.5, data=["x", "y"]).astype(object)
    given.loc[1, column] = empty
    with pytest.raises(ValueError, match=rf"^row 1: {column} is empty$"):
        runs(given, workload=["data"])


def test_a_table_without_rows_or_with_two_columns_of_a_name() -> None:
    with pytest.raises(ValueError, match=r"^the table has no rows$"):
        runs(table())
    with pytest.raises(ValueError, match=r"^the table has several columns named 'loss'$"):
        runs(pd.concat([table(1.0), table(1.0)[["loss"]]], axis=1))


def test_whole_seeds_are_in_order_and_others_are_words() -> None:
    assert runs(table(*range(11)).astype({"seed": str}))["seed"].tolist() == list(range(11))
    assert runs(table(1.0, 2.0).assign(seed=["a", "1"]))["seed"].tolist() == ["a", "1"]
    assert runs(table(1.0).assign(seed=[10**30]))["seed"].tolist() == ["1" + "0" * 30]
    assert runs(table(1.0, 2.0).astype({"seed": "int64[pyarrow]"}))["seed"].tolist() == [0, 1]
    assert runs(table(1.0, 2.0).assign(seed=[1j, 2j]))["seed"].tolist() == ["1j", "2j"]


@needs_pandas_31
def test_a_seed_that_no_float_holds_is_a_word() -> None:
    assert runs(table(1.0).assign(seed=[10**400]))["seed"].tolist() == ["1" + "0" * 400]


def test_an_index_of_any_kind() -> None:
    assert len(runs(table(1.0, 2.0).set_axis([5, 5]))) == 2
    assert runs(table(1.0, 2.0).set_axis(["p", "q"])).index.tolist() == [0, 1]
