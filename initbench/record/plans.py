"""What was planned before it was run: `study.lock` in the folder of a study, a list of plans.

A sweep writes its plan before its first run. The same command typed again plans nothing new; one that asks for more
seeds or other initializers after runs have ended adds a plan, with the number of these runs. That of the
latest sweep is last. So a report can say whether a study was run as planned, and how often its results had been seen
before seeds were added.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from initbench.record.damage import (
    SCHEMA,
    Damaged,
    NewerRecord,
    check_schema,
    mapping,
    read_json,
    readable,
    set_aside,
    tell,
    wrong,
)
from initbench.record.store import atomic_write, now

NAME = "study.lock"
_REMEDY = "the report cannot say what was planned; the next sweep sets the file aside and writes it again"


@dataclass(frozen=True)
class Race:
    """How seeds are added until it is sure which initializer is the best: see `initbench.analysis.race.rules`."""

    level: float
    most_seeds: int
    budget: int | str | None
    strict: bool
    per_task: bool


@dataclass(frozen=True)
class Plan:
    """What a sweep set out to run.

    inits: by the names of tables; workloads: by their digests; seeds: that are scored, empty if `race` decides how
    many; targets: values of the metric, the time to which is measured; margin, reference: of the report.
    """

    inits: tuple[str, ...]
    workloads: tuple[str, ...]
    seeds: tuple[int, ...]
    targets: tuple[float, ...]
    margin: float | None
    reference: str | None
    race: Race | None = None
    runs_before: int = 0  # of the study that had ended by then
    written_at: str = ""
    sweeps: tuple[str, ...] = ()  # the ids of those that ran it, which their records have

    @property
    def content(self) -> "Plan":
        """What decides about claims: the plan but for when it was made, and how much it may cost."""
        race = None if self.race is None else replace(self.race, budget=None)
        return replace(self, race=race, runs_before=0, written_at="", sweeps=())

    def looks_again_at(self, earlier: "Plan") -> bool:
        """Whether its verdict is a further one on runs of an earlier plan: it has more seeds for them, or is a race."""
        shared = set(self.inits) & set(earlier.inits)
        is_same = len(shared) > 1 and not set(self.workloads).isdisjoint(earlier.workloads)
        return is_same and (bool(self.race or earlier.race) or not set(self.seeds) <= set(earlier.seeds))


def read_plans(study: Path) -> list[Plan]:
    """The plans of a study, that of its latest sweep last; none where none was written, or what was cannot be read."""
    content = readable(read_json, study / NAME, _check, _REMEDY)
    return [] if content is None else [_plan(each) for each in content["plans"]]


def add_plan(study: Path, plan: Plan, runs_before: int, sweep: str | None = None) -> None:
    """Write down that a sweep, by its id, runs a plan, which may be one that the study has.

    Before any run has ended a new plan takes the place of the last one: nobody has seen a result yet. What a newer
    initbench wrote stays as it is.
    """
    path = study / NAME
    try:
        content = read_json(path, _check, _REMEDY)
    except NewerRecord as newer:
        tell(newer)
        return
    except Damaged as damaged:
        tell(damaged)
        set_aside(path)
        content = None
    plans = [_plan(each) for each in content["plans"]] if content else []
    sweeps = () if sweep is None else (sweep,)
    if plan.content in (contents := [earlier.content for earlier in plans]):
        known = plans.pop(contents.index(plan.content))
        latest = replace(known, race=plan.race, sweeps=(*known.sweeps, *sweeps))
    else:
        latest = replace(plan, runs_before=runs_before, written_at=now(), sweeps=sweeps)
        plans = plans if runs_before else plans[:-1]
    written = {"schema": SCHEMA, "plans": [asdict(each) for each in (*plans, latest)]}
    atomic_write(path, json.dumps(written, indent=2).encode())


def looks_before(study: Path, plan: Plan, runs_before: int) -> int:
    """How often the runs of a plan that a sweep is about to run have been looked at before."""
    plans = read_plans(study)
    known = next((earlier for earlier in plans if earlier.content == plan.content), None)
    others = [earlier for earlier in plans if earlier.content != plan.content]
    return len(looks([*others, known or replace(plan, runs_before=runs_before)]))


def looks(plans: Sequence[Plan]) -> list[Plan]:
    """The plans whose results had been seen before, each one before seeds were added by the next; one for each look.

    Plans that add initializers with the same seeds share a look, so the longest such chain of plans counts. It may be
    anywhere in the study, as all runs of it are judged after a sweep of fixed seeds; a race is judged by its own only.
    """
    if not plans:
        return []
    chains: dict[Plan, list[Plan]] = {}
    for plan in sorted(plans, key=lambda plan: plan.runs_before):
        seen = [
            earlier for earlier in chains if earlier.runs_before < plan.runs_before and plan.looks_again_at(earlier)
        ]
        chains[plan] = max(([*chains[earlier], earlier] for earlier in seen), key=len, default=[])
    return chains[plans[-1]] if plans[-1].race else max(chains.values(), key=len)


def _plan(content: dict[str, Any]) -> Plan:
    plan: dict[str, Any] = {key: tuple(of) if isinstance(of, list) else of for key, of in content.items()}
    return Plan(**{**plan, "race": None if plan["race"] is None else Race(**plan["race"])})


def _check(content: object) -> None:
    """Raise ValueError for what is no list of plans."""
    check_schema(mapping(content, "it").get("schema"))
    plans = mapping(content, "it").get("plans")
    if not isinstance(plans, list):
        raise wrong("plans", plans, "a list")
    kinds: dict[str, Any] = {"inits": str, "workloads": str, "seeds": int, "targets": int | float, "sweeps": str}
    for each in plans:
        plan = mapping(each, "a plan")
        if unknown := {field.name for field in fields(Plan)} ^ plan.keys():
            raise wrong("a plan", sorted(unknown), "all keys of a plan and no other")
        for key, kind in kinds.items():
            if not isinstance(plan[key], list) or not all(isinstance(item, kind) for item in plan[key]):
                raise wrong(key, plan[key], "a list")
        kinds_of_one = {"margin": int | float | None, "runs_before": int, "reference": str | None, "written_at": str}
        for key, kind in kinds_of_one.items():
            if not isinstance(plan[key], kind):
                raise wrong(key, plan[key], "what a sweep writes")
        if plan["race"] is not None:
            _check_race(mapping(plan["race"], "race"))


def _check_race(race: Any) -> None:
    kinds: dict[str, Any] = {
        "level": float, "most_seeds": int, "budget": int | str | None, "strict": bool, "per_task": bool,
    }  # fmt: skip  # several values to a line
    if race.keys() != kinds.keys() or not all(isinstance(race[key], kind) for key, kind in kinds.items()):
        raise wrong("race", race, f"a mapping with {', '.join(kinds)}")
    if not (0 < race["level"] < 1 and race["most_seeds"] > 0):
        raise wrong("race", race, "a level in (0, 1) and a number of seeds")
