"""How long a run trains and on how many devices, at the limits; and what 16-bit training does to a fused optimizer."""

import os
from typing import Any

import pytest
import torch
from configs import typed

from initbench.training import compute
from initbench.training.build import build_run
from initbench.training.trainer import check_devices


@pytest.mark.parametrize(
    "epochs, steps, expected",
    [(3, 100, 21), (3, 20, 20), (3, 21, 21), (3, -1, 21), (-1, 5, 5), ("null", 5, 5), (3, "null", 21)],
)
def test_whichever_comes_first_of_epochs_and_steps_ends_a_run(
    small: Any, epochs: object, steps: object, expected: int
) -> None:
    config = typed(small(f"trainer.max_epochs={epochs}", f"trainer.max_steps={steps}"))
    assert compute.total_steps(config.trainer, steps_per_epoch=7) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts GPUs here")
def test_as_many_processes_as_cores_are_allowed_and_no_more(small: Any) -> None:
    cores = os.cpu_count() or 1
    assert check_devices(typed(small(f"trainer.devices={cores}")).trainer) == cores
    with pytest.raises(ValueError, match=f"trainer.devices={cores + 1}, but this machine has {cores} CPU cores"):
        check_devices(typed(small(f"trainer.devices={cores + 1}")).trainer)


@pytest.mark.parametrize("precision, fused", [("16-mixed", False), ("32-true", True)])
def test_a_fused_optimizer_is_not_fused_where_the_loss_is_scaled(small: Any, precision: str, fused: bool) -> None:
    config = small("optimizer=adam", f"trainer.precision={precision}")
    config["optimizer"]["fused"] = True
    assert build_run(typed(config)).recipe.make_optimizer().defaults["fused"] is fused
