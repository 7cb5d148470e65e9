"""A model with its initializer, optimizer and schedule: all of a run but data and loop. Imports no Lightning."""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from initbench.data import Data
from initbench.errors import UserMistake
from initbench.init import Batch, Factors, Initializer, rows, weights_digest
from initbench.record.plain import Record, Row
from initbench.task import Task


class Recipe:
    """`initialize` is called once in a run's life, when the model is on its device; the record keeps what it sets."""

    def __init__(
        self,
        model: nn.Module,
        initializer: Initializer,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        task: Task,
        *,
        seed: int = 0,
        dropout_seed: int = 0,
        compile: bool = False,
        channels_last: bool = False,
        example: torch.Tensor | None = None,
    ) -> None:
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        # Before the optimizer and DDP see the parameters: a later move would leave DDP's buckets behind.
        self.model = model.to(memory_format=self.memory_format)
        self.initializer = initializer
        self.make_scheduler = scheduler
        self.task = task
        self.seed = seed  # of the weights
        self.dropout_seed = dropout_seed
        self.compile = compile
        self.example = example  # inputs like those of the data, on which the initializer may run the model
        self.micro_batches = 1  # parts of a batch that are computed one after the other, to save memory
        self.initialized = False
        self.init_table: list[Row] = []
        self.init_numbers: dict[str, float] = {}  # what a method says of its cost and success
        self.initial_weights = ""
        self.seconds_init = 0.0
        self._make_optimizer = optimizer

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype

    def make_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """The optimizer of the model, or of one like it; its settings are as the initializer scales them."""
        one = self.model if model is None else model
        return self._make_optimizer(one, lambda adaptive: self._factors(one, adaptive), self.example)

    def _factors(self, model: nn.Module, adaptive: bool) -> dict[str, Factors]:
        return self.initializer.optimizer_factors(model, adaptive=adaptive, example=self.example)

    def initialize(self, data: Data, world_size: int = 1) -> None:
        """Apply the initializer, and keep what the record says of it. Raises UserMistake where it cannot be applied."""
        started = time.perf_counter()
        batch = None
        if self.initializer.needs_batch:
            inputs, targets = self.task.batch(*data.fixed_batch(self.device))
            # Half precision is the initializer's own business: it works on a copy in float32.
            is_double = self.dtype == torch.float64 and inputs.is_floating_point()
            batch = Batch(inputs.double() if is_double else inputs, targets)
        try:
            outcome = self.initializer.apply(
                self.model, seed=self.seed, batch=batch, loss=self.task.loss, example=self.example
            )
        except ValueError as error:  # a method that this batch or these weights defeat
            raise UserMistake(str(error)) from error
        if batch is not None and world_size > 1:
            for parameter in self.model.parameters():
                torch.distributed.broadcast(parameter.data, src=0)
        self.seconds_init = time.perf_counter() - started
        self.init_table = rows(outcome)
        self.init_numbers = outcome.numbers
        self.initial_weights = weights_digest(self.model)
        self.initialized = True

    def fields(self) -> Record:
        """What the record says about how the run was set up and initialized."""
        return {
            "init_numbers": self.init_numbers,
            "init_batch": 0 if self.initializer.needs_batch else None,  # of the first epoch, as the seed orders it
            "micro_batches": self.micro_batches,
            "initial_weights": self.initial_weights,
            "device": str(self.device),
        }
