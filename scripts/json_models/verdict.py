"""`python -m initbench.report --json`, and verdict.json; docs/explanation/comparison.md explains its keys."""

from typing import Annotated, Literal

from pydantic import Field

from json_models.shared import Closed, Count, Seconds, Sentence, Share, says


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
