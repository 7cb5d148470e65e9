"""How many slots a sweep has, and how many threads each: decided once, by the jobs of the whole sweep."""

from typing import Any

import pytest

from hydra_plugins.packed_launcher.launcher import PackedLauncher


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
