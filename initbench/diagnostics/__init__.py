"""How signal and gradient pass through a network at its present weights, on one batch. Needs no Lightning."""
