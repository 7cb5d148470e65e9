"""How long a run trains and on how many devices, at the limits; and what 16-bit training does to a fused optimizer."""

import os
import runpy
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


@pytest.mark.parametrize(
    "variable, known, cores, threads", [(None, 8, 3, 3), ("", 8, 3, 3), (None, 2, 3, 2), ("8", 8, 3, 8), ("1", 1, 3, 1)]
)
def test_threads_are_what_the_user_has_set_or_no_more_than_the_cores(
    variable: str | None, known: int, cores: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container torch counts the cores of the whole machine; the user, who sets a number, knows."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr(torch, "get_num_threads", lambda: known)
    monkeypatch.setattr("initbench.workers.cores.cores", lambda: cores)
    assert runpy.run_path(compute.__file__)["_ALL_THREADS"] == threads


@pytest.mark.parametrize("threads", [1, 2])
def test_rounding_is_as_the_config_says(small: Any, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        for precision in ("high", "highest"):
            overrides = (f"trainer.threads={threads}", f"trainer.float32_matmul_precision={precision}")
            compute.set_rounding(typed(small(*overrides)).trainer)
            assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (threads, precision)
    finally:
        torch.set_num_threads(before[0])
        torch.set_float32_matmul_precision(before[1])


@pytest.mark.parametrize(
    "accelerator, there, found",
    [
        ("cpu", None, "cpu"),
        ("auto", None, "cpu"),
        ("cpu", "cuda", "cpu"),
        ("auto", "cuda", "cuda"),
        ("gpu", "cuda", "cuda"),
    ],
)
def test_the_device_is_the_one_that_is_there_and_wanted(
    small: Any, accelerator: str, there: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = None if there is None else torch.device(there)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: device)
    config = typed(small(f"trainer.accelerator={accelerator}")).trainer
    assert compute.device(config).type == found
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    if accelerator == "gpu":
        with pytest.raises(ValueError, match=r"^trainer.accelerator=gpu, but this machine has none$"):
            compute.device(config)


@pytest.mark.parametrize("accelerator, limit", [("gpu", 2), ("auto", 2), ("cpu", 5)])
def test_processes_are_counted_by_gpus_where_these_train(
    small: Any, accelerator: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("initbench.training.trainer.cores", lambda: 5)

    def config(devices: int) -> Any:
        return typed(small(f"trainer.accelerator={accelerator}", f"trainer.devices={devices}")).trainer

    assert check_devices(config(limit)) == limit
    what = "CPU cores, one a process" if accelerator == "cpu" else "GPUs"
    with pytest.raises(ValueError, match=f"^trainer.devices={limit + 1}, but this machine has {limit} {what}$"):
        check_devices(config(limit + 1))
