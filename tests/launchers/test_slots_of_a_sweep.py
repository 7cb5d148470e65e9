"""How many slots a sweep has, and how many threads each: decided once, by the jobs of the whole sweep."""

from typing import Any

import pytest

from hydra_plugins.packed_launcher.launcher import PackedLauncher
from initbench.workers.slots import Slots, sharing


@pytest.fixture(autouse=True)
def eight_cores_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initbench.workers.slots.cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def launcher(**keys: Any) -> PackedLauncher:
    return PackedLauncher(replicas=64, measure=False, stop_seconds=4.0, **keys)


def slots_and_threads(made: PackedLauncher) -> tuple[int, str]:
    (threads,) = {environment["OMP_NUM_THREADS"] for environment in made.environments}
    return len(made.environments), threads


@pytest.mark.parametrize("jobs, expected", [(1, (1, "8")), (3, (3, "2")), (7, (7, "1")), (8, (8, "1")), (9, (8, "1"))])
def test_fewer_jobs_than_slots_have_more_threads_each(jobs: int, expected: tuple[int, str]) -> None:
    made = launcher()
    assert slots_and_threads(made) == (8, "1")
    made.expect(jobs)
    assert slots_and_threads(made) == expected


def test_a_number_of_slots_that_was_asked_for_stays() -> None:
    made = launcher(slots=4)
    made.expect(2)
    assert slots_and_threads(made) == (4, "2")


@pytest.mark.parametrize("first, later, expected", [(20, 3, (8, "1")), (2, 20, (2, "4")), (2, 1, (2, "4"))])
def test_what_is_said_first_counts(first: int, later: int, expected: tuple[int, str]) -> None:
    made = launcher()
    made.expect(first)
    made.expect(later)
    assert slots_and_threads(made) == expected


@pytest.mark.parametrize(
    "gpus, processes, expected",
    [
        ("0,1,2,3,4", 2, ["0,1", "2,3"]),  # the fifth is too few
        ("0,1,2,3", 4, ["0,1,2,3"]),
        ("0,1,2", 3, ["0,1,2"]),
        ("0,1", 3, ["0,1"] * 2),  # too few, as the run will say
    ],
)
def test_a_run_of_several_processes_has_as_many_gpus(
    gpus: str, processes: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    environments = Slots().for_processes(processes).environments()
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments] == expected


def test_without_gpus_a_run_of_several_processes_has_as_many_cores() -> None:
    environments = Slots().for_processes(3).environments()
    assert [environment["OMP_NUM_THREADS"] for environment in environments] == ["4", "4"]


def test_slots_share_the_device_that_most_have() -> None:
    assert sharing(Slots(devices=["0", "1"], slots=5).environments()) == 3
    assert sharing(Slots(devices=["0", "1"]).environments()) == 1
    assert sharing(Slots(slots=4).environments()) == 4
