"""How many cores there are, in containers of every kind: folders made by hand as the kernel shows them."""

import os
from pathlib import Path

import pytest

from initbench.workers import cores
from initbench.workers.slots import Slots


def machine(root: Path, groups: str, **files: str) -> Path:
    """A root with /proc/self/cgroup and files of control groups, whose names have __ for a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    "groups, files, expected",
    [
        ("0::/\n", {"cpuDOTmax": "250000 100000\n"}, 2.5),
        ("0::/\n", {"cpuDOTmax": "max 100000\n"}, 1e6),
        ("0::/\n", {}, 1e6),
        ("0::/a/b\n", {"a__cpuDOTmax": "100000 100000\n", "a__b__cpuDOTmax": "400000 100000\n"}, 1.0),
        ("0::/of/the/host\n", {"cpuDOTmax": "50000 100000\n"}, 0.5),
        ("0::/../../x\n", {"cpuDOTmax": "50000 100000\n"}, 0.5),
        (
            "4:memory:/d/1\n3:cpu,cpuacct:/d/1\n0::/d/1\n",
            {"cpu__d__1__cpuDOTcfs_quota_us": "300000\n", "cpu__d__1__cpuDOTcfs_period_us": "100000\n"},
            3.0,
        ),
        (
            "3:cpu,cpuacct:/of/the/host\n",
            {"cpu,cpuacct__cpuDOTcfs_quota_us": "150000\n", "cpu,cpuacct__cpuDOTcfs_period_us": "50000\n"},
            3.0,
        ),
        (
            "3:cpu:/\n",
            {"cpu__cpuDOTcfs_quota_us": "-1\n", "cpu__cpuDOTcfs_period_us": "100000\n"},
            1e6,
        ),
        ("3:cpuset:/d\n", {"cpu__cpuDOTcfs_quota_us": "1\n", "cpu__cpuDOTcfs_period_us": "1\n"}, 1e6),
    ],
)
def test_the_tightest_quota_counts(groups: str, files: dict[str, str], expected: float, tmp_path: Path) -> None:
    assert cores._quota(machine(tmp_path, groups, **files)) == expected


def test_a_machine_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cores._quota(tmp_path) == 1e6


@pytest.mark.parametrize("quota, bound, expected", [(2.5, 64, 2), (2.9, 64, 2), (0.5, 64, 1), (1e6, 3, 3), (8.0, 4, 4)])
def test_slots_and_threads_are_as_many_as_the_quota_and_the_affinity_allow(
    quota: float, bound: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "_quota", lambda root: quota)
    monkeypatch.setattr(cores, "_bound_to", lambda: bound)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cores.cores() == expected
    assert len(Slots(devices=[]).environments()) == expected
    assert Slots(slots=1, devices=[]).environments()[0]["OMP_NUM_THREADS"] == str(expected)


def test_cores_are_those_that_this_process_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5, 7, 9}, raising=False)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    assert cores._bound_to() == 3
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2, raising=False)  # Python 3.13
    assert cores._bound_to() == 2
