"""The cost of a training step: initbench compared with a bare PyTorch loop over the same tensors.

    python scripts/bench_overhead.py                      # MNIST from $INITBENCH_DATA (or data/), batch size 128
    python scripts/bench_overhead.py --models resnet18 --data cifar10 trainer.accelerator=gpu \
        trainer.precision=bf16-mixed trainer.compile=true

For each model, the same batches, optimizer, number of threads and precision are timed in (a) a bare loop, (b)
Lightning's loop around our module without callbacks, (c) a complete run of initbench, with history, progress bar and
checkpoints; "initbench" is thus a step of a single run. They take turns, epoch by epoch, in one process.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from benchmarking import Table, parser_of, ratios, report, take_turns, timing
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import CONF
from initbench.data import DataModule
from initbench.record.history import History
from initbench.record.store import Store
from initbench.schema.config import Config
from initbench.training import compute
from initbench.training import trainer as lightning_trainer
from initbench.training.build import RunParts, build_run
from initbench.training.callbacks.checkpoint import Checkpoint
from initbench.training.callbacks.progress import ProgressBar
from initbench.training.callbacks.recorder import Recorder
from initbench.training.module import TaskModule
from initbench.training.run import checkpoint_of


def store_of(model: str, runs_dir: str, data: str, own: list[str]) -> Store:
    overrides = [
        f"model={model}",
        f"data={data}",
        "data.batch_size=128",
        "optimizer=adam",
        "scheduler=constant",
        "logger=none",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
        "data.val_every_n_steps=1000000",
        f"runs_dir={runs_dir}",
        *own,
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=overrides)
    return Store(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]  # of a mapping


def bare(parts: RunParts, store: Store) -> float:
    """Seconds of one epoch of the shortest loop that does the same work."""
    config = store.typed
    compute.set_rounding(config.trainer)
    recipe, data, device = parts.recipe, parts.data, compute.device(config.trainer)
    loader = data.loader("train", device)
    model = recipe.model.train().to(device)
    optimizer = recipe.make_optimizer()
    if recipe.compile:
        model.compile()
    augmented = config.data.flip or config.data.crop_padding or config.data.cutout
    is_half = {"32-true": False, "bf16-mixed": True}[str(config.trainer.precision)]  # of others there is no bare loop
    half = torch.autocast(device.type, torch.bfloat16, enabled=is_half)
    started = time.perf_counter()
    for step, (images, labels) in enumerate(loader):
        prepared = data.prepare(images, step=step if augmented else None)
        with half:
            loss = F.cross_entropy(model(prepared.to(memory_format=recipe.memory_format)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    synchronize()
    return time.perf_counter() - started


def synchronize() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def lightning(parts: RunParts, store: Store) -> float:
    return _fit(parts, store.typed, [])


def initbench(parts: RunParts, store: Store) -> float:
    store.write("running")
    history = History(store)
    recorder = Recorder(history, store.typed.trainer.log_every_n_steps)
    checkpoint = Checkpoint(checkpoint_of(store), parts.total_steps, recorder)
    return _fit(
        parts,
        store.typed,
        [recorder, ProgressBar(store.name, parts.total_steps, history, parts.recipe.task.metric.name), checkpoint],
    )


def _fit(parts: RunParts, config: Config, callbacks: list[Any]) -> float:
    clock = Clock()
    every = parts.data.val_every_n_steps
    trainer = lightning_trainer.build(
        config.trainer, val_every_n_steps=every, callbacks=[*callbacks, clock], loggers=[]
    )
    trainer.num_sanity_val_steps = 0
    trainer.fit(TaskModule(parts.recipe), datamodule=DataModule(parts.data))
    return clock.seconds


class Clock(L.Callback):
    """Times the training epoch alone: what comes before and after is a cost per run, not per step."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        synchronize()
        self.seconds = time.perf_counter() - self.started


Variant = Callable[[RunParts, Store], float]
VARIANTS: dict[str, Variant] = {
    "bare": bare,
    "lightning": lightning,
    "initbench": initbench,
}


def measure(models: list[str], data: str, rounds: int, own: list[str]) -> list[dict[str, Any]]:
    """Seconds per epoch of every variant, round by round."""
    return [measure_one(model, data, rounds, own, VARIANTS) for model in models]


def measure_one(
    model: str, data: str, rounds: int, own: list[str], variants: Mapping[str, Variant], warm_up: int = 1
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as runs_dir:
        store = store_of(model, runs_dir, data, own)

        def epoch(variant: Variant) -> float:
            parts = build_run(store.typed)
            with contextlib.redirect_stdout(io.StringIO()):
                return variant(parts, store)

        ways = {name: partial(epoch, variant) for name, variant in variants.items()}
        taken = take_turns(ways, rounds, warm_up=warm_up, title=model)
        return {"model": model, "steps": build_run(store.typed).data.steps_per_epoch, "seconds": taken}


def table(results: list[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        for name, seconds in result["seconds"].items():
            step = timing([1e3 * value / result["steps"] for value in seconds])
            ratio = ratios(seconds, result["seconds"]["bare"])
            row = [f"{result['model']}, {name}", f"{step.median:.2f}", step.range(".2f"), ratio.cell(".2f")]
            rows.append(row)
    return Table("A training step", ["model, loop", "ms per step", "range", "times as long as bare"], rows)


def main() -> None:
    parser = parser_of(__doc__, rounds=5)
    parser.add_argument("--models", nargs="+", default=["mlp", "lenet"])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("overrides", nargs="*", help="overrides of the config, as after python -m initbench")
    asked = parser.parse_args()
    report(partial(measure, asked.models, asked.data, asked.rounds, asked.overrides), table, asked.json)


if __name__ == "__main__":
    main()
