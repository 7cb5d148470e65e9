"""How many processor cores this process may use: those it is bound to, and no more than its container is given."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def cores() -> int:
    """At least 1; a quota of two and a half cores counts as two, as a third thread would wait most of the time."""
    return max(1, min(_bound_to(), int(_quota(Path("/")))))


def _bound_to() -> int:
    if count := getattr(os, "process_cpu_count", None):  # Python 3.13, with PYTHON_CPU_COUNT
        return count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _quota(root: Path) -> float:
    """The tightest of the limits of this process's control groups, in cores; far more than there are without one."""
    return min((limit for folder in _groups(root) if (limit := _limit(folder)) is not None), default=1e6)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups, each with those above it, whose limits hold too.

    Inside a container the path that the kernel tells may be one of the host, while its own group is mounted at the top.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in ("cpu", "cpu,cpuacct") if controllers else ("", "unified"):  # version 1; version 2
            top = root / "sys/fs/cgroup" / mount
            inner = top / path.lstrip("/")
            yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _limit(folder: Path) -> float | None:
    """The limit of one group, in cores."""
    try:
        if (both := folder / "cpu.max").exists():
            quota, period = both.read_text("ascii").split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text("ascii").strip() for name in ("quota", "period"))
    except OSError:
        return None
    return None if quota in ("max", "-1") else float(quota) / float(period)
