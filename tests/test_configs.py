"""Configs that tests compose once and fill in are those that Hydra composes."""

from pathlib import Path

import pytest
from configs import CONF, compose_config
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=3", "model=mlp", "seeds.split=3"],
        ["seed=12", "study=s-${seed}", "logger=csv"],
        ["seed=007", "experiment=tuned"],
        ["seed=1", "runs_dir=elsewhere", "data_dir=${runs_dir}/data"],
    ],
)
def test_a_config_is_what_hydra_composes(overrides: list[str], tmp_path: Path) -> None:
    overrides = [f"runs_dir={tmp_path}/runs", *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        expected = OmegaConf.to_container(compose("config", overrides=overrides), resolve=True)
    for _ in range(2):
        assert compose_config(*overrides) == expected


def test_a_config_may_be_changed_and_the_next_is_not() -> None:
    compose_config("seed=1")["model"]["name"] = "changed"
    assert compose_config("seed=1")["model"]["name"] == "lenet"
