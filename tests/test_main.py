"""The command line as people type it, in processes of its own."""

import json
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from programs import ENVIRONMENT, FAST, command, run

import hydra_plugins.local_launcher
import initbench


def test_a_sweep_ranks_skips_what_is_done_and_says_where_the_page_is(tmp_path: Path) -> None:
    arguments = [*FAST, "init=orthogonal,zeros", "seed=0,1", "-m"]
    first = command(tmp_path, *arguments)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count(" finished ") == 4
    assert "Two seeds cannot show a significant difference; at least six are needed." in first.stdout
    page = tmp_path / "runs" / "main" / "report" / "index.html"
    assert f"Report: {page.relative_to(tmp_path)}" in first.stdout
    assert page.exists()
    assert len(initbench.load_runs(tmp_path / "runs")) == 4
    began = time.monotonic()
    second = command(tmp_path, *arguments)
    assert "4 runs, 4 of them already done" in second.stdout
    assert second.stdout.split("test accuracy")[-1] == first.stdout.split("test accuracy")[-1]
    assert time.monotonic() - began < 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_what_a_report_is_asked_for_is_checked_before_training_and_kept_for_later(tmp_path: Path) -> None:
    for typed, said in (
        ("report.margin=0", "report.margin must be a number in (0, 1e+50) or null, got 0"),
        ("report.margin=wide", "report.margin must be a number in (0, 1e+50) or null, got 'wide'"),
        ("report.margin=1,2", "report.margin cannot be swept over: a study has one report"),
        ("report.margin=???", "report.margin has no value yet: give one, report.margin=..."),
        ("hydra.sweeper.params={report.margin: '1,2'}", "report.margin cannot be swept over: a study has one report"),
        ("report.reference=[a]", "report.reference must be text or null, got ['a']"),
        ("report=null", "report must be a mapping with the keys margin, reference, got None"),
        ("~report", "report is missing: add +report=... (a mapping)"),
        ("report.reference=orthogonl", "unknown report.reference 'orthogonl'. Did you mean 'orthogonal'?"),
        ("report.refrence=zeros", "unknown key report.refrence. Did you mean 'reference'?"),
    ):
        refused = command(tmp_path, *FAST, "init=orthogonal,zeros", "seed=0,1", "-m", typed)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"initbench: {said}")
    assert not list(tmp_path.rglob("record.json"))
    asked = ["report.margin=2", "report.reference=zeros"]
    done = command(tmp_path, *FAST, "init=orthogonal,zeros", "seed=range(6)", "-m", "hydra.launcher.slots=1", *asked)
    assert "zeros against each of the others" in done.stdout, done.stderr
    verdict = initbench.verdict(initbench.load_runs(tmp_path / "runs"), margin=2, reference="zeros")
    assert str(verdict.sentences[0]) in done.stdout


def test_a_finished_run_says_what_it_was_not_diagnosed_for(tmp_path: Path) -> None:
    words = ["model=mlp", "trainer.max_steps=2", "logger=none", "diagnostics.print=false"]
    command(tmp_path, *words, "seed=0")
    assert "it ran without diagnostics; another study=" in command(tmp_path, *words, "diagnostics=init").stdout
    command(tmp_path, *words, "seed=1", "diagnostics=init")
    again = command(tmp_path, *words, "seed=1", "diagnostics=init", "diagnostics.curvature=true").stdout
    assert "it ran without the curvature; another study=" in again


def test_one_run_that_cannot_be_does_not_stop_the_sweep(tmp_path: Path) -> None:
    found = command(tmp_path, "-m", "hydra.launcher.slots=1", *FAST, "init=sparse", "init.sparsity=0.5,7,0.9")
    assert found.returncode == 2
    frame = initbench.load_runs(tmp_path / "runs")
    assert frame["status"].value_counts().to_dict() == {"finished": 2, "refused": 1}
    assert "refused  classifier.weight: sparsity must lie in [0, 1), got 7" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_value_that_one_run_lacks_does_not_stop_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "conf" / "init").mkdir(parents=True)
    mine = "_target_: initbench.init.schemes.elementary.normal_\nstd: ???\n"
    (tmp_path / "conf" / "init" / "mine.yaml").write_text(mine)
    found = command(tmp_path, "-m", "hydra.launcher.slots=1", *FAST, "--config-dir", "conf", "init=mine,normal")
    assert found.returncode == 2
    assert "refused  init.std has no value yet" in found.stderr
    assert sorted(initbench.load_runs(tmp_path / "runs")["status"]) == ["finished", "refused"]


def test_a_key_that_only_some_options_of_a_sweep_have_refuses_the_runs_of_the_others(tmp_path: Path) -> None:
    """Whether the default option, of which Hydra composes the sweep, has the key (mode) or not (gain)."""
    found = command(tmp_path, "-m", *FAST, "hydra/launcher=basic", "init=orthogonal,zeros", "init.gain=1")
    assert found.returncode == 2
    assert "refused  unknown key gain of zeros" in found.stderr
    assert sorted(initbench.load_runs(tmp_path / "runs")["status"]) == ["finished", "refused"]
    dry = command(tmp_path, "-m", *FAST, "init=xavier_normal,kaiming_normal", "init.mode=fan_out", "dry_run=true")
    assert "1 of 2 runs would be refused: unknown key mode of xavier_normal" in dry.stderr


