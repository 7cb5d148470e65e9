"""Tables in files, as they are written and as they are not."""

from pathlib import Path

import pandas as pd
import pytest

from initbench.analysis.loading.table import from_table
from initbench.metric import Metric
from initbench.table_file import read_table


def runs(table: pd.DataFrame) -> pd.DataFrame:
    return from_table(table, Metric("loss", "loss", higher_is_better=False), init="method")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    given = pd.DataFrame({"method": "m", "seed": [0, 1], "loss": [2.0, 1.5]})
    given.to_csv(tmp_path / "t.csv", index=False)
    given.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    given.to_parquet(tmp_path / "t.parquet")
    for kind in ("csv", "tsv", "parquet"):
        assert runs(read_table(tmp_path / f"t.{kind}"))["score"].tolist() == [-2.0, -1.5]
    bom = write(tmp_path / "T.CSV", "\ufeffmethod, seed , loss,\r\nm,0,2.0,\r\nm,1,1.5\r\n")
    assert runs(read_table(bom))["score"].tolist() == [-2.0, -1.5]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^the table has several columns named 'loss'$"):
        runs(read_table(write(tmp_path / "t.csv", "method,seed,loss,loss\na,0,1.5,2\n")))


def test_rows_of_a_file_are_its_lines(tmp_path: Path) -> None:
    given = read_table(write(tmp_path / "t.csv", "method,seed,loss\na,0,1.5\nb,0,oops\n"))
    with pytest.raises(ValueError, match=r"^line 3: loss is 'oops', which is not a number$"):
        runs(given)
    # Blank lines count, and so do those within quotes; a row is where it begins.
    given = read_table(write(tmp_path / "t.csv", '\n"method",seed,loss\n\n"a\nb",0,1.5\n\n\nc,0,oops\n'))
    assert given.index.tolist() == [4, 8]
    with pytest.raises(ValueError, match=r"^line 8: loss is 'oops'"):
        runs(given)
    long = "9" * 401
    assert (
        runs(read_table(write(tmp_path / "t.csv", f"method,seed,loss\na,0,1\nb,0,{long}\n")))["status"][1] == "diverged"
    )


@pytest.mark.parametrize(
    "name, content",
    [
        ("t.csv", b""),
        ("t.csv", b"\xff\xfe\x00broken"),
        ("t.csv", b'a,b\n1,"2\n'),
        ("t.csv", b"a,b\n1,2,3\n"),
        ("t.csv", b"a;b\n0,5;1\n"),
        ("t.CSV", b"\n \n"),
        ("t.parquet", b"PAR1"),
    ],
)
def test_what_is_no_table_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"^\S+ cannot be read as (csv|parquet): .+$") as raised:
        read_table(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("a\n")
    with pytest.raises(ValueError, match=r"there is no file '.*score\.csv'\. Did you mean '.*scores\.csv'\?"):
        read_table(tmp_path / "score.csv")


def test_cells_that_are_missing_or_too_many_are_empty_or_refused(tmp_path: Path) -> None:
    given = read_table(write(tmp_path / "t.csv", "a , b,c\n1\n2,3,4,, \n 5,,\n"))
    assert given.columns.tolist() == ["a", "b", "c"]
    assert given.to_numpy().tolist() == [["1", "", ""], ["2", "3", "4"], ["5", "", ""]]
    assert given.index.name == "line"
    with pytest.raises(ValueError, match=r"line 3 has 4 cells, the header 3$"):
        read_table(write(tmp_path / "t.csv", "a,b,c\n1,2,3\n1,2,3,4\n"))
    with pytest.raises(ValueError, match=r"line 2 has 2 cells, the header 1; are its cells separated by ';'\?$"):
        read_table(write(tmp_path / "t.csv", "a;b\n0,5;1\n"))
    with pytest.raises(ValueError, match="it is empty"):
        read_table(write(tmp_path / "t.tsv", "\n\n"))


def test_a_cell_may_be_longer_than_pythons_own_limit(tmp_path: Path) -> None:
    long = "x" * 200_000
    assert read_table(write(tmp_path / "t.csv", f"a,b\n1,{long}\n"))["b"].tolist() == [long]


def test_a_missing_file_in_a_missing_folder_is_named_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^there is no file '.*none/score\.csv'\.$"):
        read_table(tmp_path / "none" / "score.csv")
