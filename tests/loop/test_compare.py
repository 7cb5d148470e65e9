"""Comparing initializers in training loops that know nothing of initbench."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from loops import drawn, faulty, fit, returned, several, unfinished, wandering
from torch import nn

import initbench

OF_ERROR: dict[str, Any] = {"score": "error", "higher_is_better": False}
# Where it does not matter how many processes there are: each imports torch.
IN_ONE: dict[str, Any] = {**OF_ERROR, "processes": 1}


def records(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob("*/record.json")]
    return {(record["init"], record["seed"]): record for record in found}


def test_a_loop_is_called_once_for_each_initializer_and_seed_and_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = initbench.compare(
        fit, ["default", "lsuv", {"name": "normal", "std": 2.5}], range(6), **OF_ERROR, runs_dir=tmp_path, study="sine"
    )
    found = records(tmp_path / "sine")
    assert sorted(found) == [(init, seed) for init in ("default", "lsuv", "normal(std=2.5)") for seed in range(6)]
    assert {record["status"] for record in found.values()} == {"finished"}
    assert "the lowest mean error" in str(verdict)
    (worst,) = (init for init in verdict.comparison.rankings[0].table.index[-1:])
    assert worst == "normal(std=2.5)"
    assert list(verdict.comparison.runs["workload"].unique()) == ["fit, 30 steps"]
    runs = initbench.load_runs(tmp_path / "sine")
    assert runs["test/error"].notna().all()
    history = initbench.analysis.loading.frame.load_history(runs["path"].iloc[0])
    assert list(history["step"]) == [0, 10, 20, 30]
    assert history["val/error"].iloc[-1] == runs["test/error"].iloc[0]
    printed = capsys.readouterr().out
    assert printed.count("finished") == 18
    assert "step 10" not in printed
    assert "step 10" in (Path(runs["path"].iloc[0]) / "log.txt").read_text()


def test_what_was_made_is_not_made_again_and_more_seeds_are_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {**IN_ONE, "runs_dir": tmp_path}
    initbench.compare(drawn, ["normal"], [0, 1], **asked)
    before = {key: record["finished_at"] for key, record in records(tmp_path / "compare").items()}
    capsys.readouterr()
    initbench.compare(drawn, ["normal"], [0, 1, 2], **asked)
    printed = capsys.readouterr().out
    assert printed.startswith("2 of 3 runs done, 1 to go, 1 at a time\n")
    assert printed.count("finished") == 1
    after = records(tmp_path / "compare")
    assert len(after) == 3
    assert all(after[key]["finished_at"] == time for key, time in before.items())


def test_weights_are_those_of_initialize_and_generators_are_seeded(tmp_path: Path) -> None:
    verdict = initbench.compare(drawn, ["orthogonal"], [4, 5], **IN_ONE, runs_dir=tmp_path)
    for seed, score in verdict.comparison.runs.set_index("seed")["test/error"].items():
        torch.manual_seed(int(str(seed)))
        model = nn.Linear(3, 2)
        initbench.initialize(model, "orthogonal", seed=int(str(seed)))
        assert score == pytest.approx(model.weight[0, 0].item() + 1e-6 * torch.rand(()).item(), abs=1e-9)


def test_of_several_models_all_are_in_the_record(tmp_path: Path) -> None:
    initbench.compare(several, ["orthogonal"], [0], **IN_ONE, runs_dir=tmp_path)
    (path,) = tmp_path.glob("*/*/record.json")
    table = pd.read_parquet(path.parent / "parameters.parquet")
    assert table["parameter"].tolist() == ["weight", "bias", "weight"]
    student, teacher = json.loads(path.read_text())["initial_weights"].split()
    assert student != teacher


def test_what_goes_wrong_is_in_the_record_of_its_run_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    initbench.compare(faulty, ["zeros"], range(13), **OF_ERROR, runs_dir=tmp_path, processes=2)
    found = {seed: record for (_, seed), record in records(tmp_path / "compare").items()}
    assert {seed: record["status"] for seed, record in found.items()} == {
        **dict.fromkeys((0, 1, 2, 6, 7, 9, 10, 11), "refused"),
        **dict.fromkeys((3, 4, 12), "failed"),
        5: "diverged",
        8: "finished",
    }
    said = {
        0: "train(initialize, seed) has to call initialize(model) on the model that it trains",
        1: "train returned no 'error' at the end, but accuracy",
        2: "train has to return error as a number, a mapping with it, or a list of such mappings, got 'good'",
        3: "RuntimeError: out of luck",
        4: "its process died",
        12: "SystemExit: enough",
        5: "error is nan at the end",
        7: "train returned 'low' for error, which is no number",
        9: "for error, which is no number",
        10: "train returned step=0.5, which is no whole number",
        11: "train returned step=nan, which is no whole number",
    }
    for seed, reason in said.items():
        assert reason in found[seed]["reason"], seed
    assert "out of luck" in found[3]["traceback"]
    assert "sys.exit" in found[12]["traceback"]
    printed = capsys.readouterr()
    assert printed.out.startswith("13 runs, 2 at a time\n")
    assert f"3 runs failed; log.txt in their folders under {tmp_path / 'compare'} says why" in printed.err


def test_another_score_is_another_run_and_unit_and_chance_are_those_of_the_call(tmp_path: Path) -> None:
    def train(initialize: Any, seed: int) -> dict[str, Any]:
        weight = initialize(nn.Linear(2, 2)).weight
        return {"error": weight.std(correction=0), "accuracy": weight.mean()}

    asked: dict[str, Any] = {"inits": ["ones", "zeros"], "seeds": [0, 1], "runs_dir": tmp_path, "processes": 1}
    by_error = initbench.compare(train, score="error", higher_is_better=False, **asked)
    by_accuracy = initbench.compare(train, score="accuracy", higher_is_better=True, **asked)
    assert by_error.comparison.metric.name == "error"
    assert "ones has the highest mean accuracy" in str(by_accuracy)
    again = initbench.compare(train, score="error", higher_is_better=False, unit="V", chance=2.0, **asked)
    assert (again.comparison.metric.unit, again.comparison.metric.chance) == ("V", 2.0)
    assert again.comparison.runs["score"].notna().all()
    assert len(list((tmp_path / "compare").glob("*/record.json"))) == 8


def test_an_edit_of_an_initializer_that_is_a_function_makes_new_runs(tmp_path: Path) -> None:
    def first() -> Any:
        def filled_(tensor: torch.Tensor) -> None:
            tensor.fill_(1.0)

        return filled_

    def second() -> Any:
        def filled_(tensor: torch.Tensor) -> None:
            tensor.fill_(2.0)

        return filled_

    for filled, weight in ((first(), 1.0), (second(), 2.0)):
        verdict = initbench.compare(drawn, [filled], [0], **OF_ERROR, runs_dir=tmp_path)
        assert verdict.comparison.runs["test/error"].item() == pytest.approx(weight, abs=1e-5)
    with pytest.raises(ValueError, match="2 of inits are functions called 'filled_': their names must differ"):
        initbench.compare(drawn, [first(), second()], [0], **IN_ONE, runs_dir=tmp_path)


def test_a_score_may_be_a_tensor_and_data_are_asked_for_as_the_loop_passes_them(tmp_path: Path) -> None:
    def train(initialize: Any, seed: int) -> torch.Tensor:
        return initialize(nn.Linear(2, 2)).weight.abs().mean()

    initbench.compare(train, ["ones", "lsuv"], [0], **IN_ONE, runs_dir=tmp_path)
    found = records(tmp_path / "compare")
    assert found["ones", 0]["results"]["test/error"] == 1.0
    assert found["lsuv", 0]["reason"] == "lsuv needs data: pass batch=(inputs, targets)"


def test_seeds_may_be_numpys_and_come_from_a_generator(tmp_path: Path) -> None:
    initbench.compare(drawn, ["normal"], np.arange(2), **IN_ONE, runs_dir=tmp_path)
    initbench.compare(drawn, ["normal", "zeros"], (seed for seed in range(3)), **IN_ONE, runs_dir=tmp_path)
    assert sorted(records(tmp_path / "compare")) == [(init, seed) for init in ("normal", "zeros") for seed in range(3)]


def test_a_generator_is_no_score(tmp_path: Path) -> None:
    initbench.compare(unfinished, ["zeros"], [0], **OF_ERROR, runs_dir=tmp_path)
    (record,) = records(tmp_path / "compare").values()
    assert "train has to return error as a number, a mapping with it, or a list" in record["reason"]
    assert "<generator object unfinished" in record["reason"]


def test_a_score_may_be_a_number_of_torch_or_numpy(tmp_path: Path) -> None:
    verdict = initbench.compare(returned, ["zeros"], range(5), **IN_ONE, runs_dir=tmp_path)
    assert verdict.comparison.runs["test/error"].tolist() == [1.0] * 5


def test_a_loop_may_change_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("SOMEWHERE", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    initbench.compare(wandering, ["ones"], range(4), **IN_ONE)
    found = {seed: record["status"] for (_, seed), record in records(tmp_path / "runs" / "compare").items()}
    assert found == {0: "finished", 1: "failed", 2: "finished", 3: "finished"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_function_of_a_notebook_is_compared_too(tmp_path: Path) -> None:
    """It has no module that another process could import."""
    scale = 2.0

    def train(initialize: Any, seed: int) -> float:
        return scale * initialize(nn.Linear(2, 2)).weight.abs().mean().item()

    verdict = initbench.compare(train, ["ones", "zeros"], [0, 1], **IN_ONE, runs_dir=tmp_path)
    assert sorted(verdict.comparison.runs["test/error"]) == [0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"train": "fit"}, "train must be a function of initialize and seed, got str"),
        ({"train": lambda seed: 0.0}, "train must take initialize and seed: too many positional arguments"),
        ({"inits": "orthogonal"}, "inits must be a list of initializers, got 'orthogonal'"),
        ({"inits": []}, "inits must be a list of initializers"),
        ({"inits": ["orthogonall"]}, "Did you mean 'orthogonal'"),
        ({"inits": [{"name": "orthogonal", "gian": 2}]}, "Did you mean 'gain'"),
        ({"inits": 3}, "inits must be a list of initializers, got 3"),
        ({"inits": ["zeros", "zeros"]}, "inits must not have the same initializer twice: 'zeros'"),
        (
            {"inits": [lambda tensor: tensor.zero_(), lambda tensor: tensor.fill_(1)]},
            "2 of inits are functions called '<lambda>': their names must differ",
        ),
        ({"seeds": []}, "seeds must be whole numbers, got"),
        ({"seeds": [0.5]}, "seeds must be whole numbers, got"),
        ({"seeds": [True]}, "seeds must be whole numbers, got"),
        ({"seeds": [0, 1.0]}, "seeds must be whole numbers, got"),
        ({"seeds": [0, 2**32]}, "seeds must be at least 0 and below"),
        ({"seeds": [0, -1, 1]}, "seeds must be at least 0 and below"),
        (
            {"inits": ["zeros", "ones", {"name": "normal"}, {"name": "normal"}]},
            "must not have the same initializer twice",
        ),
        ({"processes": 1.5}, "processes must be a whole number of at least 1, got 1.5"),
        ({"seeds": 3}, "seeds must be whole numbers, got 3"),
        ({"seeds": [-1]}, "seeds must be at least 0 and below"),
        ({"seeds": [2**32]}, "seeds must be at least 0 and below"),
        ({"study": "../elsewhere"}, "study must"),
        ({"study": ""}, "study must"),
        ({"seeds": [1, 1]}, "seeds must not have the same number twice"),
        ({"processes": 0}, "processes must be a whole number of at least 1, got 0"),
        ({"runs_dir": "/dev/null/runs"}, "is not writable"),
        ({"higher_is_better": "no"}, "higher_is_better must be True or False, got 'no'"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    asked: dict[str, Any] = {"train": drawn, "inits": ["zeros"], "seeds": [0], **OF_ERROR, "runs_dir": tmp_path}
    with pytest.raises(ValueError, match=said):
        initbench.compare(**{**asked, **arguments})
    assert list(tmp_path.iterdir()) == []
