"""What a config may be: each key of each group with each kind of wrong value, and the line that says so."""

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forking
import pytest
from configs import compose_config, options

from initbench.config.check import check, check_parts, check_targets
from initbench.errors import UserMistake
from initbench.record.signature import signature
from initbench.training.build import build_run

WRONG: list[Any] = ["wrong", -1, 0, 1.5, True, None, [], ["wrong"], [-1], {}, {"wrong": 1}, float("inf"), float("nan")]
GROUPS = ("init", "model", "data", "optimizer", "scheduler", "trainer", "logger", "diagnostics")
COMPOSED = [
    ["model=mlp", "logger=none", "trainer.accelerator=cpu", "diagnostics=schedule"],
    ["experiment=tuned", "model=lenet", "logger=wandb", "init=lsuv", "optimizer=sgd", "scheduler=onecycle"],
]


def places(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a config, mappings themselves included."""
    for key, value in config.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


def changed(config: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    config = copy.deepcopy(config)
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return config


def refusal(config: dict[str, Any], *, build: bool = False) -> str:
    """What a user is told: one line; nothing where the config can be run."""
    try:
        typed = check(config)
        check_targets(config)
        if build:
            build_run(typed)
    except UserMistake as mistake:
        return str(mistake)
    except ValueError as error:  # of what depends on several values, or on the data
        return str(error)
    return ""


@pytest.mark.parametrize("overrides", COMPOSED, ids=" ".join)
def test_a_wrong_value_at_any_key_is_one_line(overrides: list[str]) -> None:
    """Never another exception, and what the schema and the signatures let pass can be built, or says why not."""
    config = compose_config(*overrides)
    paths = list(places(config))
    assert len(paths) > 70
    refused = 0
    for path in paths:
        for value in WRONG:
            where = f"{'.'.join(path)}={value!r}"
            try:
                said = refusal(changed(config, path, value), build=path[0] in GROUPS)
            except Exception as error:  # anything but a refusal is a bug, told with its config
                raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
            assert "\n" not in said, where
            assert len(said) < 900, where
            refused += bool(said)
    assert refused > 0.7 * len(paths) * len(WRONG)


@pytest.mark.parametrize("overrides", COMPOSED, ids=" ".join)
def test_a_key_too_many_or_too_few_is_one_line(overrides: list[str]) -> None:
    config = compose_config(*overrides)
    for group in GROUPS:
        said = refusal(changed(config, (group, "nmae"), 1))
        # An initializer's and a dataset's function may be called with any keys, but these are not.
        assert "nmae" in said, group
        for key in config[group]:
            lacking = copy.deepcopy(config)
            del lacking[group][key]
            assert "\n" not in refusal(lacking, build=True), f"{group}.{key}"


@pytest.mark.parametrize(
    "override, said",
    [
        ("study=null", "study must be text, got None"),
        ("study=7", "study must be text, got 7. What YAML reads as a number or a switch is a name in quotes: "),
        ("study=..", "study must be the name of one folder, without / and other than . and .., got '..'"),
        ("study=", "study must be the name of one folder"),
        ("study=/abs", "study must be the name of one folder"),
        (f"study='{'é' * 128}'", "study must be the name of a folder, at most 255 bytes, got 'é"),
        (f"study={'x' * 256}", "study must be the name of a folder, at most 255 bytes, got 'xxx"),
        ("study=62e9571", "study must be text, got inf"),
        ("runs_dir=7", "runs_dir must be text that is not empty, got 7"),
        ("data.targets=0.9", "data.targets must be a list of numbers, got 0.9. Try 'data.targets=[0.9]'"),
        ("data.targets=[high]", "data.targets must be a list of numbers, got ['high']"),
        ("data.batch_size=0", "data.batch_size must be a whole number of at least 1, got 0"),
        ("data.batch_size=2.0", "data.batch_size must be a whole number of at least 1, got 2.0"),
        ("data.val_size=-0.1", "data.val_size must be a whole number of at least 1 or a number in (0, 1), got -0.1"),
        ("data.val_size=true", "data.val_size must be a whole number of at least 1 or a number in (0, 1), got True"),
        ("data.stream=autp", "data.stream must be auto, true or false, got 'autp'. Did you mean 'auto'?"),
        ("checkpoint_seconds=often", "checkpoint_seconds must be a number of at least 0, got 'often'"),
        (
            "seed=0-3",
            "seed must be a whole number in [0, 4294967296), got '0-3'. "
            "For a sweep over all of them: -m 'seed=range(0,4)'",
        ),
        ("seed=-1", "seed must be a whole number in [0, 4294967296), got -1"),
        ("seed=???", "seed has no value yet: give one, seed=..."),
        ("+foo=1", "unknown key foo. Keys of the config: init, "),
        ("+report.refrence=a", "unknown key report.refrence. Did you mean 'reference'? Keys of report: margin, "),
        ("report=null", "report must be a mapping with the keys margin, reference, got None"),
        ("report.margin=0", "report.margin must be a number in (0, 1e+50) or null, got 0"),
        ("report.reference=[a]", "report.reference must be text or null, got ['a']"),
        ("dry_run=yess", "dry_run must be true or false, got 'yess'"),
        ("~report", "report is missing: add +report=... (a mapping)"),
        ("~data.batch_size", "data.batch_size is missing: add +data.batch_size=... (a whole number of at least 1)"),
        ("optimizer.lr=-1", "optimizer.lr must be a number of at least 0, got -1"),
        ("optimizer.lr=nan", "optimizer.lr must be a number of at least 0, got nan"),
        ("optimizer.decay=weight", "unknown optimizer.decay 'weight'. Did you mean 'weights'? Allowed: weights, all"),
        ("optimizer.lr_multipliers=64", "optimizer.lr_multipliers must be a mapping or null, got 64"),
        ("+optimizer.lr_multipliers.bias=fast", "optimizer.lr_multipliers.bias must be a number of at least 0, got"),
        (
            "optimizer.lr_multipliers={weight:-1}",
            "optimizer.lr_multipliers.weight must be a number of at least ",
        ),
        ("data.targets=[0.5,0.5]", "data.targets must not have the same number twice, got [0.5, 0.5]"),
        ("optimizer.betas=[1.5,0.9]", "optimizer.betas must be a list of 2 numbers in [0, 1), got [1.5, 0.9]"),
        ("optimizer.betas=[0.9]", "optimizer.betas must be a list of 2 numbers in [0, 1), got [0.9]"),
        ("optimizer.eps=-1", "optimizer.eps must be a number of at least 0, got -1"),
        ("optimizer=sgd optimizer.momentum=-1", "optimizer.momentum must be a number of at least 0, got -1"),
        ("init._target_=3", "init._target_ must be the dotted name of a function or class, got 3"),
        ("model._target_=null", "model._target_ must be the dotted name of a function or class, got None"),
        ("~init._target_", "init=kaiming_normal has neither _target_, a function that initializes, nor weight"),
        ("trainer.devices=0", "trainer.devices must be a whole number of at least 1, got 0"),
        ("trainer.accelerator=gpuu", "unknown trainer.accelerator 'gpuu'. Did you mean 'gpu'?"),
        ("task.label_smoothing=1", "task.label_smoothing must be a number in [0, 1), got 1"),
        ("+trainer.fast_dev_run=true", "trainer.fast_dev_run would change what a step is worth"),
        (
            "diagnostics.steps=powers",
            "diagnostics.steps must be powers_of_two or a list of whole numbers of at least ",
        ),
        ("diagnostics.every=0", "diagnostics.every must be a whole number of at least 1 or null, got 0"),
        ("diagnostics.curvature=1", "diagnostics.curvature must be true or false, got 1"),
        ("diagnostics.curvature=true", "diagnostics.curvature=true needs steps: choose diagnostics=init"),
        (
            "experiment=tuned tuning.lr_factors=[1]",
            "tuning.lr_factors must have at least two different positive ",
        ),
        ("experiment=tuned tuning.lr_factors=3", "tuning.lr_factors must be a list of numbers above 0, got 3"),
        ("experiment=tuned tuning.seeds=[]", "tuning.seeds must be a list of at least 1 whole numbers"),
        ("model=mlp model.depth=-1", "model.depth must be a whole number of at least 0, got -1"),
        ("model=mlp +model.depht=1", "unknown key model.depht. Did you mean 'depth'? MLP takes: depth, "),
        ("model=mlp ~model.depth", "model.depth is missing: MLP has no default for it"),
        ("+trainer.max_epoch=3", "unknown key trainer.max_epoch. Did you mean 'max_epochs'?"),
        ("init=sparse init.sparsity=half", "sparsity of sparse must be a number, got 'half'"),
        ("logger.mode=onlin logger=wandb", "unknown logger.mode 'onlin'. Did you mean 'online'?"),
    ],
)
def test_the_line_says_what_is_allowed(override: str, said: str) -> None:
    assert refusal(compose_config(*override.split())).startswith(said)


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["model=timm", "model.name=nope", "data=cifar10"], "model nope: unknown timm architecture 'nope'"),
        (
            ["model=transformers", "task=language_model", "model.config={n_layrs: 2}"],
            "model gpt2: unknown key model.config.n_layrs. Did you mean 'n_layer'",
        ),
        (["model=plain_cnn", "model.depth=2"], "model plain_cnn: stages must be between 1 and depth"),
        (["init=t_fixup"], "t_fixup needs residual branches"),
        (["data.batch_size=5000"], "data.batch_size=5000 is more than the 4000 images to train on"),
        (["init.rules=[{match: nope, weight: ones}]"], "nope"),
    ],
)
def test_parts_that_do_not_go_together_are_refused_in_a_dry_run(overrides: list[str], said: str) -> None:
    with pytest.raises(UserMistake, match=said):
        check_parts(compose_config(*overrides))


def test_a_dry_run_refuses_nothing_that_would_run() -> None:
    for overrides in (["data._target_=my.own"], ["model=resnet20", "model.norm=fixup", "init=fixup"], ["init=lsuv"]):
        check_parts(compose_config(*overrides))


@pytest.mark.parametrize(
    "group", ["init", "model", "data", "optimizer", "scheduler", "trainer", "logger", "diagnostics"]
)
def test_every_option_is_allowed(group: str) -> None:
    for name in options(group):
        if name not in ("state_dict", "weight_selection", "between"):  # their keys are for the user to give
            assert refusal(compose_config(f"{group}={name}")) == "", name


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_is_allowed(name: str) -> None:
    assert refusal(compose_config(f"experiment={name}")) == ""


def test_checking_leaves_the_config_and_its_signature_as_they_were() -> None:
    config = compose_config("data.val_size=0.5", "optimizer.lr=1", "trainer.max_steps=null")
    before = copy.deepcopy(config)
    checked = check(config)
    check_targets(config)
    assert config == before
    assert signature(compose_config("data_dir=data")) == "8c5b8539f0"  # of 0.1.0: records stay what they were
    assert (checked.optimizer.lr, checked.data.val_size, checked.init.name) == (1.0, 0.5, "kaiming_normal")


@pytest.mark.parametrize(
    "path, missing, said",
    [
        (("init", "gain"), "???", "init.gain"),
        (("init", "rules"), [{"match": "a", "weight": {"std": "???"}}], "init.rules[0].weight.std"),
        (("seed",), "???", "seed"),
    ],
)
def test_a_value_that_is_missing_is_asked_for_by_its_key(path: tuple[str, ...], missing: Any, said: str) -> None:
    assert refusal(changed(compose_config(), path, missing)) == f"{said} has no value yet: give one, {said}=..."


def test_a_study_may_have_the_longest_name_that_a_folder_may_have() -> None:
    for name in ("x" * 255, "é" * 127):
        assert check(compose_config(f"study='{name}'")).study == name


def test_what_is_proposed_is_the_last_of_what_was_typed() -> None:
    with pytest.raises(UserMistake, match=r"""a name in quotes: "study='7e1'"$"""):
        check(compose_config("study=7e1"), ["study=5", "seed=3", "study=7e1"])
    with pytest.raises(UserMistake, match=r"Try 'data\.targets=\[9e-1\]'$"):
        check(compose_config("data.targets=9e-1"), ["data.targets=0.5", "data.targets=9e-1"])


def test_a_name_is_no_choice_but_of_an_architecture() -> None:
    config = compose_config("model=torchvision", "init=normal")
    check(config, ["model.name=x", "init.std=1", "seed=3"])
    for typed in ("init.name=zeros", "++init.name=zeros"):
        with pytest.raises(UserMistake, match=r"init\.name is a label and chooses nothing; did you mean init=zeros"):
            check(config, [typed])


MISTAKES = [
    "init=null",
    "init=[zeros,ones]",
    "trainer=5",
    "+foo=1",
    "report.margin=${foo}",
    "data.targets=0.9",
    "study=",
]


@pytest.mark.slow
@pytest.mark.parametrize("typed", [*MISTAKES, "study=", "data=null", "logger=null", "seed=0-3", "study=62e9571"])
@pytest.mark.parametrize("how", [[], ["-m"], ["dry_run=true"], ["-m", "dry_run=true"]], ids=" ".join)
def test_the_command_says_one_line_and_exits_with_two(tmp_path: Path, typed: str, how: list[str]) -> None:
    found = forking.run(tmp_path, [sys.executable, "-m", "initbench", typed, *how])
    assert (found.returncode, len(found.stderr.splitlines())) == (2, 1), found.stderr
    assert found.stderr.startswith("initbench: ")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_which_runs_would_be_refused(tmp_path: Path) -> None:
    arguments = ["-m", "model=mlp", "model.depth=-1,2", "init=zeros,ones", "logger=none", "dry_run=true"]
    found = forking.run(tmp_path, [sys.executable, "-m", "initbench", *arguments])
    said = "model.depth must be a whole number of at least 0, got -1"
    assert found.returncode == 2
    assert found.stderr.splitlines() == [f"initbench: 2 of 4 runs would be refused: {said}"]
    assert found.stdout.count("would be refused") == 2
    assert "4 runs, 2 to do, 2 refused; duration unknown" in found.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_functions_are_called_with_is_as_it_was_composed() -> None:
    """A bias of 0 that became 0.0 would have another label in the tables of runs."""
    config = compose_config("init=orthogonal", "init.bias=0", "trainer.gradient_clip_val=1", "data.max_resident_gb=8")
    typed = check(config)
    for group in ("init", "model", "data", "optimizer", "scheduler", "trainer", "logger"):
        assert repr(getattr(typed, group).node) == repr(config[group])
