"""Layer-sequential unit variance (Mishkin & Matas 2016)."""

from torch import nn

from initbench.init.method import Batch
from initbench.init.methods.execution import LayerCall, unscalable, visit_layers


def lsuv_(model: nn.Module, batch: Batch, *, tolerance: float = 0.1, max_tries: int = 10) -> dict[str, float]:
    """W / std(output), layer by layer in execution order, until |var(output) - 1| < tolerance.

    The variance is over the whole output: samples, units and positions. One forward pass is enough, since each layer is
    scaled before the next one runs. Returns `steps` (1) and `rescalings`, the number of times a layer was scaled.

    A module that runs several times is scaled at its first run; a weight shared by several modules is scaled with the
    first of them. Weights inside nn.MultiheadAttention, in recurrent modules and in modules that do not run are left as
    they are.

    Raises ValueError if a layer's output is constant or not finite, and if `max_tries` rescalings do not reach the
    tolerance (the paper's algorithm continues).

    Source: Mishkin & Matas 2016, algorithm 1.
    Acts on: the weights of the linear, bilinear and convolutional layers that run.
    """
    if tolerance <= 0 or max_tries < 1:
        raise ValueError(
            f"tolerance must be positive and max_tries at least 1, got tolerance={tolerance}, max_tries={max_tries}"
        )
    rescalings = 0

    def scale(layer: LayerCall) -> None:
        nonlocal rescalings
        for _ in range(max_tries):
            _, std = layer.moments()
            if abs(std**2 - 1) < tolerance:
                return
            layer.rescale(1 / std)
            rescalings += 1
        _, std = layer.moments()
        if abs(std**2 - 1) >= tolerance:
            raise unscalable(layer, "variance", float(std**2))

    visit_layers(model, batch.inputs, scale)
    return {"steps": 1, "rescalings": rescalings}
