"""Which values a whole config may have together, and what it is made of."""

import copy
from typing import Any

import pytest
from configs import compose_config, resolved
from omegaconf import OmegaConf
from pydantic import ValidationError

from initbench.config.check import check, check_sweep
from initbench.config.mistakes import mistakes
from initbench.config.own_sweep import first_job, parsed
from initbench.errors import UserMistake
from initbench.registry import LIGHTNING_TASK
from initbench.schema.config import Config, DrawnFrom, ModuleConfig, Race, Tuning, folder_name, schema_of


def typed(**parts: Any) -> Config:
    return Config.model_validate({**compose_config("model=mlp", "logger=none"), **parts})


@pytest.mark.parametrize(
    "seeds, expected",
    [
        ({}, DrawnFrom(3, 3, 3, None)),
        ({"weights": 0}, DrawnFrom(0, 3, 3, None)),
        ({"order": 7}, DrawnFrom(3, 7, 3, None)),
        ({"augmentation": 8}, DrawnFrom(3, 3, 8, None)),
        ({"split": 9}, DrawnFrom(3, 3, 3, 9)),
        ({"weights": 1, "order": 2, "augmentation": 0, "split": 0}, DrawnFrom(1, 2, 0, 0)),
    ],
)
def test_each_source_of_randomness_has_its_own_seed_or_that_of_the_run(seeds: Any, expected: DrawnFrom) -> None:
    assert typed(seed=3, seeds=seeds).drawn_from == expected


@pytest.mark.parametrize(
    "epochs, steps, trains",
    [
        *((1, -1, True), (None, 5, True), (-1, 5, True), (2, None, True), (2, 5, True), (0, 5, False), (5, 0, False)),
        *((None, None, False), (-1, -1, False), (-1, None, False), (None, -1, False)),
    ],
)
def test_something_has_to_be_trained(epochs: int | None, steps: int | None, trains: bool) -> None:
    config = compose_config("model=mlp", "logger=none")
    config["trainer"] |= {"max_epochs": epochs, "max_steps": steps}
    said = [line for _, line in mistakes(config)]
    assert said == ([] if trains else [f"trainer.max_epochs={epochs} and max_steps={steps}: nothing would be trained"])


KEYS_OF_STEPS = [
    *("accumulate_grad_batches", "fast_dev_run", "limit_test_batches", "limit_train_batches", "limit_val_batches"),
    *("max_time", "overfit_batches"),
]


@pytest.mark.parametrize("key", KEYS_OF_STEPS)
def test_what_would_change_the_worth_of_a_step_is_refused(key: str) -> None:
    config = compose_config("model=mlp", "logger=none")
    config["trainer"][key] = 1
    (line,) = (line for _, line in mistakes(config))
    assert line.startswith(f"trainer.{key} would change what a step is worth")


RULES = {"level": 0.05, "most_seeds": 30, "budget": None, "strict": False, "per_task": False, "runs_per_round": None}


@pytest.mark.parametrize("budget", [1, 200, "90min", "2h", "1.5d", "0s", None])
def test_budgets_of_races(budget: Any) -> None:
    assert Race.model_validate({**RULES, "budget": budget}).budget == budget


@pytest.mark.parametrize(
    "parts",
    [
        *({"budget": odd} for odd in (0, -1, True, 1.5, "2 h", "h", "2w", "2h3", "-2h", ".5h", "")),
        *({"level": odd} for odd in (0, 1, 1.0, -0.1)),
        *({"most_seeds": odd} for odd in (0, 1.5, None)),
        *({"runs_per_round": odd} for odd in (0, -1)),
        {"strict": 1},
        {"more": 1},
    ],
)
def test_what_no_race_has(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Race.model_validate({**RULES, **parts})


@pytest.mark.parametrize(
    "parts, is_right",
    [
        ({}, True),
        ({"lr_factors": [1, 1.0]}, False),
        ({"lr_factors": [1, 1, 2]}, True),
        ({"lr_factors": [0, 1]}, False),
        ({"seeds": [1, 1]}, False),
        ({"seeds": []}, False),
        ({"seeds": [-1]}, False),
        ({"seeds": [2**32]}, False),
        ({"seeds": [2**32 - 1, 0]}, True),
        ({"extensions": -1}, False),
        ({"extensions": 0}, True),
    ],
)
def test_how_rates_are_tuned(parts: dict[str, Any], is_right: bool) -> None:
    keys = {"lr_factors": [0.3, 1], "extensions": 1, "seeds": [1, 2], **parts}
    if is_right:
        Tuning.model_validate(keys)
    else:
        with pytest.raises(ValidationError):
            Tuning.model_validate(keys)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "/", "x" * 256])
def test_what_is_no_name_of_a_folder(name: str) -> None:
    with pytest.raises(ValueError, match=r"^must be the name of "):
        folder_name(name)
    assert folder_name("...") == "..."


@pytest.mark.parametrize(
    "parts, is_right", [({}, True), ({"steps": [0]}, True), ({"every": 3}, True), ({"steps": []}, False)]
)
def test_curvature_is_measured_at_steps(parts: dict[str, Any], is_right: bool) -> None:
    config = compose_config("model=mlp", "logger=none")
    config["diagnostics"] |= {**parts, "curvature": bool(parts)}
    assert (not [*mistakes(config)]) is is_right


@pytest.fixture
def module() -> dict[str, Any]:
    config = compose_config("model=mlp", "logger=none")
    for group in ("model", "data", "optimizer", "scheduler"):
        config[group] = {"name": "own"}
    config["task"] = {"name": "lightning", "_target_": LIGHTNING_TASK}
    return config


