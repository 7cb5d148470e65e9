"""`python -m initbench.status --json`."""

from typing import Annotated, Literal

from json_models.shared import Closed, Count, says


class StatusRow(Closed):
    init: Annotated[str, says("name of the initializer, with the keys that are not its defaults")]
    median: Annotated[float | None, says("over finished runs, of the best validation; in the unit of the metric")]
    best: Annotated[float | None, says("the best validation of finished and running runs")]
    counts: Annotated[dict[str, Count], says("number of runs by status")]


class StatusSetting(Closed):
    title: Annotated[str, says("model, data, optimizer and number of steps, in words")]
    rows: Annotated[list[StatusRow], says("one for each initializer, the best first")]


class RunningRun(Closed):
    folder: Annotated[str, says("name of its folder in the study")]
    init: str
    since: Annotated[float | None, says("when it began or resumed: seconds since 1970-01-01 UTC")]
    host: Annotated[str | None, says("the machine")]
    step: Annotated[float | None, says("steps done, as far as its history says")]
    total_steps: Annotated[float | None, says("steps planned")]
    best: Annotated[float | None, says("its best validation so far")]


class Trouble(Closed):
    status: Literal["failed", "refused"]
    reason: str
    folders: Annotated[list[str], says("the runs that have this reason")]


class Estimate(Closed):
    at_once: Annotated[Count, says("how many runs are trained at the same time")]
    seconds_each: Annotated[float | None, says("mean seconds of one run; null if unknown")]
    seconds_left: Annotated[float | None, says("until all planned runs have ended; null if unknown or nothing runs")]


class StatusRace(Closed):
    workload: Annotated[str, says("its name; empty for one race over all workloads")]
    seeds: Annotated[Count, says("so far")]
    most_seeds: Count
    inside: Annotated[list[str], says("initializers that are still in the race")]
    out: Annotated[dict[str, Count], says("after how many seeds an initializer was out")]
    best: str | None
    leads: Annotated[
        dict[str, tuple[str, str]],
        says("for each other initializer, in words: the lead of the best, and the lead at which the other is out"),
    ]
    saved: Annotated[int, says("runs that were not needed")]
    is_over: bool


class StudyStatus(Closed):
    """`python -m initbench.status runs/STUDY --json`"""

    counts: Annotated[
        dict[str, Count], says("number of runs by status; `waiting` is for planned ones without a record")
    ]
    planned: Annotated[Count | None, says("runs that the latest sweep planned; null if unknown")]
    over: Annotated[Count, says("how many of the planned runs, or of all if there is no plan, have ended")]
    abandoned: Annotated[bool, says("runs are waiting, but the sweep has ended and nothing runs")]
    races: Annotated[list[StatusRace], says("with `until=sure`")]
    estimate: Estimate
    settings: Annotated[list[StatusSetting], says("runs that differ only in initializer and seed; the latest last")]
    running: Annotated[list[RunningRun], says("the oldest first")]
    troubles: Annotated[list[Trouble], says("why runs failed or were refused, the most frequent reason first")]
    unreadable: Annotated[list[str], says("folders whose record cannot be read")]
