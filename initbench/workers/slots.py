"""How many jobs at a time, and what each slot's process is given of the machine: a GPU, and threads."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from initbench.schema.ranges import MOST_THREADS
from initbench.workers.cores import cores

# What OpenMP, MKL, OpenBLAS, Accelerate and numexpr read when they are loaded.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# glibc returns large blocks to the system as they are freed, and a training step would have its activations' pages
# mapped and zeroed anew each time: `bench_packed.py --one packed lenet 32` trains half as many images a second.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


@dataclass(frozen=True)
class Slots:
    """What `hydra.launcher` asks for; None where it leaves the choice to us."""

    slots: int | None = None
    runs_per_device: int = 1
    devices: int | Sequence[int | str] | None = None
    threads_per_slot: int | None = None

    def environments(self) -> list[dict[str, str]]:
        """What the environment of each slot's process has beyond our own. Raises ValueError for what cannot be."""
        for key in ("slots", "runs_per_device", "threads_per_slot"):
            if (value := getattr(self, key)) is not None and not 1 <= value <= MOST_THREADS:
                raise ValueError(f"hydra.launcher.{key} must be from 1 to {MOST_THREADS}, got {value}")
        names = device_names(self.devices)
        slots = self.slots or len(names) * self.runs_per_device or max(1, cores() // (self.threads_per_slot or 1))
        # Whatever the number of jobs: the rest of a sweep must run on as many threads as the whole did, bit for bit.
        threads = {**MALLOC, **dict.fromkeys(THREADS, str(self.threads_per_slot or max(1, cores() // slots)))}
        if self.devices is None and not names:
            return [threads] * slots
        return [{**threads, "CUDA_VISIBLE_DEVICES": names[slot % len(names)] if names else ""} for slot in range(slots)]

    def for_processes(self, processes: int) -> "Slots":
        """As many GPUs or cores a slot as a run has processes, where nothing else is asked for."""
        if self.slots is not None or self.devices is not None:
            return self
        gpus = visible_gpus()
        if len(gpus) < processes:  # on cores; or too few, as the run will say
            slots = max(1, cores() // processes)
            return replace(self, slots=slots, devices=[",".join(gpus)] if gpus else None)
        firsts = range(0, len(gpus) - processes + 1, processes)
        return replace(self, devices=[",".join(gpus[first : first + processes]) for first in firsts])


def sharing(environments: Sequence[dict[str, str]]) -> int:
    """How many slots have the device that most have."""
    return max(Counter(environment.get("CUDA_VISIBLE_DEVICES") for environment in environments).values())


def device_names(devices: int | Sequence[int | str] | None) -> list[str]:
    """The values of CUDA_VISIBLE_DEVICES that the slots take in turn."""
    if isinstance(devices, str):
        raise ValueError(f"hydra.launcher.devices must be a number or a list, got {devices!r}: try [{devices}]")
    if isinstance(devices, Sequence):
        return [str(device) for device in devices]
    visible = visible_gpus()
    if devices is None:
        return visible
    if not 0 <= devices <= len(visible):
        raise ValueError(f"hydra.launcher.devices is {devices}, but the visible GPUs are {visible}")
    return visible[:devices]


def visible_gpus() -> list[str]:
    """Their names for CUDA_VISIBLE_DEVICES, found without CUDA: here it would take memory of a GPU until the end."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [name for name in names if name and not name.startswith("-")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, encoding="utf-8", check=False).stdout
    return re.findall(r"^GPU (\d+):", listed, re.MULTILINE)
