"""Records of loops and Trainers of the user's own: what tells their runs apart, and how they end."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from initbench.metric import Metric
from initbench.record.history import History
from initbench.record.life import Life
from initbench.record.own import end, own_config
from initbench.record.signature import init_label, shared_init, signature, workload
from initbench.record.store import Store

LOSS = Metric("mse", "MSE", higher_is_better=False)


def config(folder: Path | str = "runs", init: Any = "orthogonal", **keys: Any) -> dict[str, Any]:
    return own_config("net", init, 3, LOSS, **{"study": "mine", "runs_dir": folder, **keys})


def test_a_config_says_what_was_trained_and_by_what_it_is_judged() -> None:
    made = config(Path("some/where"), parameters={"width": 8, "name": "hidden"}, source={"model": "0c"})
    assert made["model"] == {"width": 8, "name": "net"}
    assert made["task"] == {"name": "own", "score": "mse", "higher_is_better": False}
    assert made["data"] == made["optimizer"] == {"name": "own"}
    assert (made["seed"], made["study"], made["runs_dir"], made["force"]) == (3, "mine", "some/where", False)
    assert made["source"] == {"model": "0c"}
    assert "source" not in config()
    assert config(source={}) == config()


def test_what_makes_another_run_and_what_does_not() -> None:
    usual = signature(config())
    assert signature(config("elsewhere", study="other")) == usual
    others = [
        config(init="zeros"),
        config(parameters={"width": 8}),
        config(overrides={"bias": 1}),
        config(source={"model": "0c"}),
        {**config(), "seed": 4},
        own_config("net", "orthogonal", 3, Metric("mse", "MSE"), study="mine", runs_dir="runs"),
    ]
    assert len({usual, *map(signature, others)}) == 7
    assert workload(config(init="zeros")) == workload(config()) != workload(config(parameters={"width": 8}))


def mine_(tensor: Any) -> None: ...


class Drawn:
    def __call__(self, tensor: Any) -> None: ...


def test_an_initializer_of_any_kind_is_named_with_what_was_changed() -> None:
    made = config(overrides={"gain": 2})["init"]
    assert (made["name"], made["gain"], init_label(made)) == ("orthogonal", 2, "orthogonal(gain=2)")
    assert made.items() >= {key: value for key, value in shared_init().items() if key != "gain"}.items()
    assert init_label(config(init={"name": "orthogonal", "gain": 3})["init"]) == "orthogonal(gain=3)"
    assert init_label(config(init={"name": "orthogonal", "gain": 3}, overrides={"gain": 4})["init"]) == (
        "orthogonal(gain=4)"
    )
    assert config(init={"name": "orthogonal", "gain": 3})["init"] == {**config()["init"], "gain": 3}
    own = config(init={"_target_": "mine.scaled_", "std": 2})["init"]
    assert (own["name"], own["_target_"], own["std"], own["bias"]) == (
        "mine.scaled_",
        "mine.scaled_",
        2,
        shared_init()["bias"],
    )
    assert config(init=mine_)["init"] == {"name": "mine_", "_target_": f"{__name__}.mine_"}
    assert config(init=Drawn())["init"] == {"name": "Drawn", "_target_": f"{__name__}.Drawn"}


def test_a_study_that_is_no_name_of_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^study .*, got '\.\./up'$"):
        config(study="../up")


@pytest.mark.parametrize(
    "final, diverged, status, reason",
    [
        (0.25, None, "finished", None),
        (math.nan, None, "diverged", "mse is nan at the end"),
        (math.inf, None, "diverged", "mse is inf at the end"),
        (math.inf, "loss inf", "diverged", "loss inf"),
        (0.25, "loss inf", "diverged", "loss inf"),
    ],
)
def test_a_run_whose_score_is_no_number_at_the_end_has_diverged(
    final: float, diverged: str | None, status: str, reason: str | None, tmp_path: Path
) -> None:
    store = Store(config(tmp_path))
    life, history = Life(store, {}), History(store)
    life.begin(8, LOSS, resumes=False)
    history.add_validation(8, 1, {"mse": 0.5})
    history.diverged = diverged
    written = end(
        life,
        history,
        LOSS,
        final,
        table=[{"name": "weight"}],
        seconds_init=1.5,
        more={"device": "cpu"},
        targets=[0.6, 0.1],
    )
    assert (written["status"], written["reason"]) == (status, reason)
    assert written["results"].get("test/mse") == (0.25 if status == "finished" else None)
    assert written["results"]["chance_loss"] is None
    assert (written["seconds_init"], written["device"]) == (1.5, "cpu")
    assert {target: time["reached"] for target, time in written["targets"].items()} == {"0.6": True, "0.1": False}
    assert pd.read_parquet(store.folder / "parameters.parquet")["name"].tolist() == ["weight"]
