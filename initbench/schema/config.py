"""What a config may be: every key that is ours, with its type, range, choices and meaning.

pydantic and not Hydra's structured configs, which know neither ranges nor unions, make no JSON schema, and cannot
express a group to whose keys a user adds his own. What an option adds to these keys (a model's depth, an
initializer's gain) is declared by the signature of its `_target_` (initbench/schema/target.py).

Types are strict, as YAML has types of its own: text is no number, and true is not 1.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from annotated_types import Ge, Lt, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)

from initbench.metric import LARGEST
from initbench.registry import LIGHTNING_TASK
from initbench.schema.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    OpenFraction,
    PositiveFloat,
    PositiveInt,
    Threads,
)

Seed = Annotated[int, Ge(0), Lt(2**32)]
Epochs = Annotated[int, Ge(-1)]
Policy = float | str | dict[str, Any] | None
Precision = Literal[
    "16-mixed", "16-true", "32-true", "64-true", "bf16-mixed", "bf16-true", "transformer-engine",
    "transformer-engine-float16", "16", "32", "64", "bf16", 16, 32, 64,
]  # fmt: skip  # several values to a line

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}  # in the units that the budget of a race may have
DURATION = rf"(?P<number>\d+(\.\d+)?)(?P<unit>{'|'.join(SECONDS)})"

# They change how many steps a run has, what a step is, or when it is evaluated: then runs cannot be compared.
_NOT_OF_THE_TRAINER = (
    "accumulate_grad_batches",
    "fast_dev_run",
    "limit_test_batches",
    "limit_train_batches",
    "limit_val_batches",
    "max_time",
    "overfit_batches",
)


def folder_name(study: str) -> str:
    if study in ("", ".", "..") or not set(study).isdisjoint("/\\\0\n"):
        raise ValueError("must be the name of one folder, without / and other than . and ..")
    if len(study.encode()) > 255:
        raise ValueError("must be the name of a folder, at most 255 bytes")
    return study


def _two_different(factors: list[float]) -> list[float]:
    if len(set(factors)) < 2:
        raise ValueError("must have at least two different positive numbers")
    return factors


def _none_twice(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("must not have the same number twice")
    return values


class Part(BaseModel):
    """A mapping of a config whose keys are all known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Option(BaseModel):
    """A group of the config: keys of ours, and those that the chosen option adds."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)
    name: Annotated[str, MinLen(1)] = Field(description="its name in tables: that of the option's file")
    _node: dict[str, Any]

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, node: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        option = validate(node)
        option._node = node
        return option

    @property
    def node(self) -> dict[str, Any]:
        """The mapping as it was composed, with `_target_` and its arguments: a 0 is no 0.0 here."""
        return self._node

    @property
    def added(self) -> dict[str, Any]:
        """The keys that are not ours."""
        return self.model_extra or {}


class Init(Option):
    """What every initializer shares. A policy is a number (a constant), `default` (the module's own
    reset_parameters), the name of an initializer, a mapping {name: orthogonal, gain: 2}, or null (like the weights)."""

    target: str | None = Field(None, alias="_target_", description="the function that fills tensors or treats a model")
    weight: Policy = Field("default", description="policy for weights, if the option does not fill them itself")
    bias: Policy = Field(description="policy for biases")
    norm_scale: Policy = Field(description="policy for the scales of norms")
    norm_shift: Policy = Field(description="policy for the shifts of norms")
    recurrent_input: Policy = Field(description="policy for recurrent weights of the input, gate by gate")
    recurrent_hidden: Policy = Field(description="policy for recurrent weights of the state, gate by gate")
    attention_in: Policy = Field(description="policy for query, key and value, each by itself")
    embedding: Policy = Field(description="policy for embeddings")
    other: Policy = Field(description="policy for class tokens, position embeddings, layer scales, PReLU slopes")
    rules: list[dict[str, Any]] = Field(description="policies for single layers; the first that matches wins")


class Target(Option):
    """A group all of whose other keys are arguments of its `_target_`."""

    target: str = Field(alias="_target_", description="the class or function that is called with the other keys")


class Own(Option):
    """A group that a LightningModule of the user's own takes the place of; its name is for tables."""


class Data(Target):
    batch_size: PositiveInt = Field(description="samples of one training step, over all devices")
    val_size: PositiveInt | OpenFraction = Field(description="training samples held out: a number or a fraction")
    val_every_n_steps: PositiveInt = Field(description="training steps between validations")
    targets: Annotated[list[float], AfterValidator(_none_twice)] = Field(
        description="values of the metric in validation, such as accuracies; the time to reach each is measured"
    )
    flip: bool = Field(description="mirror each training image with probability 1/2")
    crop_padding: NonNegativeInt = Field(description="pixels of reflected padding before a random crop")
    cutout: NonNegativeInt = Field(description="side in pixels of a random square that is blanked")
    stream: Literal["auto"] | bool = Field(description="auto: stream samples from disk if they exceed max_resident_gb")
    max_resident_gb: NonNegativeFloat = Field(description="in 1e9 bytes")
    num_workers: NonNegativeInt = Field(description="threads of the streaming loader")


