"""The types of what programs print as JSON, and of the JSON files of a study.

The schemas and the tables of docs/reference/json.md are made of them; tests compare them with real output.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, description="seconds")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Status = Literal["running", "finished", "diverged", "refused", "interrupted", "failed"]


def says(description: str) -> Any:
    return Field(description=description)


class Closed(BaseModel):
    """A key that is not listed does not occur."""

    model_config = ConfigDict(extra="forbid")


# python -m initbench.status --json


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


# python -m initbench.audit --json


class Finding(Closed):
    severity: Annotated[
        Literal["error", "warning", "note"],
        says("error: the model cannot be what its author meant; warning: it seldom is; note: it is unusual"),
    ]
    check: Annotated[str, says("name of the check")]
    parameter: Annotated[str, says("qualified name of the parameter or layer; empty for the whole model")]
    reason: str
    remedy: str


class Departure(Closed):
    role: str
    own: Annotated[str, says("what the parameters of this role are, in words")]
    theirs: Annotated[str, says("what the recipe would make of them")]


class Recipe(Closed):
    recipe: Annotated[str, says("name of an initializer")]
    followed: Annotated[Count, says("how many parameters are as the recipe makes them")]
    parameters: Annotated[Count, says("how many parameters with more than one element there are")]
    departures: list[Departure]


class Audit(Closed):
    """`python -m initbench.audit MODULE:FUNCTION --json`, `initbench.audit(model).to_json()`"""

    findings: Annotated[list[Finding], says("the most severe first")]
    recipe: Annotated[Recipe | None, says("the recipe that the model follows most; null if none can be applied")]


# attribution.json


class Sentence(Closed):
    kind: Annotated[str, says("see comparison.md; `CLAIMS` there have an error rate")]
    text: str
    commands: Annotated[list[str], says("to type, after the text")]


class Effect(Closed):
    effect: Annotated[str, says("`all parts`, the name of a part, or of two parts")]
    parts: Annotated[Count, says("0 for all parts, 1, or 2 for a pair")]
    others: Annotated[list[str], says("effects that this design cannot tell apart from it")]
    gain: Annotated[float, says("in the unit of the score; positive if better with b")]
    low: Annotated[float | None, says("of the 95% interval, which holds for all rows at once")]
    high: float | None
    p: Annotated[float, says("sign flips over seeds")]
    p_holm: Annotated[float, says("corrected over all rows")]
    is_shown: Annotated[bool, says("`p_holm` is below `level`")]


class Smallest(Closed):
    parts: list[str]
    share: Annotated[float | None, says("of the difference, estimated on seeds that took no part in the choice")]
    low: float | None
    high: float | None
    agreement: Annotated[Share | None, says("share of the seeds without which the same set is chosen")]


class Attribution(Closed):
    """`runs/STUDY/report/attribution.json`, written by `python -m initbench.attribution`"""

    a: Annotated[str, says("name of the first initializer")]
    b: Annotated[str, says("name of the second one")]
    parts: list[str]
    arms: Annotated[Count, says("combinations of parts that were trained")]
    resolution: Annotated[int | None, says("of the fraction of combinations; null if all were trained")]
    seeds: Annotated[Count, says("with a score in every arm")]
    level: Annotated[float, says("error rate of all claims together")]
    metric: Annotated[str, says("name of the score")]
    sentences: list[Sentence]
    effects: Annotated[list[Effect], says("all parts first")]
    smallest: Annotated[Smallest | None, says("the smallest set with most of the difference; null below three seeds")]


# record.json and study.lock


class Metric(Closed):
    name: Annotated[str, says("as in `val/<name>`")]
    label: Annotated[str, says("in words")]
    higher_is_better: bool
    is_share: Annotated[bool, says("from 0 to 1, shown as a percentage")]
    unit: str
    perfect: Annotated[float | None, says("best possible value")]
    chance: Annotated[float | None, says("value of a model that has learned nothing")]


class Target(Closed):
    reached: bool
    steps: Annotated[Count, says("when it was reached, or when the run ended")]
    seconds: Annotated[Seconds, says("the same, initialization and training together")]
    reason: Annotated[Literal["budget", "diverged"] | None, says("why it was not reached")]


class Diagnostics(Closed):
    steps: Annotated[list[Count], says("at which the network was diagnosed")]
    missing: Annotated[dict[str, Any], says("what could not be measured, and why")]


class Provenance(Closed):
    versions: Annotated[dict[str, str | None], says("of Python and packages")]
    git: Annotated[dict[str, Any] | None, says("the commit of the working directory, and whether it was changed")]
    hostname: str
    platform: str
    processor: str | None
    cores: Count
    accelerators: list[str]
    threads: Count
    command: Annotated[str, says("what was typed, without secrets")]
    pid: Count


class Record(Closed):
    """`runs/STUDY/RUN/record.json`"""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    status: Status
    reason: Annotated[str | None, says("why it did not finish")] = None
    traceback: Annotated[str, says("of a run that failed")] = ""
    study: str
    name: Annotated[str, says("model, data, initializer and seed")]
    init: Annotated[str, says("name of the initializer, with the keys that are not its defaults")]
    seed: Annotated[int | Any, says("a number unless the run was refused")]
    signature: Annotated[str, says("ten hex digits that identify the run")]
    setting: Annotated[str, says("ten hex digits: everything except initializer and seed")]
    sweep: Annotated[str | None, says("id of the sweep; null for a single run")] = None
    attempt: Annotated[Count, says("number of starts from the beginning")] = 0
    started_at: Annotated[str, says("ISO 8601, UTC")] = ""
    resumed_at: Annotated[list[str], says("ISO 8601, UTC")] = []
    finished_at: Annotated[str, says("ISO 8601, UTC")] = ""
    replicas: Annotated[Count, says("runs that were trained as one model")] = 1
    total_steps: Annotated[Count | None, says("planned")] = None
    steps: Annotated[Count, says("done")] = 0
    metric: Annotated[Metric | None, says("by what the run is judged")] = None
    results: Annotated[
        dict[str, float | None],
        says("by names such as `test/accuracy`: the last and the best validation, the test, `chance_loss`"),
    ] = {}
    targets: Annotated[dict[str, Target], says("by the value of the metric, as text")] = {}
    seconds_init: Annotated[Seconds, says("seconds")] = 0
    seconds_train: Annotated[Seconds, says("seconds, without validation")] = 0
    seconds_evaluation: Annotated[Seconds, says("seconds of validation")] = 0
    seconds_compile: Annotated[Seconds, says("seconds")] = 0
    seconds_diagnostics: Annotated[Seconds, says("seconds")] = 0
    diagnostics: Diagnostics | None = None
    init_numbers: Annotated[dict[str, float | None], says("what the initializer reports")] = {}
    init_batch: Annotated[int | None, says("number of the batch that it saw; null if it needs none")] = None
    micro_batches: Annotated[Count, says("parts into which a batch was divided to save memory")] = 1
    initial_weights: Annotated[str, says("digest of the weights after initialization")] = ""
    device: str = ""
    provenance: Provenance | None = None
    config: Annotated[dict[str, Any], says("the resolved config: [config.md](config.md)")]


class RaceRules(Closed):
    level: float
    most_seeds: Count
    budget: int | str | None
    strict: bool
    per_task: bool


class Plan(Closed):
    inits: list[str]
    workloads: Annotated[list[str], says("digests")]
    seeds: Annotated[list[int], says("none in a race")]
    targets: Annotated[list[float], says("values of the metric")]
    margin: float | None
    reference: str | None
    race: Annotated[RaceRules | None, says("with `until=sure`")]
    runs_before: Annotated[Count, says("runs of the study that had ended when it was planned")]
    written_at: Annotated[str, says("ISO 8601, UTC")]
    sweeps: Annotated[list[str], says("ids of the sweeps that ran it")]


class StudyLock(Closed):
    """`runs/STUDY/study.lock`"""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    plans: Annotated[list[Plan], says("that of the latest sweep last")]


# python -m initbench.report --json, and verdict.json; docs/explanation/comparison.md explains its keys.


class VerdictMetric(Closed):
    name: str
    higher_is_better: bool
    unit: Annotated[str, says("of differences, such as `points`")]


class Overall(Closed):
    init: str
    mean: float | None
    low: float | None
    iqm: float | None
    high: float | None
    best: float | None
    rank: float | None


class Difference(Closed):
    pairs: Annotated[Count, says("of runs")]
    seeds: Count
    difference: Annotated[float | None, says("of scores; positive if the first is better")]
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_skew: float | None
    p_equal: float | None
    p_equal_holm: float | None


class Pair(Difference):
    a: str
    b: str


class AgainstReference(Difference):
    init: str


class Next(Closed):
    inits: list[str]
    swept: list[str]
    difference: float | None
    is_margin: bool
    seeds: Count
    more: Count
    runs: Count
    seconds: Seconds | None
    commands: list[str]


class Compared(Closed):
    workloads: list[str]
    initializers: list[str]
    seeds: tuple[Count, Count]
    level: float
    rates_are_swapped: bool
    at_chosen_rates: list[str]
    unmatched_rates: list[str]
    winner: str | None
    leader: str | None
    least_lead: float | None
    better: list[str]
    worse: list[str]
    equal: list[str]
    interchangeable: bool
    ties: list[str]
    open: list[str]
    apart: list[str]
    apart_above: list[str]
    best_by_workload: dict[str, str]
    p_differs_between_workloads: float | None
    overall: list[Overall]
    pairs: list[Pair]
    against_reference: list[AgainstReference]
    next: Next | None


class Racer(Closed):
    init: str
    mean: float | None


class Exit(Closed):
    init: str
    seeds: Count
    by: str
    lead: float
    in_every_run: bool


class Look(Closed):
    seeds: Count
    best: str
    leads: dict[str, float]
    bounds: dict[str, float | None]


class VerdictRace(Closed):
    workloads: list[str]
    initializers: list[str]
    refused: list[str]
    level: float
    strict: bool
    most_seeds: Count
    seeds: Count
    runs: Count
    is_over: bool
    winner: str | None
    all_equal: bool
    inside: list[Racer]
    out: list[Exit]
    looks: list[Look]


class Ranked(Closed):
    init: str
    lr: Annotated[float | None, says("learning rate, if it is the same for all its runs")]
    runs: Count
    finished: Count
    diverged: Count
    refused: Count
    failed: Count
    scored: Count
    learned: Count | None
    learned_low: Share | None
    learned_high: Share | None
    mean: float | None
    half_width: float | None
    iqm: float | None
    iqm_low: float | None
    iqm_high: float | None
    hit_rate: Share | None
    median_steps: float | None


class Ranking(Closed):
    workload: str
    target: float | None
    ranking: list[Ranked]


class Time(Closed):
    init: str
    runs: Count
    diverged: Count
    hit_rate: Share
    hit_low: Share
    hit_high: Share
    median_steps: float | None
    median_after: Annotated[float | None, says("it lies after this step and at or before `median_steps`")]
    median_seconds: Seconds | None
    mean_steps: float | None
    mean_low: float | None
    mean_high: float | None
    is_slower: bool
    p_alone: float | None
    p: float | None
    p_first: float | None


class Times(Closed):
    workload: str
    target: float
    times: list[Time]


class NewMean(Closed):
    init: str
    mean: float
    low: float | None
    high: float | None
    new_low: float | None
    new_high: float | None


class NewPair(Closed):
    a: str
    b: str
    seeds: Count
    difference: float
    low: float | None
    high: float | None
    new_low: float | None
    new_high: float | None


class NewData(Closed):
    workload: str
    samples: Count
    share: float | None
    share_low: float | None
    share_high: float | None
    means: list[NewMean]
    pairs: list[NewPair]


class Component(Closed):
    init: str
    part: str
    variance: float
    share: float | None
    low: float | None
    high: float | None


class Crossed(Closed):
    workload: str
    levels: dict[str, Count]
    components: list[Component]
    missing: dict[str, Count]


class LeftOut(Closed):
    name: str
    reason: str


class Problem(Closed):
    kind: str
    text: str
    is_serious: bool


class Verdict(Closed):
    """`python -m initbench.report runs/STUDY --json`, `verdict.json`"""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    metric: VerdictMetric
    margin: float | None
    reference: str | None
    sentences: list[Sentence]
    comparisons: list[Compared]
    races: list[VerdictRace]
    workloads: list[Ranking]
    times: list[Times]
    new_data: list[NewData]
    crossed: list[Crossed]
    left_out: list[LeftOut]
    problems: list[Problem]
