"""docs/reference/json.md and its schemas are those of the code, and real output is what they say."""

import json
import sys
from pathlib import Path
from typing import Any

import json_reference
import jsonschema
import pytest
import torch
from frames import frame, record
from programs import FAST, command, run
from records import folder_name, write, write_plan

import initbench
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.verdict import Verdict
from initbench.record.plans import Plan, Race
from initbench.status.study import Study
from initbench.status.summary import as_dict, summarize


def validate(name: str, content: Any) -> None:
    """Raises if the content, as JSON, is not what the schema of that name says."""
    schema = json.loads((json_reference.DOCS / "schemas" / f"{name}.json").read_text())
    jsonschema.validate(json.loads(json.dumps(content)), schema)


@pytest.mark.parametrize("path", json_reference.pages(), ids=lambda path: path.name)
def test_the_page_and_the_schemas_are_current(path: Path) -> None:
    """Else: python scripts/json_reference.py"""
    assert path.read_text() == json_reference.pages()[path]


def test_a_schema_forbids_what_is_not_listed() -> None:
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        validate("audit", {"findings": [], "recipe": None, "colour": 1})
    with pytest.raises(jsonschema.ValidationError, match="severity"):
        validate("audit", {"findings": [{"check": "", "parameter": "", "reason": "", "remedy": ""}], "recipe": None})


def test_a_real_study(tmp_path: Path) -> None:
    swept = command(tmp_path, *FAST, "-m", "init=ones,fixup", "seed=0,1", "study=s")
    assert swept.returncode == 2  # an MLP has no residual branches
    study = tmp_path / "runs" / "s"
    records = [json.loads(path.read_text()) for path in study.glob("*/record.json")]
    assert {each["status"] for each in records} == {"finished", "refused"}
    for each in records:
        validate("record", each)
    validate("study_lock", json.loads((study / "study.lock").read_text()))
    for module, name in (("status", "status"), ("report", "verdict")):
        validate(
            name, json.loads(run(tmp_path, [sys.executable, "-m", f"initbench.{module}", "runs/s", "--json"]).stdout)
        )
    validate("verdict", json.loads((study / "report" / "verdict.json").read_text()))


def test_the_status_of_a_study_in_progress(tmp_path: Path) -> None:
    write(tmp_path, "zeros")
    write(tmp_path, "ones", status="failed", reason="out of luck")
    write(tmp_path, "eye", status="running")
    race = {
        "workload": "",
        "seeds": 5,
        "most_seeds": 30,
        "inside": ["zeros"],
        "out": {"eye": 5},
        "best": "zeros",
        "leads": {"eye": ["1.2 points", "0.9 points"]},
        "saved": 25,
        "is_over": False,
    }
    write_plan(tmp_path, folder_name("lsuv"), races=[race])
    found = as_dict(summarize(Study(tmp_path).read(), 0.0))
    assert found["troubles"]
    assert found["counts"]["waiting"] == 1
    validate("status", found)


def comparison(**asked: Any) -> Comparison:
    places = [(init, seed, depth) for init in "abc" for seed in range(6) for depth in (1, 2)]
    rows = [
        record(init, seed, 0.8 + seed / 100 - "abc".index(init) * seed / 500, model={"depth": depth}, steps=20)
        for init, seed, depth in places
    ]
    return Comparison(frame(*rows, record("c", 9, status="failed"), record("a", 8, 0.1, status="diverged")), **asked)


@pytest.mark.parametrize("asked", [{}, {"reference": "a"}, {"margin": 30.0}], ids=str)
def test_verdicts(asked: dict[str, Any]) -> None:
    found = Verdict(comparison(**asked)).to_dict()
    assert found["comparisons"][0]["pairs"]
    assert bool(found["comparisons"][0]["against_reference"]) == ("reference" in asked)
    assert found["times"]
    assert found["problems"]
    validate("verdict", found)


def test_the_verdict_of_a_race() -> None:
    runs = frame(*(record(init, seed, 0.5 + 0.4 * (init == "a") + seed / 1000) for init in "abc" for seed in range(6)))
    rules = Race(0.05, 30, None, strict=False, per_task=False)
    workloads = tuple(dict.fromkeys(runs["workload_id"]))
    runs.attrs["plans"] = [Plan(("a", "b", "c"), workloads, (), (), None, None, race=rules)]
    found = Verdict(Comparison(runs)).to_dict()
    assert found["races"][0]["out"]
    assert found["races"][0]["looks"]
    validate("verdict", found)


def test_the_verdict_of_crossed_seeds() -> None:
    made = []
    for weights, order in [(weights, order) for weights in range(4) for order in range(4)]:
        one = record("a", 0, 0.8 + weights / 100 + order / 1000)
        one["config"]["seeds"] = {"weights": weights, "order": order}
        made.append({**one, "signature": f"{weights}{order}"})
    found = Verdict(Comparison(frame(*made))).to_dict()
    assert found["crossed"][0]["components"]
    validate("verdict", found)


def test_audits() -> None:
    sound = initbench.audit(lambda: torch.nn.Linear(8, 4))
    validate("audit", json.loads(sound.to_json()))
    fixed = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    torch.nn.init.constant_(fixed[0].weight, 50.0)
    found = initbench.audit(fixed)
    assert found.findings
    assert found.recipe is not None
    validate("audit", json.loads(found.to_json()))
