"""Runs before and after an edit of the user's own code: `python -m initbench` as people type it."""

from pathlib import Path

from programs import FAST, command

import initbench

MINE = """
from torch import nn

def small_(tensor):
    nn.init.normal_(tensor, std={std})
"""
OWN = [*FAST, "init._target_=mine.small_"]


def test_edited_code_is_another_run(tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text(MINE.format(std=0.1))
    assert command(tmp_path, *OWN).returncode == 0
    assert "already finished" in command(tmp_path, *OWN).stdout
    module.write_text(MINE.format(std=0.2))
    assert "already" not in command(tmp_path, *OWN).stdout
    assert len(initbench.load_runs(tmp_path / "runs")) == 2
    module.write_text(MINE.format(std=0.1))
    assert "already finished" in command(tmp_path, *OWN).stdout


def test_a_sweep_runs_what_was_edited_and_its_table_has_both_versions(tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text(MINE.format(std=0.1))
    sweep = ["-m", "hydra.launcher.slots=1", *OWN, "seed=0,1"]
    command(tmp_path, *sweep)
    assert "2 runs, 2 of them already done" in command(tmp_path, *sweep).stdout
    module.write_text(MINE.format(std=0.2))
    edited = command(tmp_path, *sweep)
    assert edited.returncode == 0, edited.stderr
    assert edited.stdout.count(" finished ") == 2
    labels = set(initbench.load_runs(tmp_path / "runs")["init"])
    assert len(labels) == 2
    for label in labels:
        assert label.startswith("mine.small_ (source ")
        assert label in edited.stdout
    referred = command(tmp_path, *sweep, "report.reference=mine.small_")
    assert f"the reference; name one of its versions: {', '.join(sorted(labels))}" in " ".join(referred.stdout.split())
    version = command(tmp_path, *sweep, f'report.reference="{max(labels)}"')
    assert f"{max(labels)} against each of the others" in " ".join(version.stdout.split()), version.stderr
