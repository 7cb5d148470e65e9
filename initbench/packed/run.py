"""From configs to records: runs are grouped into packs, trained, and recorded as if each had been alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from initbench import stopping, trainer
from initbench.console import console
from initbench.experiment import Experiment, assemble
from initbench.packed.checkpoint import PackCheckpoint
from initbench.packed.eligible import forward_for, kind, obstacle, obstacle_of
from initbench.packed.forward import Forward
from initbench.packed.pack import Pack
from initbench.packed.replica import Replica
from initbench.packed.training import Training
from initbench.record.lock import is_held, lock
from initbench.record.store import COMPLETE, Store
from initbench.stopping import Stopped

Records = dict[Path, dict[str, Any]]  # by the run's folder


def train_packs(configs: Sequence[dict[str, Any]], most: int) -> Records:
    """Train what can be trained together, at most `most` replicas at once; the records of the runs that came to an end.

    The others are left as they were, and one line says why: they are to be run one by one.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    alone: dict[str, int] = defaultdict(int)
    for config in configs:
        reason = obstacle(config)
        if reason is None:
            groups[kind(config)].append(config)
        else:
            alone[reason] += 1
    records: Records = {}
    for group in groups.values():
        group.sort(key=lambda config: (config["optimizer"]["lr"], config["seed"]))  # what they share are neighbours
        for first in range(0, len(group), most):
            _train_group(group[first : first + most], records, alone)
    for reason, number in alone.items():
        console.print(f"{number} run{'s' if number != 1 else ''} by themselves: {reason}", markup=False, soft_wrap=True)
    return records


def _train_group(configs: Sequence[dict[str, Any]], records: Records, alone: dict[str, int]) -> None:
    """Packs of those that are ours to run, and alike once they are built."""
    with ExitStack() as locks:
        packs: dict[object, list[tuple[Store, Experiment]]] = defaultdict(list)
        for config in configs:
            store = Store(config)
            # Not waited for, as a run by itself would: another sweep may be at all of these.
            if is_held(store.folder) or not locks.enter_context(lock(store.folder)):
                continue
            before = store.read() or {}
            if store.checkpoint.exists() or (before.get("status") in COMPLETE and not config["force"]):
                continue
            try:
                experiment = _built(config)
                reason = obstacle_of(experiment)
            except Exception:  # whatever it is, by itself the run says it in its own record
                reason = "what cannot be built or initialized"
            if reason is not None:
                alone[reason] += 1
                continue
            packs[_multipliers(experiment)].append((store, experiment))
        for members in packs.values():
            forward = forward_for(members[0][1])
            if isinstance(forward, str):
                alone[forward] += len(members)
                continue
            _train_pack([Replica(*member, len(members)) for member in members], forward, records, alone)


def _train_pack(replicas: list[Replica], forward: Forward, records: Records, alone: dict[str, int]) -> None:
    try:
        _train(replicas, forward, records)
        return
    except torch.OutOfMemoryError:
        if len(replicas) == 1:
            alone["too little memory"] += 1
            return
    except Stopped:
        for replica in replicas:
            if replica.store.folder not in records:
                replica.stop()
        raise
    except (RuntimeError, NotImplementedError) as error:  # of an operation that `forward_for` did not meet
        alone[str(error).split("\n")[0]] += len(replicas)
        return
    # Outside of `except`: the exception holds on to the tensors of the attempt.
    torch.cuda.empty_cache()
    console.print(f"out of memory with {len(replicas)} replicas: once more, with half as many", soft_wrap=True)
    for half in (replicas[: len(replicas) // 2], replicas[len(replicas) // 2 :]):
        again = [Replica(one.store, _built(one.store.config), len(half)) for one in half]
        _train_pack(again, forward, records, alone)


def _train(replicas: list[Replica], forward: Forward, records: Records) -> None:
    first = replicas[0]
    config, device = first.store.config, _device(first.store.config)
    checkpoint = PackCheckpoint([replica.store.folder for replica in replicas], config["checkpoint_seconds"])
    saved = None if config["force"] else checkpoint.load(device)
    for place, replica in enumerate(replicas):
        replica.begin(saved["replicas"][place] if saved else None)
    pack = Pack(
        [replica.experiment.classifier.model for replica in replicas],
        forward,
        [partial(_optimizer, replica.experiment) for replica in replicas],
        first.experiment.classifier.make_scheduler,
        clip=config["trainer"]["gradient_clip_val"],
    )
    name = f"{config['model']['name']}-{config['data']['name']} x {len(replicas)}"
    with _progress(name, first.experiment.total_steps) as tick:

        def after_step(step: int) -> None:
            tick(step)
            checkpoint.save_if_due(state, at_once=stopping.requested())
            if stopping.requested():
                stopping.stop()

        def state() -> dict[str, Any]:
            return {"training": training.state_dict(), "replicas": [replica.state_dict() for replica in replicas]}

        training = Training(pack, replicas, device, after_step)
        if saved:
            training.load_state_dict(saved["training"])
        training.run()
        tests = training.evaluate("test") if training.replicas else []
    tested = {one.store.folder: values for one, values in zip(training.replicas, tests, strict=True)}
    for replica in replicas:
        folder = replica.store.folder
        records[folder] = replica.end(tested.get(folder, {}), device)
    checkpoint.remove()


def _built(config: Mapping[str, Any]) -> Experiment:
    """Everything of one run, its model initialized on the training device."""
    device = _device(config)
    trainer.set_threads(config["trainer"]["threads"])
    torch.use_deterministic_algorithms(config["trainer"]["deterministic"] is True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # as trainer.build says
    experiment = assemble(config)
    classifier = experiment.classifier
    classifier.to(device, torch.float64 if config["trainer"]["precision"] == "64-true" else torch.float32)
    # Mapped over, channels come in the plain order: pooling of the other falls back to a loop over the replicas.
    classifier.model.to(memory_format=torch.contiguous_format)
    classifier.initialize(experiment.datamodule)
    return experiment


def _optimizer(experiment: Experiment, model: torch.nn.Module) -> torch.optim.Optimizer:
    initializer = experiment.classifier.initializer
    return experiment.classifier.make_optimizer(
        model, lambda adaptive: initializer.learning_rates(model, adaptive=adaptive)
    )


def _multipliers(experiment: Experiment) -> object:
    """What tells apart optimizers of one config: an initializer may scale the learning rates of parameters."""
    model = experiment.classifier.model
    groups = _optimizer(experiment, model).param_groups
    names = {parameter: name for name, parameter in model.named_parameters()}
    return tuple((group["lr_multiplier"], tuple(names[parameter] for parameter in group["params"])) for group in groups)


def _device(config: Mapping[str, Any]) -> torch.device:
    there = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if config["trainer"]["accelerator"] == "cpu" or there is None else there


@contextmanager
def _progress(name: str, total_steps: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total_steps)
        yield lambda step: progress.update(task, completed=step)
