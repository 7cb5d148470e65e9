"""Tables of one's own: numbers, categories, and what is wrong with a cell."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from initbench.data import table

HOUSES = "size,town,heated,price\n" + "".join(
    f"{50 + number},{'ABC'[number % 3]},{'yes' if number % 2 else 'no'},{100 + 3 * number}.5\n" for number in range(20)
)


def write(folder: Path, text: str, name: str = "houses.csv") -> str:
    (folder / name).write_text(text)
    return name


def test_numbers_are_features_and_categories_are_several(tmp_path: Path) -> None:
    houses = table(str(tmp_path), write(tmp_path, HOUSES), "price")
    assert (len(houses.train_inputs), len(houses.test_inputs)) == (16, 4)
    inputs = torch.cat([houses.train_inputs, houses.test_inputs])
    targets = torch.cat([houses.train_targets, houses.test_targets])
    order = inputs[:, 0].argsort()
    numbers = torch.arange(20.0)
    assert torch.equal(inputs[order][:, 0], 50 + numbers)
    assert torch.equal(inputs[order][:, 1:4], torch.eye(3).repeat(7, 1)[:20])  # A, B, C
    assert torch.equal(inputs[order][:, 4], 1 - numbers % 2)  # no
    assert torch.equal(inputs[order][:, 5], numbers % 2)  # yes
    assert torch.equal(targets[order].squeeze(1), 100.5 + 3 * numbers)


def test_the_same_rows_are_the_test_set_each_time_and_in_each_format(tmp_path: Path) -> None:
    first = table(str(tmp_path), write(tmp_path, HOUSES), "price", test_size=0.25)
    pd.read_csv(tmp_path / "houses.csv").to_parquet(tmp_path / "houses.parquet")
    write(tmp_path, HOUSES.replace(",", "\t"), "houses.tsv")
    for name in ("houses.parquet", "houses.tsv", str(tmp_path / "houses.csv")):
        again = table(str(tmp_path), name, "price", test_size=0.25)
        assert torch.equal(again.test_inputs, first.test_inputs)
        assert torch.equal(again.train_targets, first.train_targets)
    assert len(first.test_inputs) == 5


def test_classes_are_predicted_where_they_are_text_or_asked_for(tmp_path: Path) -> None:
    name = write(tmp_path, HOUSES)
    towns = table(str(tmp_path), name, "town")
    assert towns.classes == ("A", "B", "C")
    assert towns.sizes.num_classes == 3
    prices = table(str(tmp_path), name, "price", predict="classes")
    assert len(prices.classes) == 20


@pytest.mark.parametrize(
    "text, keys, said",
    [
        (HOUSES, {"target": "prise"}, r"has no column data.target='prise'. Did you mean 'price'\? Columns: size, town"),
        (HOUSES, {"target": None}, "data.target is not set: the column to predict. Columns: size, town, heated, price"),
        (HOUSES, {"file": None}, "data.file is not set"),
        (HOUSES, {"file": "house.csv"}, r"there is no file .*house.csv'. Did you mean .*houses.csv"),
        (HOUSES, {"file": "houses.xls"}, r"houses.xls must be a file in .csv, .tsv, .parquet"),
        (HOUSES.replace("\n55,", "\n,"), {}, r"houses.csv: line 7: size is empty"),
        (HOUSES.replace("\n55,", "\nmany,"), {}, r"houses.csv: line 7: size is 'many', which is no finite number"),
        (HOUSES.replace(",115.5", ",inf"), {}, r"houses.csv: line 7: price is 'inf', which is no finite number"),
        (HOUSES.replace(",115.5", ",1e39"), {}, r"houses.csv: line 7: price is '1e39', more than 32 bits hold"),
        (HOUSES.replace("heated", "size"), {}, r"houses.csv has several columns named 'size'"),
        (HOUSES.replace("price", "\0"), {}, r"Columns: size, town, heated, \\x00$"),
        (HOUSES, {"test_size": 0.99}, r"houses.csv: the train set is empty"),
        (
            HOUSES,
            {"target": "town", "predict": "numbers"},
            r"houses.csv: line 2: town is 'A', which is no finite number",
        ),
        ("\n".join(HOUSES.splitlines()[:3]), {}, "has too few rows"),
        ("price\n1\n2\n3\n", {}, "has no column but 'price'"),
        ("a,price\n1,x\n2,x\n3,x\n4,x\n", {}, "column 'price' has one class only, 'x'"),
        ("a,price\n1,2\n2,2\n3,2\n4,2\n", {}, "the targets to train on are all the same"),
        ("", {}, "houses.csv cannot be read as csv: it is empty"),
        ("n,price\na,1\nb,2\nc,3\n", {}, "column 'n' has another text in every row, from which nothing is learned"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, keys: dict[str, Any], said: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ValueError, match=said):
        table(str(tmp_path), **{"file": "houses.csv", "target": "price", **keys})


def test_a_table_in_the_current_folder_is_pointed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, HOUSES)
    monkeypatch.chdir(tmp_path)
    said = rf"there is no file 'data/houses.csv'\. For the one in this folder, give '{tmp_path / 'houses.csv'}'"
    with pytest.raises(ValueError, match=said):
        table("data", "houses.csv", "price")


def test_numbers_name_columns_of_parquet(tmp_path: Path) -> None:
    pd.DataFrame({0: range(20), 1: range(20)}).to_parquet(tmp_path / "t.parquet")
    assert table(str(tmp_path), "t.parquet", "1").sizes.input_shape == (1,)
