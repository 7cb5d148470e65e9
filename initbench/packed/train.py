"""From configs to records: runs of one kind are trained at once, and recorded as if each had been alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from initbench import logger
from initbench.console import console
from initbench.packed import files
from initbench.packed.checkpoint import PackCheckpoint
from initbench.packed.eligible import forward_for, obstacle_of
from initbench.packed.forward import Forward, agreeing
from initbench.packed.loop import Training
from initbench.packed.messages import Outcome
from initbench.packed.pack import Pack
from initbench.packed.replica import Replica
from initbench.record import stopping
from initbench.record.lock import PATIENCE_SECONDS, lock
from initbench.record.stopping import Stopped
from initbench.record.store import COMPLETE, Store
from initbench.training import compute
from initbench.training.build import Experiment, assemble

Member = tuple[Store, Experiment]

_COMPARED_AT_ONCE = 8  # models, in float64: of the memory that training will take it is a small part
_TELLING_AT_ONCE = 4  # threads
_IMPATIENCE_SECONDS = 0.2  # longer than somebody takes who only looks whether a run is held


def train_pack(configs: Sequence[dict[str, Any]]) -> Outcome:
    """Train runs of one kind (`grouping.kind`) at once. Those that another process is at are in no part of the outcome.

    Where their optimizers or memory want it they are several packs, one after the other.
    """
    outcome = Outcome()
    with ExitStack() as locks:
        packs: dict[object, list[Member]] = defaultdict(list)
        patience, elsewhere = PATIENCE_SECONDS, False
        for config in configs:
            store = Store(config)
            if not locks.enter_context(lock(store.folder, patience)):
                # Who is at this one is at most of these.
                patience, elsewhere = _IMPATIENCE_SECONDS, True
                continue
            if (store.read() or {}).get("status") in COMPLETE and not config["force"]:
                continue
            try:
                experiment = built(config)
                logger.prepare(config["logger"])
                reason = obstacle_of(experiment)
            except Exception:  # whatever it is, by itself the run says it in its own record
                reason = "what cannot be built or initialized"
            if reason is None:
                packs[_multipliers(experiment)].append((store, experiment))
            else:
                outcome.alone[store.folder.name] = reason
        ready: list[tuple[list[Member], Forward]] = []
        for members in packs.values():
            forward = forward_for(members[0][1])
            if isinstance(forward, str):
                _leave(members, forward, outcome)
                continue
            others = _different(members, forward)
            _leave(others, "its model differs from the pack's in more than parameters and buffers", outcome)
            alike = [member for member in members if member not in others]
            if len(alike) > 1:
                ready.append((alike, forward))
            else:
                _leave(alike, "none other to be packed with", outcome)
        folders = [Store(config).folder for config in configs]
        # What is in somebody's hands, or has a checkpoint and only lacks what a mistake of now makes it lack, stays.
        if ready and not elsewhere and not files.checkpoint_of(folders).exists():
            _split(folders, [members for members, _ in ready])
        for members, forward in ready:
            _train_pack([Replica(*member, len(members)) for member in members], forward, outcome)
    return outcome


def _split(folders: Sequence[Path], parts: Sequence[Sequence[Member]]) -> None:
    files.split(folders, [[store.folder for store, _ in part] for part in parts])


def _different(members: Sequence[Member], forward: Forward) -> list[Member]:
    """Those whose models are not what the first one's would be with their parameters and buffers.

    A constructor may have drawn what is neither, or an initializer set it. What cannot be compared counts as different.
    """
    models = [experiment.learner.model for _, experiment in members]
    images, _ = members[0][1].data.fixed_batch(next(models[0].parameters()).device)
    same = [
        is_same
        for first in range(0, len(models), _COMPARED_AT_ONCE)
        for is_same in agreeing(forward, models[first : first + _COMPARED_AT_ONCE], images[:2])
    ]
    return [member for member, is_same in zip(members, same, strict=True) if not is_same]


def _leave(members: Iterable[Member], reason: str, outcome: Outcome) -> None:
    outcome.alone.update({store.folder.name: reason for store, _ in members})


def _train_pack(replicas: list[Replica], forward: Forward, outcome: Outcome) -> None:
    members = [(replica.store, replica.experiment) for replica in replicas]
    try:
        _train(replicas, forward, outcome)
        return
    except torch.OutOfMemoryError:
        pass  # outside of `except`, as the exception holds on to the tensors of the attempt
    except Stopped:
        for replica in replicas:
            if replica.store.folder.name not in outcome.records:
                replica.stop()
        raise
    except (RuntimeError, NotImplementedError) as error:  # of an operation that `forward_for` did not meet
        _leave(members, str(error).split("\n")[0], outcome)
        return
    torch.cuda.empty_cache()
    outcome.said.append(f"out of memory with {len(replicas)} replicas: once more, with half as many")
    halves = replicas[: len(replicas) // 2], replicas[len(replicas) // 2 :]
    _split([store.folder for store, _ in members], [[(one.store, one.experiment) for one in half] for half in halves])
    for half in halves:
        if len(half) == 1:
            _leave([(half[0].store, half[0].experiment)], "too little memory for two", outcome)
            continue
        again = [Replica(one.store, built(one.store.config), len(half)) for one in half]
        _train_pack(again, forward, outcome)


def _train(replicas: list[Replica], forward: Forward, outcome: Outcome) -> None:
    first = replicas[0]
    config, device = first.store.config, compute.device(first.store.config["trainer"])
    checkpoint = PackCheckpoint([replica.store.folder for replica in replicas], config["checkpoint_seconds"])
    if config["force"]:
        checkpoint.remove()
    saved = checkpoint.load(device)
    for place, replica in enumerate(replicas):
        replica.begin(saved["replicas"][place] if saved else None)
    pack = Pack(
        [replica.experiment.learner.model for replica in replicas],
        forward,
        [replica.experiment.learner.make_optimizer for replica in replicas],
        first.experiment.learner.make_scheduler,
        seeds=[replica.store.config["seed"] for replica in replicas],
        clip=config["trainer"]["gradient_clip_val"],
        label_smoothing=first.experiment.learner.label_smoothing,
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
    tested = {id(one): values for one, values in zip(training.replicas, tests, strict=True)}
    for replica in replicas:
        outcome.records[replica.store.folder.name] = replica.end(tested.get(id(replica), {}))
    checkpoint.remove()
    # The truth is on disk; what follows mostly waits for wandb's own process.
    outcome.said += filter(None, _told(replicas, outcome))


def _told(replicas: Sequence[Replica], outcome: Outcome) -> list[str | None]:
    """What went wrong in telling the loggers. The first goes ahead: what it finds out of a server the others know."""

    def tell(replica: Replica) -> str | None:
        return replica.tell(outcome.records[replica.store.folder.name])

    first, *others = replicas
    with ThreadPoolExecutor(_TELLING_AT_ONCE) as pool:
        return [tell(first), *pool.map(tell, others)]


def built(config: Mapping[str, Any]) -> Experiment:
    """Everything of one run, its model initialized on the training device."""
    settings = config["trainer"]
    compute.set_rounding(settings)
    torch.use_deterministic_algorithms(settings["deterministic"] is True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # as trainer.build says
    experiment = assemble(config)
    learner = experiment.learner
    dtype = torch.float64 if settings["precision"] == "64-true" else torch.float32
    # Stacked, they lie in the plain order; what is computed of them is laid out anew.
    learner.model.to(compute.device(settings), dtype).to(memory_format=torch.contiguous_format)
    learner.initialize(experiment.data)
    return experiment


def _multipliers(experiment: Experiment) -> object:
    """What tells apart optimizers of one config: an initializer may scale the learning rates of parameters."""
    model = experiment.learner.model
    groups = experiment.learner.make_optimizer().param_groups
    names = {parameter: name for name, parameter in model.named_parameters()}
    return tuple((group["lr_multiplier"], tuple(names[parameter] for parameter in group["params"])) for group in groups)


@contextmanager
def _progress(name: str, total_steps: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total_steps)
        yield lambda step: progress.update(task, completed=step)
