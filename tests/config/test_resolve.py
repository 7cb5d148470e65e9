"""From what Hydra composed to the plain config of a run."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from initbench import CONF
from initbench.config.resolve import resolve
from initbench.errors import UserMistake


def resolved(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    return resolve(config, config.hydra)


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A folder with two initializers of the user's own, one of which states its name."""
    (tmp_path / "init").mkdir()
    for name, text in {"mine": "", "file": "name: stated\n"}.items():
        (tmp_path / "init" / f"{name}.yaml").write_text(f"{text}_target_: torch.nn.init.normal_\nstd: 0.1\n")
    return f"hydra.searchpath=[file://{tmp_path}]"


@pytest.mark.parametrize("option, name", [("mine", "mine"), ("file", "stated"), ("zeros", "zeros")])
def test_an_option_that_states_no_name_has_that_of_its_file(own: str, option: str, name: str) -> None:
    assert resolved(own, f"init={option}")["init"]["name"] == name


def test_the_name_that_is_typed_counts() -> None:
    assert resolved("model=torchvision", "model.name=resnet18")["model"]["name"] == "resnet18"


def test_another_function_drops_what_was_meant_for_the_old_one() -> None:
    before = resolved("init=kaiming_normal")["init"]
    typed = ["init=kaiming_normal", "init._target_=torch.nn.init.normal_", "+init.std=0.5", "init.bias=1"]
    after = resolved(*typed)["init"]
    assert {"mode", "gain"} <= before.keys() - after.keys()
    assert (after["name"], after["std"], after["bias"]) == ("torch.nn.init.normal_", 0.5, 1)
    assert after["norm_scale"] == before["norm_scale"]
    kept = resolved("init=kaiming_normal", "init._target_=my.fn", "init.mode=fan_out")["init"]
    assert (kept["mode"], "gain" in kept) == ("fan_out", False)


def test_the_command_is_for_this_one_run(own: str) -> None:
    typed = [own, "init=mine", "study='a b'"]
    assert shlex.split(resolved(*typed)["command"]) == ["python", "-m", "initbench", *typed]
    tuned = resolved("experiment=tuned", "init=zeros")["command"]
    assert tuned == "python -m initbench experiment=tuned init=zeros tuning=null"


def test_several_options_for_one_run_are_refused() -> None:
    with pytest.raises(UserMistake, match=r"^init=\[ones,zeros\] is several options for one run; a sweep is -m init="):
        resolved("init=[ones,zeros]")