class Optimizer(Target):
    lr: NonNegativeFloat = Field(description="peak learning rate")
    weight_decay: NonNegativeFloat = Field(0.0, description="as the optimizer defines it")
    decay: Literal["weights", "all"] = Field("weights", description="what weight_decay acts on; all: norms, biases too")
    lr_multipliers: dict[str, NonNegativeFloat] | None = Field(None, description="factors of lr by role")


class Trainer(Option):
    """Any other argument of lightning.Trainer may be added."""

    accelerator: Literal["auto", "cpu", "cuda", "gpu", "mps", "tpu"] = Field(description="auto: the best available")
    devices: PositiveInt = Field(description="processes on this machine")
    precision: Precision = Field(description="as in lightning.Trainer")
    float32_matmul_precision: Literal["highest", "high", "medium"] = Field(description="high: TensorFloat32")
    max_epochs: Epochs | None = Field(description="epochs; -1 or null: only max_steps counts")
    max_steps: Epochs | None = Field(description="optimizer steps; -1 or null: only max_epochs counts")
    log_every_n_steps: PositiveInt = Field(description="number of steps over which a logged loss is averaged")
    gradient_clip_val: NonNegativeFloat | None = Field(description="largest norm of the gradient")
    on_oom: Literal["fail", "halve"] = Field(description="halve: out of memory, try again with half batches")
    compile: bool = Field(description="torch.compile")
    channels_last: bool = Field(description="memory format of convolutions")
    deterministic: bool | Literal["warn"] = Field(
        False, description="same config and seed, same bits on the same machine"
    )
    threads: Threads | None = Field(description="CPU threads; null: one per core")

    @model_validator(mode="before")
    @classmethod
    def _steps_stay_steps(cls, keys: Any) -> Any:
        for key in _NOT_OF_THE_TRAINER:
            if isinstance(keys, dict) and key in keys:
                raise ValueError(
                    f"trainer.{key} would change what a step is worth; max_epochs, max_steps and the data decide"
                )
        return keys

    @model_validator(mode="after")
    def _something_is_trained(self) -> Self:
        if 0 in (self.max_epochs, self.max_steps) or {self.max_epochs, self.max_steps} <= {None, -1}:
            bounds = f"trainer.max_epochs={self.max_epochs} and max_steps={self.max_steps}"
            raise ValueError(f"{bounds}: nothing would be trained")
        return self


class Diagnostics(Part):
    name: Annotated[str, MinLen(1)] = Field(description="the name of the option's file")
    steps: Literal["powers_of_two"] | list[NonNegativeInt] = Field(description="after so many updates of the weights")
    every: PositiveInt | None = Field(description="also at every multiple of this number of steps")
    curvature: bool = Field(
        False, description="also measure the curvature of the loss, which takes as long as dozens of steps"
    )
    print: bool = Field(description="show step 0 as a table")

    @model_validator(mode="after")
    def _curvature_has_steps(self) -> Self:
        if self.curvature and not self.steps and self.every is None:
            raise ValueError("diagnostics.curvature=true needs steps: choose diagnostics=init or schedule as well")
        return self


class Seeds(Part):
    weights: Seed | None = Field(default=None, description="what the initializer and the model's constructor draw")
    order: Seed | None = Field(default=None, description="order of the samples, and dropout")
    augmentation: Seed | None = Field(default=None, description="flips, crops and cutouts")
    split: Seed | None = Field(
        default=None, description="which training samples are held out; null: the same in every run, whatever its seed"
    )


class DrawnFrom(NamedTuple):
    """The seed of each source of randomness; that of the split is None for the one that all runs share."""

    weights: int
    order: int
    augmentation: int
    split: int | None


class Report(Part):
    margin: Annotated[PositiveFloat, Lt(LARGEST)] | None = Field(
        description="the smallest difference that matters, in percentage points or the unit of the metric"
    )
    reference: str | None = Field(description="an initializer to compare with each of the others; null: all pairs")


class Tuning(Part):
    lr_factors: Annotated[list[PositiveFloat], AfterValidator(_two_different)] = Field(
        description="factors on optimizer.lr"
    )
    extensions: NonNegativeInt = Field(description="how often to extend the grid if the best rate is at an end")
    seeds: Annotated[list[Seed], MinLen(1), AfterValidator(_none_twice)] = Field(
        description="these choose the rate and are not scored"
    )


