"""Batches of samples: which samples are in them, and how they are fetched (indexed on the device, or streamed)."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from initbench.data.seeding import SHUFFLE, derive_seed

Batch = tuple[Tensor, Tensor]


class Batches:
    """The index batches of one rank, in order; with a seed, shuffled anew each epoch.

    The order of epoch e derives from (seed, e) alone, so that a resumed run sees what it would have seen.
    Every global batch is divided: rank r takes its elements r, r + world, r + 2 world and so on. Training
    drops the last, smaller batch. Otherwise (no seed) every index occurs once, in batches of nearly equal
    size, so that all ranks take equally many steps: batch norm's buffers are synchronised at each of them.
    """

    def __init__(
        self, indices: Tensor, batch_size: int, *, seed: int | None = None, rank: int = 0, world: int = 1
    ) -> None:
        self.indices, self.batch_size, self.seed, self.rank, self.world = (
            indices,
            batch_size,
            seed,
            rank,
            world,
        )
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every training epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        full = len(self.indices) // self.batch_size
        return full if self.seed is not None else -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        return (batch[self.rank :: self.world] for batch in self._global_batches())

    def _global_batches(self) -> tuple[Tensor, ...]:
        if self.seed is None:
            return self.indices.tensor_split(len(self))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, SHUFFLE, self.epoch))
        order = torch.randperm(len(self.indices), generator=generator)[: len(self) * self.batch_size]
        return self.indices[order].split(self.batch_size)


class Loader:
    """Yields inputs (B, ...) and targets (B, ...), as they are stored and on their device, epoch by epoch.

    It is a plain iterable that Lightning accepts in place of a torch DataLoader, and can be checkpointed in
    the middle of an epoch. Nothing is computed before the first batch is asked for: Lightning calls `iter`
    before it sets the epoch.

    With `workers`, threads fetch ahead of the training loop. They are not processes, because fetching is
    one gather from a memory map, outside Python's lock, and processes would have to copy every batch.
    """

    batch_sampler = None  # Lightning reads it wherever there is a sampler

    def __init__(
        self, inputs: Tensor, targets: Tensor, sampler: Batches, *, workers: int = 0, pin_memory: bool = False
    ) -> None:
        self.inputs, self.targets, self.sampler = inputs, targets, sampler
        self.workers, self.pin_memory = workers, pin_memory
        self._done = 0  # batches yielded in this epoch
        self._resume_at = 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        self._done, self._resume_at = self._resume_at, 0
        parts = list(self.sampler)[self._done :]
        # One transfer of the epoch's order, not one per batch.
        indices = torch.cat(parts).to(self.inputs.device).split([len(part) for part in parts])
        for batch in self._stream(indices) if self.workers else map(self._fetch, indices):
            self._done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"batch": self._done % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next epoch begins at this batch, its order unchanged."""
        self._resume_at = state["batch"]

    def _fetch(self, index: Tensor) -> Batch:
        inputs, targets = self.inputs.index_select(0, index), self.targets.index_select(0, index)
        return (inputs.pin_memory(), targets.pin_memory()) if self.pin_memory else (inputs, targets)

    def _stream(self, indices: tuple[Tensor, ...]) -> Iterator[Batch]:
        ahead: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="initbench-data") as pool:
            for index in indices:
                ahead.append(pool.submit(self._fetch, index))
                if len(ahead) > 2 * self.workers:  # as far ahead as two batches a worker, DataLoader's default
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
