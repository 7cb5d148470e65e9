"""Optimizers: torch's, and your own.

An optimizer is a torch.optim.Optimizer here (or anywhere importable) with a YAML in conf/optimizer/ whose `_target_`
names it; `build` passes it the parameters in groups, each with its learning rate, eps and weight decay.
"""

from initbench.optimizer.builder import DECAYED, OptimizerFactors, build, parameter_groups

__all__ = ["DECAYED", "OptimizerFactors", "build", "parameter_groups"]
