"""A disk that fills, or turns read-only, amid a sweep: a small tmpfs, which only root may mount."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from outcomes import outcomes

pytestmark = pytest.mark.chaos

MANY = ",".join(map(str, range(6)))
SWEEP = [
    *("-m", "logger=none", "model=mlp", "trainer.max_steps=8", "data.val_every_n_steps=4", "trainer.accelerator=cpu"),
    *("trainer.threads=1", "init=orthogonal", f"seed={MANY}"),
]


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The mount point of one with room for 8 MiB, of which the page takes five."""
    if not shutil.which("mount"):
        pytest.skip("there is no mount")
    path = tmp_path / "disk"
    path.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a tmpfs cannot be mounted: {error.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def sweep(runs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "initbench", *SWEEP, f"runs_dir={runs}", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=runs.parent, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def fill(disk: Path) -> Callable[[], None]:
    """Take all the room there is; return what gives it back."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return ballast.unlink


def make_read_only(disk: Path) -> Callable[[], None]:
    mount("-o", "remount,ro", str(disk))
    return lambda: mount("-o", "remount,rw", str(disk))


@pytest.mark.parametrize("launcher", ["basic", "local", "auto"])
@pytest.mark.parametrize(
    "spoil, reason", [(fill, "No space left on device"), (make_read_only, "Read-only file system")]
)
def test_a_sweep_goes_on_when_there_is_room_again(
    disk: Path, tmp_path: Path, spoil: Callable[[Path], Callable[[], None]], reason: str, launcher: str
) -> None:
    engine = [f"hydra/launcher={launcher}", *(["hydra.launcher.slots=2"] if launcher != "basic" else [])]
    first = sweep(disk / "runs", "seed=0,1", *engine)
    assert first.returncode == 0, first.stderr
    before = outcomes(disk / "runs" / "main")
    assert len(before) == 2

    mend = spoil(disk)
    found = sweep(disk / "runs", *engine)
    assert found.returncode in (1, 2)
    assert reason in found.stderr
    assert "Traceback" not in found.stderr
    assert {name: outcome for name, outcome in outcomes(disk / "runs" / "main").items() if name in before} == before

    mend()
    last = sweep(disk / "runs", *engine)
    assert last.returncode == 0, last.stderr
    for step in (["seed=0,1"], []):  # the same steps: a pack of other runs rounds otherwise
        whole = sweep(tmp_path / "whole", *step, *engine)
        assert whole.returncode == 0, whole.stderr
    assert outcomes(disk / "runs" / "main") == outcomes(tmp_path / "whole" / "main")


def test_a_disk_that_fills_while_runs_are_under_way(disk: Path, tmp_path: Path) -> None:
    """There is room for some records and the first checkpoint, and then no more."""
    several = ["seed=0,1,2", "trainer.max_steps=400", "checkpoint_seconds=0.1", "model.width=64", "model.depth=2"]
    (disk / "ballast").write_bytes(bytes(8 * 2**20 - 300_000))
    found = sweep(disk / "runs", *several)
    assert found.returncode in (1, 2)
    assert "No space left" in found.stderr
    (disk / "ballast").unlink()
    mount("-o", "remount,size=64m", str(disk))
    last = sweep(disk / "runs", *several)
    assert last.returncode == 0, last.stderr
    whole = sweep(tmp_path / "whole", *several)
    assert whole.returncode == 0, whole.stderr
    assert outcomes(disk / "runs" / "main") == outcomes(tmp_path / "whole" / "main")