def test_the_schema_is_that_of_the_task(module: dict[str, Any]) -> None:
    assert schema_of(module) is ModuleConfig
    assert schema_of(compose_config()) is Config
    assert schema_of({"task": None}) is schema_of({}) is Config
    assert [*mistakes(module)] == []


@pytest.mark.parametrize("group", ["model", "data", "optimizer", "scheduler"])
def test_a_module_brings_its_own_of_four_groups(group: str, module: dict[str, Any]) -> None:
    chosen = {**module, group: {"name": "chosen", "_target_": "a.b"}}
    (line,) = (line for _, line in mistakes(chosen))
    assert line == f"{group}=chosen is not for task=lightning, whose module brings its own {group}"
    (line,) = (line for _, line in mistakes({**module, group: {"name": "own", "key": 1}}))
    assert line == (
        f"{group}.key is not for task=lightning, whose module brings its own {group}: "
        "its arguments are set by +task.module.key=..."
    )


@pytest.mark.parametrize(
    "path, value, key",
    [
        (("tuning",), {"lr_factors": [1, 2], "extensions": 0, "seeds": [1]}, "experiment=tuned"),
        (("diagnostics", "name"), "init", "diagnostics=init"),
        (("trainer", "compile"), True, "trainer.compile=true"),
        (("trainer", "on_oom"), "halve", "trainer.on_oom=halve"),
        (("seeds", "augmentation"), 0, "seeds.augmentation"),
        (("seeds", "split"), 0, "seeds.split"),
    ],
)
def test_what_a_module_would_ignore_is_refused(
    path: tuple[str, ...], value: Any, key: str, module: dict[str, Any]
) -> None:
    node = module
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    (line,) = (line for _, line in mistakes(module))
    assert line == f"{key} is not for task=lightning, which trains a module of its own"


def test_the_first_job_of_what_was_typed_has_the_first_of_all_values() -> None:
    config, master = first_job(parsed(["model=mlp", "init=zeros,ones", "seed=range(3,9)", "logger=none"]))
    assert (config["init"]["name"], config["seed"], config["model"]["name"]) == ("zeros", 3, "mlp")
    assert master.hydra.overrides.task == ["model=mlp", "init=zeros", "seed=3", "logger=none"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["init=zeroes"], "unknown option init=zeroes"),
        (["seed=-1"], "seed must be a whole number in"),
        (["model=mlp", "+model.depht=1"], "unknown key model.depht"),
        (["+trainer.max_epoch=3"], "unknown key trainer.max_epoch"),
        (["data.batch_size=5000"], "data.batch_size=5000 is more than the 4000 images"),
        (["runs_dir=${nowhere}"], "nowhere"),
    ],
)
def test_what_cannot_be_run_is_told_before_a_sweep_of_its_own(words: list[str], said: str) -> None:
    with pytest.raises(UserMistake, match=said):
        first_job(parsed(["logger=none", *words]))


def test_what_hydra_cannot_read_is_told() -> None:
    with pytest.raises(UserMistake, match="foo"):
        parsed(["foo"])


@pytest.mark.parametrize(
    "values, said",
    [
        ({"seed": "???"}, ""),  # a job may have it
        ({"init.name": "???"}, ""),
        ({"study": "???"}, "study has no value yet: give one, study=..."),
        ({"report.margin": "???"}, "report.margin has no value yet"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": "???", "checkpoint_seconds": -1}, "checkpoint_seconds must be a number"),
    ],
)
def test_a_sweep_lacks_nothing_that_it_has_one_of(values: dict[str, Any], said: str) -> None:
    from hydra import compose, initialize_config_dir

    from initbench.registry import CONF

    with initialize_config_dir(str(CONF), version_base="1.3"):
        master = compose("config", overrides=["logger=none"], return_hydra_config=True)
    OmegaConf.set_struct(master, False)
    for key, value in values.items():
        OmegaConf.update(master, key, value)
    if said:
        with pytest.raises(UserMistake, match=f"^{said}"):
            check_sweep(master)
    else:
        check_sweep(master)


@pytest.mark.parametrize("group", ["init", "model", "data", "task", "optimizer", "scheduler"])
def test_the_name_of_another_option_is_no_way_to_choose_it(group: str) -> None:
    """The name of no option is a label that anybody may give."""
    other = {"init": "zeros", "model": "lenet", "data": "cifar10", "task": "autoencoder", "optimizer": "sgd"}
    other["scheduler"] = "onecycle"
    config = compose_config("model=mlp", "logger=none", "init=orthogonal", "scheduler=cosine")
    renamed = copy.deepcopy(config)
    renamed[group]["name"] = other[group]
    with pytest.raises(UserMistake, match=f"^{group}.name is a label .* did you mean {group}={other[group]}"):
        check(renamed)
    renamed[group]["name"] = "mine"
    assert getattr(check(renamed), group).name == "mine"
    assert getattr(check(config), group).node == config[group]


def test_a_module_leaves_a_name_of_each_group_that_it_brings() -> None:
    found = resolved("task=lightning", "+task.module._target_=mine.nets.Net", "+task.module.width=3", "logger=none")
    names = {group: found[group] for group in ("model", "data", "optimizer", "scheduler")}
    assert names == {
        "model": {"name": "Net"},
        **{group: {"name": "own"} for group in ("data", "optimizer", "scheduler")},
    }
    typed = ["+task.module._target_=mine.Net", "+task.datamodule._target_=mine.Digits", "+optimizer.lr=3", "+data.a=1"]
    found = resolved("task=lightning", *typed)
    assert found["data"] == {"name": "Digits", "a": 1}
    assert found["optimizer"] == {"name": "own", "lr": 3}
