"""From configs to records: runs of one kind are trained as one model, and recorded as if each had been alone."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from initbench.console import console
from initbench.errors import Unwritable
from initbench.packed import files
from initbench.packed.eligible import share_out
from initbench.packed.forward import Forward
from initbench.packed.loop import Training
from initbench.packed.outcome import Outcome
from initbench.packed.pack import Pack
from initbench.packed.replica import Replica
from initbench.record import stopping
from initbench.record.checkpoint import CheckpointFile
from initbench.record.life import Life, claimed, under_way
from initbench.record.lock import PATIENCE_SECONDS
from initbench.record.log import note
from initbench.record.plain import PlainConfig
from initbench.record.store import Store
from initbench.training import compute

_IMPATIENCE_SECONDS = 0.2  # longer than somebody takes who only looks whether a run is held


def train_pack(configs: Sequence[PlainConfig]) -> Outcome:
    """Train runs of one kind (`plan.kind_of`) at once, as one pack or several, one after the other.

    Runs that another process is at are in no part of the outcome.
    """
    outcome = Outcome()
    folders = [Store(config).folder for config in configs]
    with ExitStack() as locks:
        lives: list[Life] = []
        patience = PATIENCE_SECONDS
        for config in configs:
            life = locks.enter_context(claimed(Store(config), patience))
            if life is None:
                patience = _IMPATIENCE_SECONDS  # whoever is at this one is at most of them
            elif not life.is_complete:
                lives.append(life)
        packs, outcome.alone = share_out(lives)
        # Keep the files if another process holds a member, or a checkpoint exists: its runs may be mended.
        is_ours = patience == PATIENCE_SECONDS
        if packs and is_ours and not files.checkpoint_of(folders).exists():
            files.split(folders, [[replica.life.store.folder for replica in replicas] for replicas, _ in packs])
        for replicas, forward in packs:
            _train_pack(replicas, forward, outcome)
    return outcome


def _train_pack(replicas: list[Replica], forward: Forward, outcome: Outcome) -> None:
    with under_way([replica.life for replica in replicas]):
        try:
            _train(replicas, forward, outcome)
        except torch.OutOfMemoryError:
            outcome.too_large.append([replica.name for replica in replicas])
        except Unwritable:
            raise
        except Exception as error:  # whatever it is, each run says it in its own record when it is trained alone
            left = [replica for replica in replicas if replica.name not in outcome.records]
            for replica in left:
                note(replica.life.log, f"the pack failed: this run is trained by itself\n{traceback.format_exc()}")
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            outcome.alone.update({replica.name: why for replica in left})
    torch.cuda.empty_cache()  # out here, as an exception holds on to the tensors of its attempt


def _train(replicas: list[Replica], forward: Forward, outcome: Outcome) -> None:
    first, config = replicas[0], replicas[0].config
    device = compute.device(config.trainer)
    folders = [replica.life.store.folder for replica in replicas]
    path = files.checkpoint_of(folders)
    checkpoint = CheckpointFile(path, path.stem, config.checkpoint_seconds, ("training", "replicas"))
    if config.force:
        files.remove(folders)
    saved = checkpoint.load(device)
    for place, replica in enumerate(replicas):
        replica.begin(saved["replicas"][place] if saved else None, len(replicas))
    pack = Pack(
        [replica.parts.recipe.model for replica in replicas],
        forward,
        [replica.parts.recipe.make_optimizer for replica in replicas],
        first.parts.recipe.make_scheduler,
        first.parts.recipe.task,
        seeds=[replica.batch_seeds[0] for replica in replicas],
        clip=config.trainer.gradient_clip_val,
    )
    name = f"{config.model.name}-{config.data.name} x {len(replicas)}"
    with _progress(name, first.parts.total_steps) as tick:

        def after_step(step: int) -> None:
            tick(step)
            if stopping.requested() or checkpoint.is_due():
                if not files.is_written(folders):  # nobody has decided this pack: it was divided here
                    files.write(folders, slots=None)
                checkpoint.save(lambda part: torch.save(state(), part))
            if stopping.requested():
                stopping.stop()

        def state() -> dict[str, Any]:
            each = [replica.state_dict() for replica in replicas]
            return {"owner": checkpoint.owner, "training": training.state_dict(), "replicas": each}

        training = Training(pack, replicas, device, after_step)
        if saved:
            training.load_state_dict(saved["training"])
        training.run()
        tests = training.test() if training.replicas else []
    tested = {replica.name: test for replica, test in zip(training.replicas, tests, strict=True)}
    for replica in replicas:
        outcome.records[replica.name] = replica.end(*tested.get(replica.name, ({}, None)))
    files.remove(folders)


@contextmanager
def _progress(name: str, total_steps: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total_steps)
        yield lambda step: progress.update(task, completed=step)
