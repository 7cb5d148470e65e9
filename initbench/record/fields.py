"""What the record of a run that ended says."""

from collections.abc import Mapping
from typing import Any

from initbench.record.convergence import convergence, time_to_targets
from initbench.record.provenance import provenance
from initbench.record.rows import Rows
from initbench.record.store import now
from initbench.training.build import Experiment


def conclusion(experiment: Experiment, rows: Rows, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """All but how long it took. `outcome`: status, reason, test."""
    learner, data = experiment.learner, experiment.data
    history = list(rows)
    targets = time_to_targets(
        history,
        data.targets,
        seconds_init=learner.seconds_init,
        reason="diverged" if outcome["status"] == "diverged" else "budget",
    )
    latest = {key: rows.latest.get(key) for key in ("train/loss", "train/accuracy")}
    results = {
        **convergence(history, data.num_classes),
        **latest,
        **{f"test/{name}": value for name, value in outcome["test"].items()},
    }
    return {
        "finished_at": now(),
        "reason": outcome["reason"],
        "results": results,
        "targets": targets,
        "steps": history[-1]["step"] if history else 0,
        "total_steps": experiment.total_steps,
        "seconds_init": learner.seconds_init,
        "init_numbers": learner.init_numbers,
        "init_batch": 0 if learner.initializer.needs_batch else None,  # of the first epoch, as the seed orders it
        "micro_batches": learner.micro_batches,
        "initial_weights": learner.initial_weights,
        "device": str(learner.device),
        "provenance": provenance(),
    }