def test_a_key_of_the_models_of_a_sweep_needs_none_in_the_default_model(tmp_path: Path) -> None:
    typed = ["-m", "model=mlp,plain_cnn", "logger=none", "dry_run=true"]
    found = command(tmp_path, *typed, "model.depth=4")
    assert (found.returncode, found.stdout.count(" new ")) == (0, 2), found.stderr
    misspelled = command(tmp_path, *typed, "model.depht=4")
    assert misspelled.stderr.startswith("initbench: unknown key model.depht. Did you mean 'depth'? Keys of model: ")
    assert misspelled.returncode == 2


def test_a_study_may_have_any_name_and_a_folder_may_be_at_home(tmp_path: Path) -> None:
    done = command(tmp_path, *FAST, "study=über lr=0.1", "runs_dir=~/my=runs", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "my=runs" / "über lr=0.1").glob("*/record.json")
    typed_again = shlex.split(json.loads(record.read_text())["config"]["command"])[3:]
    assert "already finished" in command(tmp_path, *typed_again).stdout


def test_a_home_in_a_config_of_ones_own_is_expanded_too(tmp_path: Path) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\nruns_dir: ~/runs\n")
    mine = [*FAST, "--config-dir=~/own", "experiment=mine"]
    swept = command(tmp_path, *mine, "-m", "hydra/launcher=basic", "seed=0,1", HOME=str(tmp_path))
    assert swept.returncode == 0, swept.stderr
    assert "already finished" in command(tmp_path, *mine, HOME=str(tmp_path)).stdout
    assert not (tmp_path / "~").exists()


