"""record.json and study.lock."""

from typing import Annotated, Any, Literal

from pydantic import Field

from json_models.shared import Closed, Count, Seconds, Status, says


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
    resumed_at: Annotated[list[str], says("ISO 8601, UTC")] = []  # noqa: RUF012 - pydantic copies defaults
    finished_at: Annotated[str, says("ISO 8601, UTC")] = ""
    replicas: Annotated[Count, says("runs that were trained as one model")] = 1
    total_steps: Annotated[Count | None, says("planned")] = None
    steps: Annotated[Count, says("done")] = 0
    metric: Annotated[Metric | None, says("by what the run is judged")] = None
    results: Annotated[
        dict[str, float | None],
        says("by names such as `test/accuracy`: the last and the best validation, the test, `chance_loss`"),
    ] = {}  # noqa: RUF012 - as above
    targets: Annotated[dict[str, Target], says("by the value of the metric, as text")] = {}  # noqa: RUF012 - as above
    seconds_init: Annotated[Seconds, says("seconds")] = 0
    seconds_train: Annotated[Seconds, says("seconds, without validation")] = 0
    seconds_evaluation: Annotated[Seconds, says("seconds of validation")] = 0
    seconds_compile: Annotated[Seconds, says("seconds")] = 0
    seconds_diagnostics: Annotated[Seconds, says("seconds")] = 0
    diagnostics: Diagnostics | None = None
    init_numbers: Annotated[dict[str, float | None], says("what the initializer reports")] = {}  # noqa: RUF012 - as above
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
