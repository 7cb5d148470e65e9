"""The parquet files of many runs as one frame, with little overhead per file: there are thousands of small ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from initbench.record.damage import Damaged, check_file, tell
from initbench.record.store import TABLE_REMEDY


def read_tables(
    runs: pd.DataFrame, table: str, columns: Sequence[str], text: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """`<table>.parquet` of all `runs` as one frame, and the names of the folders whose file cannot be read.

    Columns: run, its position in `runs`, then `columns`, NaN where a file lacks one; those in `text` hold text, the
    others numbers. A run without the file has no rows.
    """
    # pandas's reader takes three times as long as pyarrow's own, and one frame per run as long again.
    import pyarrow as pa
    from pyarrow import parquet

    tables, places, broken = [], [], []
    for place, path in enumerate(runs["path"]):
        if path is None:  # a run that was made elsewhere
            continue
        file = Path(path) / f"{table}.parquet"
        try:
            check_file(file)
            with parquet.ParquetFile(file) as opened:
                present = [column for column in columns if column in opened.schema_arrow.names]
                found = opened.read(present, use_threads=False)
            kinds = {"step": pa.int64(), **dict.fromkeys(text, pa.string())}
            kinds = {column: kinds.get(column, pa.float64()) for column in present}
            tables.append(found.cast(pa.schema(kinds.items())))
        except FileNotFoundError:
            continue
        except (OSError, pa.ArrowException) as error:  # or text where numbers belong
            tell(Damaged(file, error, TABLE_REMEDY))
            broken.append(Path(path).name)
            continue
        places.append(place)
    if not tables:
        return pd.DataFrame(columns=["run", *columns]), broken
    rows = pa.concat_tables(tables, promote_options="permissive").to_pandas().reindex(columns=columns)
    rows.insert(0, "run", np.repeat(places, [len(one) for one in tables]))
    return rows, broken