def test_an_extra_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """Where Hydra finds plugins of ours alone."""
    plugins = Path(hydra_plugins.local_launcher.__file__).parent.parent
    code = (
        "import sys, hydra_plugins\n"
        f"hydra_plugins.__path__ = [{str(plugins)!r}]\n"
        "from initbench.__main__ import entry\n"
        "sys.argv = ['initbench', '-m', 'hydra/sweeper=optuna']\n"
        "entry()\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == "initbench: hydra/sweeper=optuna is not installed: pip install 'initbench[optuna]'\n"


def test_a_crash_in_a_sweep_is_recorded_and_makes_the_exit_code_one(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def crash(optimizer, total_steps):\n"
        "    import torch\n"
        "    if total_steps and optimizer.param_groups[0]['params'][0].numel() > 1:\n"
        "        raise KeyError('from my own scheduler')\n"
        "    return torch.optim.lr_scheduler.ConstantLR(optimizer)\n"
    )
    found = command(
        tmp_path,
        "-m",
        "hydra.launcher.slots=1",
        *FAST,
        "init=ones,eye",
        "scheduler=constant",
        "scheduler._target_=mine.crash",
        PYTHONPATH=str(tmp_path),
    )
    assert found.returncode == 1
    assert "2 runs failed" in found.stderr
    frame = initbench.load_runs(tmp_path / "runs")
    assert set(frame["status"]) == {"failed"}
    assert frame["reason"].str.contains("from my own scheduler").all()


BROKEN = """
from dataclasses import dataclass
from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

@dataclass
class Conf:
    _target_: str = "hydra_plugins.broken.BrokenLauncher"

ConfigStore.instance().store(group="hydra/launcher", name="broken", node=Conf, provider="broken")

class BrokenLauncher(Launcher):
    def setup(self, **keys): pass
    def launch(self, job_overrides, initial_job_idx): return {}["a bug"]
"""


def test_a_crash_of_a_launcher_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins" / "broken").mkdir(parents=True)
    (tmp_path / "hydra_plugins" / "broken" / "__init__.py").write_text(BROKEN)
    found = command(tmp_path, *FAST, "-m", "hydra/launcher=broken", "seed=0,1", PYTHONPATH=str(tmp_path))
    assert found.returncode == 1
    assert "Traceback" in found.stderr
    assert "KeyError: 'a bug'" in found.stderr


def test_a_yaml_that_nobody_asked_for_stops_no_sweep(tmp_path: Path) -> None:
    (tmp_path / "own" / "init").mkdir(parents=True)
    (tmp_path / "own" / "init" / "latin.yaml").write_bytes(b"name: \xe9\xff\n")
    found = command(tmp_path, "--config-dir", "own", "~optimizer.betas", "-m", "init=ones,zeros", "dry_run=true")
    assert found.returncode == 0, found.stderr
    assert "ones" in found.stdout


def test_a_dry_run_of_hydras_own_sweeper_is_seen(tmp_path: Path) -> None:
    found = command(tmp_path, "-m", "hydra/sweeper=basic", "init=ones,zeros", "dry_run=true")
    assert [line.split()[-1] for line in found.stdout.splitlines() if "lenet" in line] == ["new", "new"]


def test_a_sweep_that_leaves_no_record_says_so(tmp_path: Path) -> None:
    found = command(tmp_path, *FAST, "-m", "hydra.sweep.subdir=/dev/null/x", "hydra/launcher=local")
    assert found.returncode == 1
    assert "1 run was never started" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_summary_that_cannot_be_made_says_why_and_that_the_runs_are_safe(tmp_path: Path) -> None:
    (tmp_path / "plotly.py").write_text("raise RuntimeError('broken, password=s3cr3t-v4lue')\n")  # shadows the package
    found = command(tmp_path, *FAST, "-m", "seed=0,1", "hydra/launcher=basic")
    assert found.returncode == 1
    assert "initbench: the runs are recorded, but summarizing them failed:\nTraceback (most" in found.stderr
    assert found.stderr.endswith("RuntimeError: broken, password=***\n")
    assert set(initbench.load_runs(tmp_path / "runs")["status"]) == {"finished"}


def test_a_traceback_can_be_asked_for(tmp_path: Path) -> None:
    found = command(tmp_path, "init=orthogonall", HYDRA_FULL_ERROR="1")
    assert found.returncode == 1
    assert "Traceback" in found.stderr


def test_an_initializer_and_a_config_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def small_(tensor, layer, generator, *, std):\n    tensor.normal_(0, std)\n")
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "small.yaml").write_text("_target_: mine.small_\nstd: 0.01\n")
    found = command(tmp_path, *FAST, "--config-dir", "conf", "init=small", "print_init=true", PYTHONPATH=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert "What was initialized" in found.stdout
    again = command(tmp_path, *FAST, "--config-dir", "conf", "init=small", "print_init=true", PYTHONPATH=str(tmp_path))
    assert "already finished" in again.stdout
    assert "linear1.weight" in again.stdout
    assert initbench.load_runs(tmp_path / "runs")["init"].tolist() == ["small(std=0.01)"]


@pytest.mark.parametrize("flag", [["--help"], ["--cfg", "job"]])
def test_help_and_config_import_nothing_heavy(tmp_path: Path, flag: list[str]) -> None:
    code = (
        "import runpy, sys\n"
        "heavy = ('torch', 'torchvision', 'lightning', 'wandb', 'pandas', 'plotly', 'scipy', 'pydantic')\n"
        f"sys.argv = ['initbench', *{flag!r}]\n"
        "try:\n"
        "    runpy.run_module('initbench', run_name='__main__')\n"
        "finally:\n"
        "    print('HEAVY', [name for name in heavy if name in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip().splitlines()[-1] == "HEAVY []"
    assert "init" in found.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [[], FAST, ["-m", "seed=0,1"]])
def test_the_version_is_ours(tmp_path: Path, more: list[str]) -> None:
    found = command(tmp_path, *more, "--version")
    assert found.stdout.startswith(f"initbench {initbench.__version__}, torch {version('torch')}, Python 3.")
    assert found.returncode == 0


def test_dir_shows_the_public_names_and_submodules_are_there_without_an_import() -> None:
    assert sorted(dir(initbench)) == sorted([*initbench.__all__, "__version__"])
    code = "import initbench; print(initbench.data.Arrays.__name__, hasattr(initbench, 'nothing'))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=100).split() == ["Arrays", "False"]


def test_initializers_of_ones_own_are_shown_too(tmp_path: Path) -> None:
    (tmp_path / "own" / "init").mkdir(parents=True)
    (tmp_path / "own" / "init" / "mine.yaml").write_text("name: mine\n_target_: torch.nn.init.normal_\n")

    def show(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run(tmp_path, [sys.executable, "-m", "initbench.init", *arguments])

    assert "Fill the input Tensor" in show("mine", "--config-dir", "own").stdout
    assert "--config-dir" in show("--help").stdout
    assert "In own/init: mine" in show("--config-dir", "own").stdout
    assert show("mine", "--config-dir", "oven").stderr == "initbench: --config-dir oven has no folder init/\n"
    unknown = show("orthogonal", "mini", "--config-dir", "own")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "unknown initializer 'mini'. Did you mean 'mine'?" in unknown.stderr


def test_the_console_script_finds_modules_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "initbench"  # as pip makes it, in a folder that is not the working directory
    script.write_text("import sys\nfrom initbench.__main__ import entry\nsys.exit(entry())\n")
    (tmp_path / "here").mkdir()
    scaled = "def scaled_(tensor, layer, generator):\n    tensor.normal_(generator=generator).mul_(0.01)\n"
    (tmp_path / "here" / "mine.py").write_text(scaled)
    for launch in ([], ["-m", "hydra/launcher=local", "hydra.launcher.slots=1", "seed=1,2"]):
        typed = [sys.executable, str(script), *FAST, "init._target_=mine.scaled_", *launch]
        done = run(tmp_path / "here", typed)
        assert done.returncode == 0, done.stderr
    assert initbench.load_runs(tmp_path / "here" / "runs")["init"].tolist() == ["mine.scaled_"] * 3
