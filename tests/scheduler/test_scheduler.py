"""Schedules against their formulas, and every file of conf/scheduler."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from configs import compose_config, options

from initbench import scheduler
from initbench.schema import target


def rates(make: Any, steps: int, lr: float = 2.0) -> list[float]:
    """The lr of each of `steps` optimizer steps, stepped after each as Lightning does."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule = make(optimizer, total_steps=steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_constant() -> None:
    assert rates(scheduler.constant, 3) == [2.0] * 3


def test_warmup_is_linear_then_constant() -> None:
    assert rates(partial(scheduler.warmup, warmup_fraction=0.5), 8) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_cosine_is_half_a_cosine() -> None:
    expected = [2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * i / 10))) for i in range(10)]
    assert rates(partial(scheduler.cosine, warmup_fraction=0, final_fraction=0.1), 10) == pytest.approx(expected)


def test_cosine_after_a_warmup() -> None:
    found = rates(partial(scheduler.cosine, warmup_fraction=0.2, final_fraction=0.0), 10)
    assert found[:3] == [1.0, 2.0, 2.0]
    assert found == sorted(found[:2]) + sorted(found[2:], reverse=True)


def test_linear_is_a_triangle() -> None:
    triangle = partial(scheduler.linear, warmup_fraction=0.5, initial_fraction=0.2, final_fraction=0.1)
    expected = [2.0 * factor for factor in (0.2, 0.6, 1.0, 0.55)]
    assert rates(triangle, 4) == pytest.approx(expected)


@pytest.mark.parametrize("steps, fraction, nearest", [(100, 0.29, 29), (10, 0.26, 3), (10, 0.24, 2)])
def test_a_warm_up_takes_the_nearest_number_of_steps(steps: int, fraction: float, nearest: int) -> None:
    made = {
        "warmup": (scheduler.warmup, nearest - 1),
        "cosine": (partial(scheduler.cosine, final_fraction=0.1), nearest - 1),
        "linear": (partial(scheduler.linear, initial_fraction=0.2, final_fraction=0), nearest),
    }
    for name, (make, peak) in made.items():
        found = rates(partial(make, warmup_fraction=fraction), steps)
        assert found.index(max(found)) == peak, name
        assert max(found) == 2.0, name


def test_onecycle_peaks_at_the_optimizers_lr() -> None:
    found = rates(partial(scheduler.onecycle, pct_start=0.3, div_factor=25, final_div_factor=1e4), 100)
    assert found[0] == pytest.approx(2.0 / 25)
    assert max(found) == pytest.approx(2.0, rel=1e-3)
    assert found.index(max(found)) == pytest.approx(29, abs=1)


@pytest.mark.parametrize("name", options("scheduler"))
def test_rates_of_groups_keep_their_ratio(name: str) -> None:
    """As those of an initializer that scales them, or of a head with a rate of its own."""
    config = compose_config(f"scheduler={name}")["scheduler"]
    del config["name"]
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (2.0, 0.5, 6.0)]
    optimizer = torch.optim.SGD(groups)
    schedule = target.call("scheduler", config, optimizer, total_steps=10)
    for _ in range(10):
        first, *others = (group["lr"] for group in optimizer.param_groups)
        assert others == pytest.approx([first / 4, first * 3])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("steps", [7, 100])
def test_the_last_step_of_each_schedule_is_one_before_its_end(steps: int) -> None:
    """The rate that a schedule ends at is reached by the step that nobody takes: after the last one."""
    made = {
        "cosine": (partial(scheduler.cosine, warmup_fraction=0.2, final_fraction=0.1), 0.2),
        "linear": (partial(scheduler.linear, warmup_fraction=0.2, initial_fraction=0.2, final_fraction=0.1), 0.2),
        "onecycle": (partial(scheduler.onecycle, pct_start=0.3, div_factor=25, final_div_factor=10), 2.0 / 250),
    }
    for name, (make, end) in made.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
        schedule = make(optimizer, total_steps=steps)
        for _ in range(steps):
            before = optimizer.param_groups[0]["lr"]
            optimizer.step()
            schedule.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(end), name
        assert before > end * 1.001, name


@pytest.mark.parametrize("name", options("scheduler"))
def test_every_file_of_the_group(name: str) -> None:
    config = compose_config(f"scheduler={name}")["scheduler"]
    assert config.pop("name") == name
    found = rates(partial(target.call, "scheduler", config), 20)
    assert all(0 <= lr <= 2.0 for lr in found)


def test_wrong_values_are_clear_errors() -> None:
    for name, key, value, message in (
        ("warmup", "warmup_fraction", 2, r"scheduler.warmup_fraction must be a number in \[0, 1\], got 2"),
        ("onecycle", "pct_start", 1, r"scheduler.pct_start must be a number in \(0, 1\), got 1"),
        ("cosine", "final_fracton", 1, r"unknown key scheduler.final_fracton. Did you mean 'final_fraction'\?"),
    ):
        config = compose_config(f"scheduler={name}")["scheduler"]
        with pytest.raises(ValueError, match=message):
            rates(partial(target.call, "scheduler", config | {key: value}), 3)


@pytest.mark.parametrize("warmup", [0, 0.3, 1])
def test_behind_its_last_step_a_schedule_stays_where_it_is(warmup: float) -> None:
    """As where a fit is longer than was estimated; also without a warm-up, and with nothing but one."""
    made = {
        "constant": (scheduler.constant, 2.0),
        "warmup": (partial(scheduler.warmup, warmup_fraction=warmup), 2.0),
        "cosine": (partial(scheduler.cosine, warmup_fraction=warmup, final_fraction=0.1), 0.2),
        "linear": (partial(scheduler.linear, warmup_fraction=warmup, initial_fraction=0.5, final_fraction=0.1), 0.2),
    }
    for name, (make, end) in made.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
        schedule = make(optimizer, total_steps=10)
        found = []
        for _ in range(20):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        assert found[11:] == pytest.approx([end] * 9), name
        if warmup == 0:
            assert found[0] == 2.0, name
