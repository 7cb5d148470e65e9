"""What is typed wrongly, or stands in files of one's own, is one line and exit code 2 before anything trains."""

from pathlib import Path

import pytest
from programs import FAST, command


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["init=orthogonall"], "unknown option init=orthogonall. Did you mean 'orthogonal'? Available in init: "),
        (["model.depht=3", "model=mlp"], "unknown key model.depht. Did you mean 'depth'? Keys of model: "),
        (["data=MNIST"], "unknown option data=MNIST. Did you mean 'mnist'?"),
        (["dry_run=yess"], "dry_run must be true or false, got 'yess'"),
        (["force=yess", "-m"], "force must be true or false, got 'yess'"),
        (["hydra.launcher=packed", "-m"], "hydra.launcher=packed sets a key; an option is chosen by hydra/launcher="),
        (["--cfg", "job", "-m"], "Only one of --run, --multirun, --cfg"),
        (["studi=a"], "unknown key studi. Did you mean 'study'?"),
        (["trainer.label_smoothing=0.1"], "unknown key trainer.label_smoothing. Did you mean 'task.label_smoothing'?"),
        (["init=sparse", "init.sparsity=1"], "sparsity must lie in [0, 1), got 1"),
        (["data=image_folder"], "data.folder is not set"),
        (["init=orthogonal,zeross", "-m"], "unknown option init=zeross. Did you mean 'zeros'?"),
        (["runs_dir=/dev/null/runs", "-m"], "is not writable: Not a directory"),
        (["seed=???"], "seed has no value yet"),
        (["seed=${hydra:job.num}", "-m"], "seed: the runs of a sweep are known by their configs"),
        (["study=a,b", "-m"], "study cannot be swept over"),
        (["until=sure,null", "-m"], "until cannot be swept over: it says how seeds are added in the whole sweep"),
        (["until=sure", "race.level=0.1,0.2", "-m"], "race.level cannot be swept over"),
        (
            ["study=${model.name}", "model=mlp,lenet", "-m"],
            "the runs of a sweep share a study, and this one is in runs/",
        ),
        (
            ["init=ones,zeros"],
            "init=ones,zeros has several values, which takes a sweep: add -m, python -m initbench -m ",
        ),
        (["seed=range(3)"], "seed=range(3) has several values, which takes a sweep: add -m"),
        (["experiment=tuned", "init=a,b"], "unknown option init=a. Available in init: "),
        (["experiment=tuned", "init=ones,zeros", "optimizer.lrr=1"], "unknown key optimizer.lrr. Did you mean 'lr'?"),
        (["init==zeros"], "unknown option init==zeros. Did you mean 'zeros'?"),
        (
            ["study=v", "study=7"],
            "study must be text, got 7. What YAML reads as a number or a switch is a name in quotes",
        ),
        (["init._target_=3"], "init._target_ must be the dotted name of a function or class, got 3"),
        (
            ["hydra/launcher=null"],
            "unknown option hydra/launcher=null. Available in hydra/launcher: auto, basic, local, ",
        ),
        (["-x"], "unknown option -x."),
        (["+hydra.foo=1"], "unknown key hydra.foo. Keys of hydra: "),
        (["--config-dir", "nope"], "nope' not found"),
        (["model.name=resnet18"], "model.name is a label and chooses nothing; did you mean model=resnet18?"),
        (["init={name: orthogonal}"], "init.name is a label and chooses nothing; did you mean init=orthogonal?"),
        (["data={name: cifar10}"], "data.name is a label and chooses nothing; did you mean data=cifar10?"),
        (["seed=range(0)", "-m"], "seed=range(0) has no values, so there is nothing to run"),
        (["init=glob(zzz*)", "dry_run=true", "-m"], "init=glob(zzz*) has no values, so there is nothing to run"),
        (
            ["seed=interval(0,1)", "-m"],
            "seed=interval(0,1) is an interval; a grid needs a list of values, such as seed=1,2,4",
        ),
        (["foo"], "'foo' is no override: type name=value, such as init=orthogonal"),
        (
            ["+model.password=${oc.env:NOT_SET_HERE}"],
            "the environment variable NOT_SET_HERE, which model.password names",
        ),
        (["seed=${oc.env:NOT_SET_HERE}", "-m"], "the environment variable NOT_SET_HERE, which seed names, is not set"),
        (["seed=${seed}"], "seed: Recursive interpolation detected"),
        (["study=${foo:bar}"], "study: Unsupported interpolation type foo"),
        (["--config-dir", ""], "--config-dir is empty: give the path of a folder"),
        (["--config-name", "nope"], "Cannot find primary config 'nope'. Check that it's in your config search path. "),
        (["seed=range(0,3,0)", "-m"], "seed=range(0,3,0): range() arg 3 must not be zero"),
        (["seed=range(1e9)", "-m"], "seed=range(1e9) has more than 100,000 values"),
        (["dry_run=true,false", "-m"], "dry_run cannot be swept over"),
        (["hydra.sweeper.params=[1]", "-m"], "hydra.sweeper.params must be a mapping"),
        (["hydra.launcher=null", "-m"], "hydra.launcher=None sets a key"),
        (["hydra.launcher._target_=nope.x", "-m"], "this command cannot be run: RuntimeError: Invalid plugin 'nope.x'"),
        (["hydra.searchpath=[http://x]"], "No config source registered for schema http"),
        (["hydra.run.dir=/dev/null/x"], "this command cannot be run: NotADirectoryError"),
        (["hydra.sweep.dir=/dev/null/x", "-m"], "hydra.sweep.dir '/dev/null/x' is not writable: Not a directory"),
        (["hydra.sweeper.max_batch_size=0", "-m"], "this command cannot be run: AssertionError"),
        (["trainer.threads=100000"], "trainer.threads must be a whole number in [1, 1024] or null, got 100000"),
        (["trainer.max_steps=0", "dry_run=true"], "trainer.max_epochs=3 and max_steps=0: nothing would be trained"),
        (["runs_dir=/dev/null/runs", "dry_run=true"], "is not writable: Not a directory"),
        (["optimizer.lr=inf"], "optimizer.lr must be a number of at least 0, got inf"),
        (["init.gain=1e400", "dry_run=true"], "gain of kaiming_normal must be a number or null, got inf"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(tmp_path: Path, arguments: list[str], message: str) -> None:
    found = command(tmp_path, *arguments)
    assert found.returncode == 2
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    assert found.stderr.startswith(f"initbench: {message}") or message in found.stderr
    assert not list(tmp_path.rglob("record.json"))


@pytest.mark.parametrize("launch", [["dry_run=true"], ["-m", "seed=0,1"]], ids=["alone", "sweep"])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"_target_: torch.nn.init.normal_\n\tstd: 1\n", "ScannerError"),
        (b"_target_: a\n_target_: b\n", "found duplicate key _target_"),
        (b"_target_: [a\n", "ParserError"),
        (b"a: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        (b"42\n", "Invalid loaded object type: int"),
        (b"defaults: foo\n", "efaults"),
    ],
    ids=["tab", "duplicate", "unclosed", "tag", "number", "defaults"],
)
def test_a_yaml_that_cannot_be_read_is_one_line(
    tmp_path: Path, content: bytes, message: str, launch: list[str]
) -> None:
    (tmp_path / "own" / "init").mkdir(parents=True)
    (tmp_path / "own" / "init" / "mine.yaml").write_bytes(content)
    found = command(tmp_path, "--config-dir", "own", "init=mine", *launch)
    assert found.returncode == 2
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    assert message in found.stderr


MINE = """
import torch

def nothing(*arguments, **keys):
    return None

class Still(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
"""


@pytest.mark.parametrize(
    "group, target, message",
    [
        ("optimizer", "mine.nothing", "optimizer mine.nothing made a NoneType, not a torch.optim.Optimizer"),
        ("optimizer", "mine.Still", "optimizer mine.Still has no step of its own"),
        ("scheduler", "mine.nothing", "scheduler mine.nothing made a NoneType, not an LRScheduler of torch"),
        ("init", "leaves.anything", "init._target_='leaves.anything' cannot be imported: 5"),
    ],
)
def test_code_of_ones_own_that_is_of_no_use_is_one_line(tmp_path: Path, group: str, target: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(5)")
    (tmp_path / "own" / group).mkdir(parents=True)
    (tmp_path / "own" / group / "mine.yaml").write_text(f"_target_: {target}\nlr: 0.1\n")
    if group != "optimizer":
        (tmp_path / "own" / group / "mine.yaml").write_text(f"_target_: {target}\n")
    found = command(tmp_path, "--config-dir", "own", f"{group}=mine", *FAST)
    assert (found.returncode, found.stderr) == (2, f"initbench: {message}\n")
