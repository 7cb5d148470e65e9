"""What the record of a run that has ended says: how it converged, and how long that took."""

from collections.abc import Mapping, Sequence

from initbench.metric import Metric
from initbench.record.convergence import convergence, time_to_targets
from initbench.record.history import History
from initbench.record.plain import Record


def fields(
    history: History,
    *,
    metric: Metric,
    chance_loss: float | None,
    test: Mapping[str, float],
    targets: Sequence[float],
    seconds_init: float,
) -> Record:
    """Results, times to the targets and durations. `test`: loss and metric on the test set; empty if it diverged."""
    rows = list(history)
    latest = {f"train/{name}": history.latest.get(f"train/{name}") for name in ("loss", metric.name)}
    return {
        "reason": history.diverged,
        "results": {
            "chance_loss": chance_loss,
            **convergence(rows, metric),
            **latest,
            **{f"test/{name}": value for name, value in test.items()},
        },
        "targets": time_to_targets(
            rows, targets, metric, seconds_init=seconds_init, reason="diverged" if history.diverged else "budget"
        ),
        "steps": rows[-1]["step"] if rows else 0,
        "seconds_init": seconds_init,
        "seconds_train": history.seconds,
        "seconds_evaluation": history.seconds_evaluation,
        "seconds_compile": history.seconds_compile,
        "seconds_diagnostics": 0.0,  # of a run without any
        "diagnostics": {"steps": [], "missing": {}},
    }
