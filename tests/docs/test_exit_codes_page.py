"""Exit codes of docs/reference/exit_codes.md that no other test is about."""

import json
import sys
from pathlib import Path

from programs import FAST, command, run

from initbench.record.lock import lock

# Not while the scheduler is checked on a parameter of its own, which would be a mistake that is found before the run.
CRASH = """
def crash(optimizer, total_steps):
    import torch

    if total_steps and optimizer.param_groups[0]["params"][0].numel() > 1:
        raise KeyError("from my own scheduler")
    return torch.optim.lr_scheduler.ConstantLR(optimizer)
"""
ALONE = [*FAST, "init=zeros", "study=s"]


def record_of(folder: Path) -> dict[str, object]:
    (path,) = (folder / "runs" / "s").glob("*/record.json")
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_a_run_that_diverged_is_a_result(tmp_path: Path) -> None:
    done = command(tmp_path, *FAST, "study=s", "init=kaiming_normal", "optimizer=sgd", "optimizer.lr=1e30")
    assert record_of(tmp_path)["status"] == "diverged"
    assert done.returncode == 0, done.stderr


def test_a_run_that_crashes_is_1_and_its_record_says_failed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CRASH)
    done = command(tmp_path, *ALONE, "scheduler=constant", "scheduler._target_=mine.crash", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("KeyError: 'from my own scheduler'")
    assert record_of(tmp_path)["status"] == "failed"


def test_a_run_that_another_process_trains_is_left_to_it(tmp_path: Path) -> None:
    assert command(tmp_path, *ALONE).returncode == 0
    (path,) = (tmp_path / "runs" / "s").glob("*/record.json")
    with lock(path.parent):
        again = command(tmp_path, *ALONE, "force=true")
    assert (again.returncode, "another process is training it" in again.stdout) == (0, True), again.stderr


def test_a_model_without_what_an_initializer_needs_is_2(tmp_path: Path) -> None:
    refused = command(tmp_path, *FAST, "init=fixup", "study=s")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


def test_a_study_without_a_readable_record_is_2_for_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "s" / "mlp-mnist_mini-zeros-seed0-0123456789"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    found = run(tmp_path, [sys.executable, "-m", "initbench.report", "runs/s"])
    assert found.returncode == 2, found.stdout
