"""What the launcher of Ray decides by itself, without a cluster."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from initbench.clusters.ray import RayTasks, _as_here


@pytest.mark.parametrize(
    "remote, machines, accelerator, said",
    [
        ({"num_cpus": 2, "num_gpus": 1}, [{"CPU": 2, "GPU": 1}], "auto", ""),
        (
            {"num_cpus": 4, "num_gpus": None},
            [{"CPU": 2}, {"CPU": 2}],
            "auto",
            "no machine of the Ray cluster has 4 CPU, 0 GPU",
        ),
        ({"num_cpus": None, "num_gpus": 1}, [{"CPU": 2}], "auto", "has 1 CPU, 1 GPU for a run: waiting for one"),
        ({"num_cpus": 1, "num_gpus": 1}, [{"CPU": 4}, {"CPU": 0, "GPU": 4}], "auto", "has 1 CPU, 1 GPU"),
        ({"num_cpus": 1, "num_gpus": 0, "resources": {"big": 1}}, [{"CPU": 4}], "cpu", "has 1 CPU, 0 GPU, 1 big"),
        ({"num_cpus": 1, "num_gpus": 0.5}, [{"CPU": 4, "GPU": 0.5}], "auto", ""),
        (
            {"num_cpus": 1, "num_gpus": 0},
            [{"CPU": 4}, {"CPU": 4, "GPU": 1}],
            "auto",
            "no run gets a GPU of the Ray cluster",
        ),
        ({"num_cpus": 1, "num_gpus": 0}, [{"CPU": 4, "GPU": 1}], "cpu", ""),
        ({"num_cpus": 1, "num_gpus": 0}, [{"CPU": 4}], "auto", ""),
        ({"num_cpus": 1, "num_gpus": 0}, [], "auto", "waiting for one"),
    ],
)
def test_what_a_ray_cluster_lacks_is_said(
    remote: Any, machines: Any, accelerator: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = OmegaConf.create({"trainer": {"accelerator": accelerator}})
    RayTasks(None, None, None, config)._compare(remote, machines)  # type: ignore[arg-type]  # of these nothing is asked
    found = " ".join(capsys.readouterr().out.split())
    assert (said in found) if said else (found == "")


def test_a_worker_of_ray_is_where_the_sweep_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []

    def run_job(context: Any, config: Any, task: Any, singletons: Any) -> JobReturn:
        called.append(
            (context, config, task, Path.cwd(), sys.argv, os.environ.get("WANDB_MODE"), os.environ.get("MINE"))
        )
        return JobReturn(cfg={"large": 1}, hydra_cfg={"large": 1}, status=JobStatus.COMPLETED)  # type: ignore[arg-type]  # only that they are dropped matters

    for name in ("hydra_plugins.hydra_ray_launcher", "hydra_plugins.hydra_ray_launcher._launcher_util"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(_run_job=run_job))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["typed"])
    monkeypatch.setattr(sys, "orig_argv", ["typed"])
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MINE", "of the one machine")
    run = _as_here("context", "task")  # type: ignore[arg-type]  # nothing is asked of these
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "argv", ["worker"])
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("MINE", "of the other")
    result = run("config")  # type: ignore[arg-type]  # nothing is asked of it
    assert called == [("context", "config", "task", tmp_path, ["typed"], "offline", "of the other")]
    assert result.cfg is result.hydra_cfg is None
