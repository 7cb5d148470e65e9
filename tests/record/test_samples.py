"""What a record keeps of each test sample: small, exact enough, and never that of another attempt."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from initbench.metric import ACCURACY
from initbench.record.damage import Damaged
from initbench.record.history import History
from initbench.record.life import Life
from initbench.record.samples import read_outputs, read_test_samples, write_test_samples
from initbench.record.store import Store

RIGHT = np.random.default_rng(0).random(10_000) < 0.9
LOSSES = np.random.default_rng(0).exponential(size=10_000).astype(np.float32) + 0.01


@pytest.fixture
def store(small: Any) -> Store:
    return Store(small())


@pytest.mark.parametrize(
    "values, dtype, most_bytes",
    [
        (RIGHT.astype(np.float32), "bool", 1_700),
        (LOSSES, "float16", 30_000),
        (LOSSES * 1e-4, "float32", 60_000),  # squared errors of a good fit: float16 would round them to nothing
        (LOSSES * 1e5, "float32", 60_000),  # float16 ends at 65,504
    ],
    ids=["right or wrong", "losses", "small errors", "large errors"],
)
def test_values_read_back_as_precisely_as_their_size_needs(
    store: Store, values: Any, dtype: str, most_bytes: int
) -> None:
    write_test_samples(store, "score", values)
    read = read_test_samples(store.folder)
    assert read is not None
    assert read.dtype == np.float64
    np.testing.assert_allclose(read, values, rtol=1e-3)
    assert read.mean() == pytest.approx(values.mean(dtype=np.float64), rel=1e-5)
    path = store.folder / "test_samples.parquet"
    assert {**pd.read_parquet(path).dtypes} == {"score": np.dtype(dtype)}
    assert path.stat().st_size < most_bytes


def test_outputs_are_kept_beside_the_metric(store: Store) -> None:
    outputs = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    write_test_samples(store, "score", np.column_stack([LOSSES[:50], outputs]))
    frame = pd.read_parquet(store.folder / "test_samples.parquet")
    assert list(frame) == ["score", "output_0", "output_1"]
    np.testing.assert_array_equal(read_outputs(store.folder), outputs)
    np.testing.assert_allclose(read_test_samples(store.folder), LOSSES[:50], rtol=1e-3)


def test_where_only_the_metric_is_kept_there_are_no_outputs(store: Store) -> None:
    write_test_samples(store, "score", LOSSES)
    assert read_outputs(store.folder) is None


def test_a_record_of_before_has_none(store: Store) -> None:
    store.write("finished")
    assert read_test_samples(store.folder) is None
    assert read_outputs(store.folder) is None


@pytest.mark.parametrize(
    "content, words",
    [
        (b"PAR1 no more", "cannot be read"),
        ({"accuracy": [1.0], "loss": [0.5]}, "its columns are accuracy, loss, not a metric and outputs"),
        ({"accuracy": ["right", "wrong"]}, "could not convert"),
        ({"accuracy": [1.0, None]}, "it holds values that are not finite"),
    ],
    ids=["no parquet", "two columns", "words", "a hole"],
)
def test_a_damaged_file_is_named(content: Any, words: str, store: Store) -> None:
    store.write("finished")
    path = store.folder / "test_samples.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pd.DataFrame(content).to_parquet(path)
    with pytest.raises(Damaged, match=f"test_samples.parquet .*{words}"):
        read_test_samples(store.folder)


def ended(store: Store, values: Any) -> Path:
    life = Life(store, {})
    life.begin(8, ACCURACY, resumes=False)
    times: dict[str, Any] = {"targets": [], "seconds_init": 0.0}
    life.end(History(store), {}, values=values, test={}, metric=ACCURACY, chance_loss=None, **times)
    return store.folder / "test_samples.parquet"


@pytest.mark.parametrize("values", [None, np.array([1.0, np.nan], np.float32)], ids=["diverged", "not finite"])
def test_another_attempt_leaves_none_of_the_first(store: Store, values: Any) -> None:
    assert ended(store, RIGHT.astype(np.float32)).exists()
    assert not ended(store, values).exists()


@pytest.mark.parametrize("holes", [[np.nan, 1.0], [1.0, np.inf]])
def test_one_value_that_is_not_finite_is_enough_to_keep_none(store: Store, holes: list[float]) -> None:
    write_test_samples(store, "score", LOSSES[:5])
    write_test_samples(store, "score", np.array(holes, np.float32))
    assert read_test_samples(store.folder) is None


def test_samples_keep_their_order_and_outputs_their_columns(store: Store) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    write_test_samples(store, "score", values)
    assert (read_test_samples(store.folder) == [0, 3, 6, 9]).all()
    assert (read_outputs(store.folder) == [[1, 2], [4, 5], [7, 8], [10, 11]]).all()


def test_values_of_which_only_some_are_0_or_1_are_no_bits(store: Store) -> None:
    write_test_samples(store, "score", np.array([0.0, 1.0, 0.5], np.float32))
    assert (read_test_samples(store.folder) == [0.0, 1.0, 0.5]).all()


def test_columns_in_another_order_are_no_outputs(store: Store) -> None:
    store.write("finished")
    pd.DataFrame({"score": [1.0], "output_1": [1.0], "output_0": [2.0]}).to_parquet(
        store.folder / "test_samples.parquet"
    )
    for read in (read_test_samples, read_outputs):
        with pytest.raises(Damaged, match="its columns are score, output_1, output_0, not a metric and outputs"):
            read(store.folder)


def test_values_too_small_for_half_precision_are_kept_whole(store: Store) -> None:
    tiny = np.array([3e-9, 2e-9, 5e-10], np.float32)
    write_test_samples(store, "score", tiny)
    np.testing.assert_allclose(read_test_samples(store.folder), tiny, rtol=1e-6, atol=0)
