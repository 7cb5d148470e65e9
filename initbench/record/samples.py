"""test_samples.parquet: the metric of each test sample at the end of a run, in the order of the test set.

The first column is named after the metric: whether the sample was right (a bit), or its error or loss, the mean over
its predictions. Its mean is the result of the run. For 10,000 samples it takes 1.6 kB or about 30 kB. Where the data
say `keeps_outputs`, the columns output_0, output_1 and so on follow: what the model returned for the sample.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from initbench.record.damage import Damaged, discard
from initbench.record.store import TABLE_REMEDY, Store, read_table

if TYPE_CHECKING:  # reading a record must not cost the import of numpy
    import numpy as np
    from numpy.typing import NDArray

TABLE = "test_samples"
_HALF_PRECISION = 1e-3  # relative; float16 rounds by half of this, unless a number is too large or too small for it


def write_test_samples(store: Store, metric: str, values: "NDArray[np.float32] | None") -> None:
    """Write the values of the metric, (N,), or with K outputs (N, 1 + K).

    Without values, or with some that are not finite, leave no file.
    """
    import numpy as np

    if values is None or not np.isfinite(values).all():
        discard(store.folder / f"{TABLE}.parquet")
        return
    of_metric, *outputs = values.reshape(len(values), -1).T
    columns = {f"output_{number}": column for number, column in enumerate(outputs)}
    store.write_columns(TABLE, {metric: _compact(of_metric), **columns})


def read_test_samples(folder: Path) -> "NDArray[Any] | None":
    """The values of the metric, (N,), float64; None for a run without the file. Raises Damaged."""
    columns = _read(folder)
    return None if columns is None else columns[:, 0]


def read_outputs(folder: Path) -> "NDArray[Any] | None":
    """The model's outputs (N, K), float64; None for a run that kept none. Raises Damaged."""
    columns = _read(folder)
    return None if columns is None or columns.shape[1] == 1 else columns[:, 1:]


def _read(folder: Path) -> "NDArray[Any] | None":
    """All columns, (N, 1 + K)."""
    import numpy as np

    table = read_table(folder, TABLE)
    if table is None:
        return None
    path = folder / f"{TABLE}.parquet"
    names = table.column_names
    if not names or names[1:] != [f"output_{number}" for number in range(len(names) - 1)]:
        raise Damaged(path, f"its columns are {', '.join(names)}, not a metric and outputs", TABLE_REMEDY)
    try:
        values = np.stack([column.to_numpy().astype(np.float64) for column in table.columns], axis=1)
    except (TypeError, ValueError) as error:
        raise Damaged(path, error, TABLE_REMEDY) from error
    if not np.isfinite(values).all():
        raise Damaged(path, "it holds values that are not finite", TABLE_REMEDY)
    return values


def _compact(values: "NDArray[np.float32]") -> "NDArray[Any]":
    """The same values as bits, if each is 0 or 1; otherwise in float16, if that is precise enough."""
    import numpy as np

    if ((values == 0) | (values == 1)).all():
        return values.astype(bool)
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    return halves if np.allclose(halves, values, rtol=_HALF_PRECISION, atol=0) else values
