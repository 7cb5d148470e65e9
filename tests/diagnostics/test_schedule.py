"""When a run is diagnosed."""

import pytest
from configs import compose_config, options, typed

from initbench.diagnostics.schedule import Schedule
from initbench.schema.config import Diagnostics


def steps(**config: object) -> list[int]:
    usual = {"name": "own", "steps": [], "every": None, "print": False}
    schedule = Schedule(Diagnostics.model_validate({**usual, **config}))
    return [step for step in range(21) if step in schedule]


def test_steps() -> None:
    assert steps() == []
    assert steps(steps="powers_of_two") == [0, 1, 2, 4, 8, 16]
    assert steps(steps=[0, 10]) == [0, 10]
    assert steps(every=7) == [0, 7, 14]
    assert steps(steps=[3], every=10) == [0, 3, 10, 20]


def test_a_schedule_without_steps_is_false() -> None:
    usual = {"name": "own", "steps": [], "every": None, "print": False}
    assert not Schedule(Diagnostics.model_validate(usual))
    for some in ({"steps": [0]}, {"every": 5}, {"steps": "powers_of_two"}):
        assert Schedule(Diagnostics.model_validate({**usual, **some}))


@pytest.mark.parametrize("name", options("diagnostics"))
def test_every_option_is_a_schedule(name: str) -> None:
    config = typed(compose_config(f"diagnostics={name}")).diagnostics
    assert config.name == name
    assert bool(Schedule(config)) == (0 in Schedule(config)) == (name != "none")
