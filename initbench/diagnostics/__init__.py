"""How signal and gradient pass through a network at its current weights, on one batch. Does not need Lightning."""
