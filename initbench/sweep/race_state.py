"""What a sweep says of its race: a line for each initializer that leaves it, and its state for the live view."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initbench.analysis.race.raced import Raced


def state(race: "Raced", workload: str = "", *, is_spent: bool = False) -> dict[str, Any]:
    """A race for `.sweep/plan.json`, from which the live view shows it.

    workload: its name, where each has a race of its own; is_spent: the budget allows no further round.
    leads: of the best over each of the others that are in, with the lead at which that one is out, in words; saved: the
    runs that have been spared so far, as nobody runs for those that are out.
    """
    course, names, metric = race.course, race.inits, race.metric
    look = course.looks[-1] if course.looks else None
    leads = {}
    if look is not None and not course.is_over:
        for init, lead in look.leads.items():
            bound = look.bounds[init]
            leads[names[init]] = [metric.difference(lead), "" if math.isinf(bound) else metric.difference(bound)]
    return {
        "workload": workload,
        "seeds": course.seeds,
        "most_seeds": course.rules.most_seeds,
        "inside": [names[init] for init in course.inside],
        "out": {names[of.init]: of.seeds for of in course.exits},
        "best": None if look is None else names[look.best],
        "leads": leads,
        "saved": race.saved,
        "is_over": course.is_over or is_spent,
    }


def news(raced: Sequence["Raced"], workloads: Sequence[str], told: set[str]) -> Iterator[str]:
    """A line for each initializer that has left a race and is not `told` yet; workloads: as in `state`."""
    for race, workload in zip(raced, workloads, strict=True):
        where = f" on {workload}" if workload else ""
        for out in race.course.exits:
            every = " in every run" if out.is_apart else ""
            whom, by = race.inits[out.init], race.inits[out.by]
            lead = race.metric.difference(out.lead)
            line = f"race{where}: after {out.seeds} seeds {whom} is out: behind {by}{every}, by {lead} on average"
            if line not in told:
                told.add(line)
                yield line
