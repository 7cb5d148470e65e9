"""Tables in files: CSV, TSV and parquet."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from initbench.errors import nearest

if TYPE_CHECKING:
    import pandas as pd

KINDS = (".csv", ".tsv", ".parquet")


def read_table(path: Path) -> "pd.DataFrame":
    """The table in a CSV, TSV or parquet file.

    The cells of CSV and TSV files are text, and the index is the number of the line on which a row begins. Raises
    ValueError, in one line, for a file that is missing or cannot be read.
    """
    import pandas as pd
    import pyarrow as pa

    if not path.is_file():
        there = [str(file) for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
        raise ValueError(f"there is no file {str(path)!r}.{nearest(str(path), there)}")
    kind = path.suffix.lower()
    try:
        return pd.read_parquet(path) if kind == ".parquet" else _read_text(path, "\t" if kind == ".tsv" else ",")
    except (ValueError, KeyError, OSError, csv.Error, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as {kind[1:]}: {reason}") from error


def _read_text(path: Path, separator: str) -> "pd.DataFrame":
    import pandas as pd

    csv.field_size_limit(2**24)  # Python's own limit is 128 kB
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
        rows, lines, header, line = [], [], None, 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if header is None:
                    header = [cell.strip() for cell in cells]
                else:
                    rows.append(_fitted(cells, header, line))
                    lines.append(line)
            line = reader.line_num + 1
    if header is None:
        raise ValueError("it is empty")
    return pd.DataFrame(rows, pd.Index(lines, name="line"), columns=header, dtype=object)


def _fitted(cells: list[str], header: list[str], line: int) -> list[str]:
    """A row with as many cells as the header: missing ones at the end become empty, superfluous empty ones go."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    if len(cells) > len(header):
        hint = "; are its cells separated by ';'?" if ";" in header[0] else ""
        raise ValueError(f"line {line} has {len(cells)} cells, the header {len(header)}{hint}")
    return cells + [""] * (len(header) - len(cells))
