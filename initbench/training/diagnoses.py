"""What is diagnosed of a run while it trains, without a trace in its numbers."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from initbench.console import console, errors
from initbench.diagnostics.diagnose import diagnose
from initbench.diagnostics.diagnosis import Diagnosis
from initbench.diagnostics.scalars import for_loggers
from initbench.record.history import FLUSH_SECONDS
from initbench.record.plain import Record, Row
from initbench.record.store import Store
from initbench.training.build import RunParts

if TYPE_CHECKING:
    from initbench.diagnostics.curvature import Curvature


class Diagnoses:
    """Collects the rows of layers.parquet, {step, layer, quantity, index, value}, on the same batch each time.

    What cannot be diagnosed is said once, in one line, and is in `missing`; training goes on.
    """

    def __init__(self, parts: RunParts, store: Store) -> None:
        self.parts = parts
        self.store = store
        self.seconds = 0.0
        self.steps: list[int] = []
        self.missing: dict[str, str] = {}
        self._rows: list[Row] = []
        self._flushed_at = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self._rows, "seconds": self.seconds, "steps": self.steps, "missing": self.missing}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rows, self.seconds = state["rows"], state["seconds"]
        self.steps, self.missing = state["steps"], state["missing"]

    def are_due(self, step: int) -> bool:
        return step in self.parts.schedule

    def add(self, model: nn.Module, step: int, optimizer: Optimizer | None = None) -> dict[str, float]:
        """Diagnose the model after so many steps; return what loggers are told, nothing where that failed.

        optimizer: of the model's parameters; diagnostics.curvature looks at its state.
        """
        started = time.perf_counter()
        rows = self._rows_of(model, step, optimizer)
        self.seconds += time.perf_counter() - started
        return for_loggers(rows)

    def fields(self) -> Record:
        """What the record says about them; layers.parquet is complete then."""
        self.flush()
        return {
            "seconds_diagnostics": self.seconds,
            "diagnostics": {"steps": self.steps, "missing": self.missing},
        }

    def flush(self) -> None:
        if self._rows:
            self.store.write_table("layers", self._rows)
        self._flushed_at = time.monotonic()

    def _rows_of(self, model: nn.Module, step: int, optimizer: Optimizer | None) -> list[Row]:
        recipe, config = self.parts.recipe, self.store.typed
        inputs, targets = recipe.task.batch(*self.parts.data.fixed_batch(recipe.device))
        if inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=recipe.memory_format)
        found: list[Diagnosis | Curvature] = []
        try:
            found.append(diagnose(model, (inputs, targets), loss=recipe.task.loss, seed=config.seed))
            if config.diagnostics.curvature:
                from initbench.diagnostics.curvature import curvature

                loss = partial(recipe.task.loss, training=True)
                found.append(curvature(model, (inputs, targets), loss=loss, optimizer=optimizer, seed=config.seed))
        except Exception as error:  # a model of one's own may do anything; that it trains is what counts
            what = "curvature" if found else "layers"
            self._miss({what: f"{type(error).__name__}: {error}".splitlines()[0]})
        if not found:
            return []
        for one in found:
            self._miss(one.missing)
        self.steps.append(step)
        rows = [row for one in found for row in one.rows()]
        self._rows += [{"step": step, **row} for row in rows]
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()
        for one in found if step == 0 and config.diagnostics.print else ():
            console.print(one)
        return rows

    def _miss(self, missing: dict[str, str]) -> None:
        for quantity, reason in missing.items():
            if quantity not in self.missing:
                errors.print(f"diagnostics: no {quantity}: {reason}", markup=False, soft_wrap=True)
        self.missing = {**missing, **self.missing}
