"""What a sweep would do, found from its overrides and the records that there are."""

import json
from pathlib import Path
from typing import Any

import pytest
from frames import record
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from initbench import CONF
from initbench.config.source import source_digest
from initbench.record.store import write_record
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.plan import plan, seconds_left


@pytest.fixture
def planned(tmp_path: Path) -> Any:
    """A function from jobs to their plan, in a runs_dir of its own."""
    path = create_config_search_path(str(CONF))
    hydra = Hydra.create_main_hydra2(task_name="initbench", config_search_path=path)
    master = hydra.compose_config("config", [f"runs_dir={tmp_path}/runs"], RunMode.MULTIRUN)
    where = f"runs_dir={tmp_path}/runs"

    def make(*jobs: list[str]) -> Any:
        loader = CachingConfigLoader(hydra.config_loader)
        return plan(loader, master, [[where, *job] for job in jobs])

    yield make
    GlobalHydra.instance().clear()


def finish(job: Any, status: str = "finished", seconds: float = 3.0) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    times = {"started_at": "2026-01-01T00:00:00+00:00", "finished_at": f"2026-01-01T00:00:{seconds:02.0f}+00:00"}
    write_record(job.folder, record("any", 0, status=status, **times))


def test_what_has_a_record_is_known_and_what_is_the_same_run_is_one(planned: Any) -> None:
    jobs = ["init=orthogonal", "seed=0"], ["init=lsuv", "seed=0"], ["init=orthogonal"], ["init=orthogonal", "seed=1"]
    first = planned(*jobs)
    assert [job.folder.name.rpartition("-")[0] for job in first] == [
        "lenet-mnist_mini-orthogonal-seed0",
        "lenet-mnist_mini-lsuv-seed0",
        "lenet-mnist_mini-orthogonal-seed1",
    ]
    assert [job.status for job in first] == [None] * 3
    for job, status in zip(first, ("finished", "diverged", "failed"), strict=True):
        finish(job, status)
    assert [(job.status, job.is_complete) for job in planned(*jobs)] == [
        ("finished", True),
        ("diverged", True),
        ("failed", False),
    ]


def test_what_is_remembered_is_forgotten_when_a_file_of_the_config_changes(
    planned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ["init=orthogonal"]
    (before,) = planned(job)
    memory = tmp_path / "runs" / "main" / ".sweep" / "signatures.json"
    content = json.loads(memory.read_text())
    (remembered,) = content["runs"].values()
    assert remembered == {
        "folder": before.folder.name,
        **{key: getattr(before, key) for key in ("setting", "workload", "init", "seed")},
    }
    content["runs"] = {key: {**remembered, "folder": "elsewhere"} for key in content["runs"]}
    memory.write_text(json.dumps(content))
    assert planned(job)[0].folder.name == "elsewhere"  # it is used
    memory.write_text(json.dumps({**content, "inputs": "other"}))
    assert planned(job) == [before]
    without = {key: value for key, value in remembered.items() if key != "seed"}
    for damage in ({**remembered, "folder": 3}, {**remembered, "more": 0}, without, "text"):
        memory.write_text(json.dumps({**content, "runs": dict.fromkeys(content["runs"], damage)}))
        assert planned(job) == [before], damage
    for damage in ("torn", json.dumps({**content, "sources": {"a.py": 3}}), json.dumps({**content, "inputs": None})):
        memory.write_text(damage)
        assert planned(job) == [before], damage


def test_what_is_remembered_is_forgotten_when_code_of_the_users_own_is_edited(
    planned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "written.py"
    monkeypatch.syspath_prepend(tmp_path)
    jobs = ["init._target_=written.fill_"], ["init=orthogonal"]
    folders = []
    for content in ("first = 1", "second = 2", "first = 1"):
        module.write_text(content)
        source_digest.cache_clear()  # as in another process
        assert planned(*jobs) == planned(*jobs)
        folders.append([job.folder for job in planned(*jobs)])
    assert folders[0][0] != folders[1][0]
    assert folders[0][1] == folders[1][1]
    assert folders[0] == folders[2]
    source_digest.cache_clear()


def test_the_estimate_is_made_from_runs_of_the_same_kind(planned: Any) -> None:
    jobs = [["model=mlp", f"seed={seed}"] for seed in range(5)] + [["model=lenet", f"seed={seed}"] for seed in range(2)]
    for job, seconds in zip(planned(*jobs), (1.0, 3.0, 11.0), strict=False):
        finish(job, seconds=seconds)
    assert seconds_left(planned(*jobs[:5])) == pytest.approx(2 * 5.0)  # two to do, as long as the mean
    assert seconds_left(planned(*jobs)) is None  # nobody knows how long LeNet takes
    assert seconds_left(planned(*jobs[:3])) == 0


def test_how_a_sweep_is_run_makes_no_other_runs(planned: Any, tmp_path: Path) -> None:
    """The same overrides are remembered once, whatever launches them and whether they are forced."""
    how = ["hydra/launcher=local", "force=true", "dry_run=false"]
    before = planned(["seed=0"])
    memory = tmp_path / "runs" / "main" / ".sweep" / "signatures.json"
    remembered = json.loads(memory.read_text())["runs"]
    for word in how:
        assert [job.folder for job in planned(["seed=0", word])] == [job.folder for job in before]
        assert json.loads(memory.read_text())["runs"] == remembered, word