def _budget(budget: object) -> object:
    is_count, is_time = type(budget) is int, isinstance(budget, str) and re.fullmatch(DURATION, budget)
    if budget is not None and not is_count and not is_time:
        raise ValueError("must be a number of runs, such as 200, or a time, such as 90min or 2h")
    if isinstance(budget, int) and budget < 1:
        raise ValueError("must be at least 1 run")
    return budget


class Race(Part):
    level: OpenFraction = Field(description="how often, at most, the best initializer drops out")
    most_seeds: PositiveInt = Field(
        description="the most seeds; if nothing is decided by then, the race ends undecided"
    )
    budget: Annotated[int | str | None, BeforeValidator(_budget)] = Field(
        description="no round begins that would exceed this many runs (200), or after this time (2h)"
    )
    strict: bool = Field(description="whatever drops out is shown to be worse than what beat it; takes more seeds")
    per_task: bool = Field(description="each workload has a race of its own; false: one race over all of them")
    runs_per_round: PositiveInt | None = Field(
        description="a round adds as many seeds as it takes for this many runs; null: 8, or one for each slot of the "
        "launcher if it has more"
    )


class AnyConfig(Part):
    """A config, as it is composed of conf/config.yaml, one option of each group, and what was typed."""

    init: Init
    model: Option
    data: Option
    task: Target
    optimizer: Option
    scheduler: Option
    trainer: Trainer
    logger: Target
    diagnostics: Diagnostics
    study: Annotated[str, AfterValidator(folder_name)] = Field(description="a folder of runs that are compared")
    runs_dir: Annotated[str, MinLen(1)] = Field(description="records are in <runs_dir>/<study>/")
    data_dir: Annotated[str, MinLen(1)] = Field(description="where datasets are looked for and downloaded to")
    seed: Seed = Field(description="weights, data order and augmentation derive from it")
    seeds: Seeds = Field(Seeds(), description="each source of randomness apart from the others; null: like seed")
    dry_run: bool = Field(description="print what would run; run nothing")
    force: bool = Field(description="train finished runs again")
    checkpoint_seconds: NonNegativeFloat = Field(description="seconds between checkpoints")
    tuning: Tuning | None = Field(description="how each initializer gets a learning rate of its own; experiment=tuned")
    until: Literal["sure"] | None = Field(
        description="sure: add seeds until it is known which initializer to use, by the rules of race"
    )
    race: Race
    report: Report
    objective: str | None = Field(description="the number of the record that hydra/sweeper=optuna optimizes")
    print_init: bool = Field(description="print the table of what was initialized, and how")
    command: str = Field("", description="what to type for this run; written by initbench")
    source: dict[str, str] = Field({}, description="digests of your own code, by group; written by initbench")

    @property
    def drawn_from(self) -> DrawnFrom:
        own = (self.seeds.weights, self.seeds.order, self.seeds.augmentation)
        weights, order, augmentation = (self.seed if seed is None else seed for seed in own)
        return DrawnFrom(weights, order, augmentation, self.seeds.split)


class Config(AnyConfig):
    """A config whose model is trained by us."""

    model: Target
    data: Data
    optimizer: Optimizer
    scheduler: Target


class ModuleConfig(AnyConfig):
    """A config of a LightningModule of the user's own, which brings its model, data, loss and optimizer."""

    model: Own
    data: Own
    optimizer: Own
    scheduler: Own

    @model_validator(mode="before")
    @classmethod
    def _module_brings_the_rest(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        for group in ("model", "data", "optimizer", "scheduler"):
            node = config.get(group) or {}
            for key in node.keys() - {"name"}:
                is_chosen = "_target_" in node
                typed = f"{group}={node['name']}" if is_chosen else f"{group}.{key}"
                remedy = "" if is_chosen else f": its arguments are set by +task.module.{key}=..."
                raise ValueError(
                    f"{typed} is not for task={config['task']['name']}, whose module brings its own {group}{remedy}"
                )
        return config

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        asked = {
            "experiment=tuned": self.tuning is not None,
            f"diagnostics={self.diagnostics.name}": self.diagnostics.name != "none",
            "trainer.compile=true": self.trainer.compile,
            "trainer.on_oom=halve": self.trainer.on_oom == "halve",
            "seeds.augmentation": self.seeds.augmentation is not None,
            "seeds.split": self.seeds.split is not None,
        }
        for key, is_asked in asked.items():
            if is_asked:
                raise ValueError(f"{key} is not for task={self.task.name}, which trains a module of its own")
        return self


def schema_of(config: Mapping[str, Any]) -> type[AnyConfig]:
    """What a config has to be."""
    task = config.get("task")
    return ModuleConfig if isinstance(task, Mapping) and task.get("_target_") == LIGHTNING_TASK else Config
