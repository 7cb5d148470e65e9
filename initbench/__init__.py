"""Which weight initialization should I use, and how sure are we?

The public face: `initialize(model, "orthogonal", seed=0)`, `Initialize("orthogonal", seed=0)` (a Lightning callback),
`diagnose(model, batch)`, `curvature(model, batch)`,
`compare(train, inits, seeds, score="loss", higher_is_better=False)`,
`load_runs("runs/study")`, `load_wandb("entity/project")` and `verdict(frame, score="loss", higher_is_better=False)`.
Names are imported on first use, so that `import initbench` costs nothing.
"""

from typing import TYPE_CHECKING

from initbench import interrupt, lazy
from initbench.registry import CONF

interrupt.guard_imports()

__version__ = "0.1.0"
__all__ = [
    "CONF",
    "Initialize",
    "Initializer",
    "Record",
    "assert_initialized",
    "audit",
    "compare",
    "curvature",
    "describe",
    "diagnose",
    "initialize",
    "learning_rates",
    "load_runs",
    "load_wandb",
    "optimizer_factors",
    "verdict",
]

if TYPE_CHECKING:
    from initbench.analysis.loading.frame import load_runs
    from initbench.analysis.loading.wandb_records import load_wandb
    from initbench.auditing.audit import assert_initialized, audit
    from initbench.callbacks.initialize import Initialize
    from initbench.callbacks.record import Record
    from initbench.diagnostics.curvature import curvature
    from initbench.diagnostics.diagnose import diagnose
    from initbench.init import Initializer, describe, initialize, learning_rates, optimizer_factors
    from initbench.loop.compare import compare
    from initbench.report.verdict import verdict
else:  # a type checker would allow any name, misspelled ones too
    __getattr__ = lazy.attributes(
        __name__,
        {
            "Initialize": "initbench.callbacks.initialize",
            "Initializer": "initbench.init",
            "Record": "initbench.callbacks.record",
            "assert_initialized": "initbench.auditing.audit",
            "audit": "initbench.auditing.audit",
            "compare": "initbench.loop.compare",
            "curvature": "initbench.diagnostics.curvature",
            "diagnose": "initbench.diagnostics.diagnose",
            "describe": "initbench.init",
            "initialize": "initbench.init",
            "learning_rates": "initbench.init",
            "load_runs": "initbench.analysis.loading.frame",
            "load_wandb": "initbench.analysis.loading.wandb_records",
            "optimizer_factors": "initbench.init",
            "verdict": "initbench.report.verdict",
        },
    )


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
