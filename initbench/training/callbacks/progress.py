"""The progress of one run: a bar in a terminal, otherwise a line now and then."""

import time
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from initbench.console import console
from initbench.record.history import History
from initbench.wording import about

REFRESH_SECONDS = 0.1
FIRST_SECONDS, QUIET_SECONDS = 5.0, 30.0  # without a terminal: until the first line, and between lines


class ProgressBar(L.Callback):
    """Steps done, and the latest loss and metric that the history has.

    It never asks the device itself, nor other processes: under DDP only the first has a bar, and whatever
    needs all of them would wait for ever.
    """

    def __init__(self, description: str, total_steps: int | None, history: History, metric: str) -> None:
        self.history = history
        self._metric = metric  # its name
        self._name, self._total_steps = description, total_steps
        self._drawn_at = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=console,
            transient=True,
            auto_refresh=False,  # a refreshing thread would take time from the training
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(description, total=total_steps, numbers="")

    def expect(self, total_steps: int) -> None:
        """Set the number of steps, where it was not known at first."""
        self._total_steps = total_steps
        self._progress.update(self._task, total=total_steps)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._progress.start()
        self._began, self._first_step = time.monotonic(), trainer.global_step
        self._speak_at = self._began + FIRST_SECONDS

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if not console.is_terminal:
            if now > self._speak_at:
                self._speak_at = now + QUIET_SECONDS
                self._say(trainer.global_step, now)
        elif now - self._drawn_at > REFRESH_SECONDS:
            self._drawn_at = now
            self._progress.update(self._task, completed=trainer.global_step, numbers=self._numbers())
            self._progress.refresh()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._progress.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._progress.stop()

    def _say(self, step: int, now: float) -> None:
        line = f"{self._name}  step {step}"
        if self._total_steps is not None:
            line += f" of {self._total_steps}"
        line += f"  {self._numbers()}"
        if self._total_steps is not None and step > self._first_step:
            left = (now - self._began) * (self._total_steps - step) / (step - self._first_step)
            line += f"  {about(left)} left"
        console.print(line, markup=False, soft_wrap=True)

    def _numbers(self) -> str:
        latest = self.history.latest
        shown = {"train/loss": "loss", f"train/{self._metric}": self._metric, f"val/{self._metric}": "val"}
        return "  ".join(f"{name} {latest[key]:.3f}" for key, name in shown.items() if key in latest)
