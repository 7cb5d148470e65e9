"""The loop over the steps of a pack: batches in, rows of each replica's history out.

What happens at a step, and in which order, is what Lightning and the callbacks of a single run do.
"""

import math
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from initbench.data import Data
from initbench.packed.pack import Pack
from initbench.packed.replica import Replica

BySeeds = dict[tuple[int, int], tuple[Tensor, Tensor]]  # batches by what they depend on


class Training:
    """Trains `replicas` to their end, each in its place of the pack; those that diverge leave it."""

    def __init__(
        self, pack: Pack, replicas: Sequence[Replica], device: torch.device, after_step: Callable[[int], None]
    ) -> None:
        first = replicas[0]
        self.pack, self.device, self.after_step = pack, device, after_step
        self.all = list(replicas)
        self.replicas = list(replicas)  # those that are still trained
        self.total_steps = first.parts.total_steps
        self.log_every = first.config.trainer.log_every_n_steps
        self.val_every = first.parts.data.val_every_n_steps
        self.is_diagnosed_at = first.diagnoses.are_due
        self.data = {one.batch_seeds: one.parts.data for one in replicas}
        self.task = first.parts.recipe.task
        self.sums = torch.zeros(len(pack), len(self.task.measures) + 1, device=device)
        self.step = 0

    def run(self) -> None:
        if self.step == 0:
            self._diagnose()
            self._validate()
            self._drop_diverged()
        loaders = {seeds: data.loader("train", self.device) for seeds, data in self.data.items()}
        steps_per_epoch = next(iter(self.data.values())).steps_per_epoch
        while self.step < self.total_steps and self.replicas:
            epoch, batch = divmod(self.step, steps_per_epoch)
            for replica in self.replicas:
                replica.epoch = epoch
            for loader in loaders.values():
                loader.sampler.set_epoch(epoch)
                loader.load_state_dict({"batch": batch})
            for batches in zip(*loaders.values(), strict=True):
                self._advance(dict(zip(loaders, batches, strict=True)))
                if self.step == self.total_steps or not self.replicas:
                    break
        for replica in self.replicas:
            replica.epoch = math.ceil(self.step / steps_per_epoch)  # Lightning's, once it has left its loop
        # What each of these finds to have diverged is looked at no further, as by itself.
        if self.replicas and self.step % self.log_every:
            self._add_training_rows(None)
            self._drop_diverged()
        if self.replicas and self.step % self.val_every:
            self._validate()
            self._drop_diverged()

    def state_dict(self) -> dict[str, Any]:
        """All that changes as it goes, but for the replicas' own."""
        alive = [self.all.index(replica) for replica in self.replicas]
        return {"step": self.step, "sums": self.sums, "alive": alive, "pack": self.pack.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.replicas = [self.all[place] for place in state["alive"]]
        if self.replicas:
            self.pack.keep(state["alive"])
            self.pack.load_state_dict(state["pack"])
        self.step, self.sums = state["step"], state["sums"]

    def _advance(self, batches: BySeeds) -> None:
        started = time.perf_counter()
        self.sums += self.pack.backward(*self._for_all(batches))
        norms = self.pack.gradient_norms() if (self.step + 1) % self.log_every == 0 else None
        self.pack.step()
        self.step += 1
        if norms is not None or self.step % self.val_every == 0 or self.is_diagnosed_at(self.step):
            self._synchronize()
        for replica in self.replicas:
            replica.history.seconds += (time.perf_counter() - started) / len(self.replicas)
        if norms is not None:
            self._add_training_rows(norms)
        self._diagnose()
        if self.step % self.val_every == 0 or any(replica.history.diverged for replica in self.replicas):
            self._validate()
        self._drop_diverged()
        self.after_step(self.step)

    def _for_all(self, batches: BySeeds) -> tuple[Tensor, Tensor]:
        """Inputs and targets (G, B, ...): a batch for each row of replicas that share it, if these are equally long."""
        of_each = [replica.batch_seeds for replica in self.replicas]
        rows = [(seeds, len(list(row))) for seeds, row in groupby(of_each)]
        if len({length for _, length in rows}) == 1:
            of_each = [seeds for seeds, _ in rows]
        pairs = {
            seeds: self.task.batch(self.data[seeds].prepare(inputs, step=self.step), targets)
            for seeds, (inputs, targets) in batches.items()
            if seeds in of_each
        }
        # Side by side the inputs of one place in the batch are neighbours.
        inputs = torch.stack([pairs[seeds][0] for seeds in of_each], dim=1).transpose(0, 1)
        return inputs, torch.stack([pairs[seeds][1] for seeds in of_each])

    def _add_training_rows(self, norms: Tensor | None) -> None:
        of_each = norms.tolist() if norms is not None else [None] * len(self.replicas)
        measured = zip(self.replicas, self.sums.tolist(), self.pack.rates(), of_each, strict=True)
        for replica, sums, rate, norm in measured:
            means = self.task.means(sums)
            replica.history.add_training(self.step, replica.epoch, means, rate, norm, scaled=False)
        self.sums.zero_()

    def _diagnose(self) -> None:
        """Where this step asks for it; each replica by itself, in the model that it was built of."""
        for place, replica in enumerate(self.replicas if self.is_diagnosed_at(self.step) else ()):
            model = replica.parts.recipe.model
            self.pack.copy_to(model, place)
            replica.diagnoses.add(model, self.step)

    def _validate(self) -> None:
        """A row for each replica; between evaluations for those that have diverged: Lightning looks once more."""
        for replica, means in zip(self.replicas, self._evaluate("val"), strict=True):
            if replica.history.diverged or self.step % self.val_every == 0 or self.step == self.total_steps:
                replica.history.add_validation(self.step, replica.epoch, means)

    def test(self) -> list[tuple[dict[str, float], Tensor]]:
        """Loss and metric of each replica on the test set, and what is kept of each sample."""
        data: Data = next(iter(self.data.values()))
        values: list[Tensor] = []

        def keep(outputs: Tensor, targets: Tensor) -> None:
            values.append(self.task.of_samples(outputs, targets, with_outputs=data.keeps_outputs, models=1))

        means = self._evaluate("test", keep)
        return list(zip(means, torch.cat(values, dim=1).cpu(), strict=True))

    def _evaluate(self, stage: str, keep: Callable[[Tensor, Tensor], None] | None = None) -> list[dict[str, float]]:
        """Loss and metric of each replica on "val" or "test", the same samples for all; `keep`: see Pack.evaluate."""
        started = time.perf_counter()
        data: Data = next(iter(self.data.values()))
        sums = torch.zeros(len(self.replicas), len(self.task.measures) + 1, device=self.device)
        for batch in data.loader(stage, self.device):
            inputs, targets = self.task.batch(data.prepare(batch[0]), batch[1])
            # No more at once than a step of training has: pack sizes are measured by its memory.
            at_once = max(data.batch_size, len(inputs) // len(self.replicas))
            sums += self.pack.evaluate(inputs, targets, at_once, keep)
        values = [self.task.means(each) for each in sums.tolist()]
        for replica in self.replicas:
            replica.history.seconds_evaluation += (time.perf_counter() - started) / len(self.replicas)
        return values

    def _drop_diverged(self) -> None:
        """They would only cost time: NaNs cannot spread between replicas."""
        kept = [place for place, replica in enumerate(self.replicas) if not replica.history.diverged]
        if len(kept) == len(self.replicas):
            return
        self.replicas = [self.replicas[place] for place in kept]
        if kept:
            self.pack.keep(kept)
            self.sums = self.sums[kept]

    def _synchronize(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize()  # what is still queued belongs to training
