"""The studies and protocols of conf/experiment: that they compose, and that every run of theirs can begin."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from configs import options, typed
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from programs import command

from initbench import CONF
from initbench.training.build import build_run

STUDIES = [name for name in options("experiment") if name not in ("fixed", "tuned")]


def grid(name: str) -> dict[str, list[str]]:
    """The values of each key that an experiment sweeps over."""
    content = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text())
    overrides = OverridesParser.create().parse_overrides(
        [f"{key}={values}" for key, values in content["hydra"]["sweeper"]["params"].items()]
    )
    return {o.get_key_element(): list(o.sweep_string_iterator()) for o in overrides}


def cells() -> list[Any]:
    """Every choice of groups and model keys, at the first seed and learning rate."""
    found = []
    for name in STUDIES:
        swept = {key: values if key.startswith(("init", "model")) else values[:1] for key, values in grid(name).items()}
        for choice in itertools.product(*swept.values()):
            overrides = [f"{key}={value}" for key, value in zip(swept, choice, strict=True)]
            found.append(pytest.param(name, overrides, id=" ".join([name, *overrides])))
    return found


@pytest.mark.parametrize("name, overrides", cells())
def test_every_cell_of_every_study_can_be_built(name: str, overrides: list[str], tmp_path: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        # The bundled images stand in for those that would be downloaded; the checks of the model are the same.
        data = [] if "language_model" in (CONF / "experiment" / f"{name}.yaml").read_text() else ["data=mnist_mini"]
        config = compose("config", [f"experiment={name}", *overrides, *data, f"runs_dir={tmp_path}"])
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    assert resolved["study"] == name
    if name == "cifar_core" and {"init=zero_gamma", "model=plain_cnn"} <= set(overrides):
        with pytest.raises(ValueError, match="residual"):
            build_run(typed(resolved))  # as the file's comment says
    else:
        assert build_run(typed(resolved)).total_steps > 0


@pytest.mark.parametrize("name", options("experiment"))
def test_each_says_what_it_is_and_a_study_what_is_expected(name: str) -> None:
    first, *lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert first == "# @package _global_"
    comment = " ".join(line for line in lines if line.startswith("#"))
    assert len(comment) > 80
    assert ("Expected: " in comment) == (name in STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_each_has_enough_seeds_to_say_something(name: str) -> None:
    seeds = [len(values) for key, values in grid(name).items() if key.startswith("seed")]
    assert math.prod(seeds) >= 10


def test_a_study_is_a_sweep_by_itself_and_what_is_typed_comes_first(tmp_path: Path) -> None:
    typed = ["experiment=[quickstart,fixed]", "init=orthogonal,zeros", "model.depth=3", "dry_run=true"]
    done = command(tmp_path, *typed)
    assert "20 runs, 20 to do" in done.stdout, done.stderr  # two initializers, and the ten seeds of `fixed`
    assert not (tmp_path / "runs").exists()
