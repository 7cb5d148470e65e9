"""A table of one's own: columns of numbers and of categories, and one to predict."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from initbench.data.files import existing, unchanged
from initbench.data.split import held_out
from initbench.data.vectors import Vectors
from initbench.errors import nearest
from initbench.schema.ranges import OpenFraction
from initbench.table_file import KINDS, read_table
from initbench.wording import visible

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["auto", "numbers", "classes"]
_LARGEST = torch.finfo(torch.float32).max


def table(
    root: str, file: str | None, target: str | None, predict: Kind = "auto", test_size: OpenFraction = 0.2
) -> Vectors:
    """The rows of a CSV, TSV or parquet file, which lies in `root` if it is relative; `target` names what to predict.

    A column most of whose cells are numbers is one feature; any other has a feature for each of its categories, which
    is 1 where a row has it and else 0. predict: whether the target is numbers or classes; auto: numbers, if most of its
    cells are. test_size: the share of the rows, always the same ones, that are the test set.

    Raises ValueError for a file that cannot be read, a column that is missing or there twice, or has another text in
    every row, and for a cell that is empty
    or no finite number of 32 bits where the other cells of its column are numbers.
    """
    if not file:
        raise ValueError("data.file is not set: the CSV, TSV or parquet file with the table")
    path = Path(root) / file
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"{path} must be a file in {', '.join(KINDS)}")
    is_current = unchanged(existing(root, file))
    rows = read_table(path)
    columns = [str(name) for name in rows.columns]
    if twice := [name for name, times in Counter(columns).items() if times > 1]:
        raise ValueError(f"{path} has several columns named {twice[0]!r}")
    rows = rows.set_axis(columns, axis=1)  # parquet has other names too
    if target is None:
        raise ValueError(f"data.target is not set: the column to predict. Columns: {visible(', '.join(columns))}")
    if target not in columns:
        near = nearest(str(target), columns)
        raise ValueError(f"{path} has no column data.target={target!r}.{near} Columns: {visible(', '.join(columns))}")
    if len(rows) < 3:
        raise ValueError(f"{path} has too few rows for a training, a validation and a test set")
    if len(columns) < 2:
        raise ValueError(f"{path} has no column but {target!r}")
    try:
        features = [part for name in columns if name != target for part in _features(rows, name)]
        values, classes = _targets(rows, target, predict)
        inputs = torch.tensor(features, dtype=torch.float32).T.contiguous()
        train, test = held_out(len(rows), max(1, round(test_size * len(rows))))
        return Vectors(inputs[train], values[train], inputs[test], values[test], classes, is_current)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _features(rows: "pd.DataFrame", name: str) -> list[list[float]]:
    if _is_numeric(cells := rows[name].tolist()):
        return [_numbers(rows, name)]
    categories = sorted(set(map(str, cells)))
    if len(categories) == len(cells):
        raise ValueError(f"column {name!r} has another text in every row, from which nothing is learned: leave it out")
    return [[float(str(cell) == category) for cell in cells] for category in categories]


def _targets(rows: "pd.DataFrame", name: str, predict: Kind) -> tuple[Tensor, tuple[str, ...]]:
    cells = rows[name].tolist()
    if predict == "numbers" or (predict == "auto" and _is_numeric(cells)):
        return torch.tensor(_numbers(rows, name), dtype=torch.float32).unsqueeze(1), ()
    classes = sorted(set(map(str, cells)))
    if len(classes) < 2:
        raise ValueError(f"column {name!r} has one class only, {classes[0]!r}: there is nothing to predict")
    number_of = {label: number for number, label in enumerate(classes)}
    return torch.tensor([number_of[str(cell)] for cell in cells]), tuple(classes)


def _is_numeric(cells: Sequence[object]) -> bool:
    """Whether most cells are numbers; one that is not is a mistake then, and not a category."""
    return 2 * sum(not math.isnan(_number(cell)) for cell in cells) > len(cells)


def _numbers(rows: "pd.DataFrame", name: str) -> list[float]:
    found = []
    for place, cell in rows[name].items():
        number = _number(cell)
        if not abs(number) <= _LARGEST:
            wrong = "more than 32 bits hold" if math.isfinite(number) else "which is no finite number"
            what = "is empty" if str(cell).strip() in ("", "None") else f"is {cell!r}, {wrong}"
            raise ValueError(f"{rows.index.name or 'row'} {place}: {name} {what}")
        found.append(number)
    return found


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return math.nan
