"""test_samples.parquet: the metric of each test sample at the end of a run, in the order of the test set.

One column, which is named after the metric: whether the sample was right (a bit), or its error or loss, the mean over
its predictions. Its mean is the result of the run. For 10,000 samples it takes 1.6 kB or about 30 kB.
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
    """Write the values (N,) of the metric; without values, or with some that are not finite, leave no file."""
    import numpy as np

    if values is None or not np.isfinite(values).all():
        discard(store.folder / f"{TABLE}.parquet")
        return
    store.write_columns(TABLE, {metric: _compact(values)})


def read_test_samples(folder: Path) -> "NDArray[Any] | None":
    """The values (N,), float64; None for a run without the file. Raises Damaged."""
    import numpy as np

    table = read_table(folder, TABLE)
    if table is None:
        return None
    path = folder / f"{TABLE}.parquet"
    if table.num_columns != 1:
        raise Damaged(path, f"it has {table.num_columns} columns instead of one", TABLE_REMEDY)
    try:
        values = table.column(0).to_numpy().astype(np.float64)
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
