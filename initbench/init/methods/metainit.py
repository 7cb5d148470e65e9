"""MetaInit: sets the norms of the weights so that gradient descent starts where the loss has little curvature."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from initbench.errors import unknown
from initbench.init.derivatives import differentiable
from initbench.init.method import Batch, Loss

DATA = ("random", "batch")


def metainit_(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    stream: Callable[[str], Generator],
    *,
    steps: int = 50,
    learning_rate: float = 0.1,
    momentum: float = 0.5,
    epsilon: float = 1e-5,
    data: str = "random",
) -> dict[str, float]:
    """Minimize the gradient quotient, mean |(g - H g) / (g + epsilon * sign g) - 1|, over the norms of the weights.

    g is the gradient of the loss and H its Hessian, so the quotient measures how much of the gradient a step of size
    one would change; the mean is over all elements of all parameters. The norm of each weight is changed by sign SGD
    with momentum; its direction is kept.

    With data=random, as in the paper, each step draws standard normal inputs of the batch's shape and uniform class
    labels; token ids, and targets that are not class labels, are drawn from those in the batch. With data=batch every
    step uses the batch itself.

    Two differences from the paper: batch normalization uses the statistics of the batch, as in training (the paper uses
    those of evaluation), and a step at most halves a norm, whereas the paper's can pass zero and flip the weight.

    Weights that are all zero remain zero. A recurrent, packed (query, key and value) or grouped weight has a single
    norm. A step costs about as much as ten training steps, since the derivative of the quotient is a third derivative.

    Returns `steps`, `gradient_quotient_start` and `gradient_quotient_end`.

    Raises ValueError for parameters out of range, if the quotient is not finite, and for a model that torch cannot
    differentiate three times.

    Source: Dauphin & Schoenholz 2019, eq. 1 and figure 2.
    Acts on: every parameter with two or more dimensions: weights, embeddings.
    """
    if data not in DATA:
        raise unknown("data of metainit", data, DATA)
    if steps < 1 or learning_rate <= 0 or not 0 <= momentum < 1 or epsilon <= 0:
        raise ValueError(
            f"metainit needs steps >= 1, learning_rate > 0, 0 <= momentum < 1 and epsilon > 0, "
            f"got {steps}, {learning_rate}, {momentum}, {epsilon}"
        )
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in parameters if parameter.dim() >= 2 and parameter.any()]
    if not weights:
        raise ValueError("metainit needs weights that are not zero, as it changes their norms")
    assert batch.targets is not None  # guaranteed, since the method asks for a loss
    inputs, targets = batch.inputs, batch.targets
    norms = torch.stack([weight.detach().norm() for weight in weights])
    velocity = torch.zeros_like(norms)

    def quotient(seed: Generator) -> Tensor:
        outputs = model(inputs if data == "batch" else _random_inputs(inputs, seed))
        wanted = targets if data == "batch" else _random_targets(targets, outputs, seed)
        return gradient_quotient(loss(outputs, wanted), parameters, epsilon)

    with differentiable(model, "metainit", times=3):
        for step in range(steps):
            value = quotient(stream(f"metainit/{step}"))
            if not value.isfinite():
                raise ValueError(f"the gradient quotient is {value.item()} in step {step} of metainit")
            if step == 0:
                start = value.item()
            gradients = torch.autograd.grad(value, weights, materialize_grads=True)
            with torch.no_grad():
                slopes = torch.stack([(w * g).sum() for w, g in zip(weights, gradients, strict=True)]) / norms
                velocity = momentum * velocity - learning_rate * slopes.sign()
                moved = torch.maximum(norms + velocity, norms / 2)
                for weight, factor in zip(weights, moved / norms, strict=True):
                    weight.mul_(factor)
                norms = moved
        end = quotient(stream("metainit/0")).item()
    return {"steps": steps, "gradient_quotient_start": start, "gradient_quotient_end": end}


def gradient_quotient(loss: Tensor, parameters: Sequence[Tensor], epsilon: float) -> Tensor:
    """mean |(g - H g) / (g + epsilon * sign g) - 1| over all elements, differentiable; the sign of 0 is 1."""
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    half_square = sum((g.square().sum() for g in gradients), torch.zeros_like(loss)) / 2
    products = torch.autograd.grad(half_square, parameters, create_graph=True, materialize_grads=True)  # H g
    deviations = []
    for g, product in zip(gradients, products, strict=True):
        sign = torch.where(g >= 0, 1.0, -1.0).to(g)
        deviations.append(((g - product) / (g + epsilon * sign) - 1).abs().sum())
    return torch.stack(deviations).sum() / sum(parameter.numel() for parameter in parameters)


def _random_inputs(like: Tensor, generator: Generator) -> Tensor:
    if like.is_floating_point():
        return torch.randn(like.shape, generator=generator, device="cpu", dtype=torch.float32).to(like)
    return _resample(like.flatten(), like.numel(), generator).view_as(like)


def _random_targets(like: Tensor, outputs: Tensor, generator: Generator) -> Tensor:
    # Class labels: one integer for each vector of scores along the second dimension, or along the last, as of tokens.
    if not like.is_floating_point() and isinstance(outputs, Tensor):
        for place in (1, -1):
            if outputs.dim() == like.dim() + 1 and outputs.select(place, 0).shape == like.shape:
                return torch.randint(outputs.shape[place], like.shape, generator=generator, device="cpu").to(like)
    return _resample(like, len(like), generator)


def _resample(values: Tensor, count: int, generator: Generator) -> Tensor:
    return values[torch.randint(len(values), (count,), generator=generator, device="cpu").to(values.device)]
