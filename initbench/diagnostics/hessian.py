"""The Hessian of a loss as a map from vectors to vectors, and the largest eigenvalue of such a map by Lanczos."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from initbench.diagnostics.prepare import DETACHED
from initbench.init.memory import is_finite
from initbench.schema.target import line

if TYPE_CHECKING:
    import numpy as np

_TOLERANCE = 0.01  # of the largest eigenvalue, relative
_KRYLOV = 8  # vectors to a restart, each as large as all parameters; 20, ARPACK's choice, would take twice the products
_RESTARTS = 50  # at most


class Hessian:
    """The products of the Hessian of a loss with vectors (P,), all parameters flattened one after the other.

    A product is one backward pass through the graph of the gradient, which is kept.

    The library curvlinops (3.0.1) takes longer for a product, as it computes the gradient again each time. Its
    forward-mode derivatives do not exist for batch norm in training mode, LSTMs and attention on a CPU, its losses are
    modules, and it would bring six packages along.
    """

    def __init__(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        try:
            found = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        except RuntimeError as error:  # of a change in place, or a layer without a derivative
            raise ValueError(f"the gradient cannot be computed: {line(error)}") from error
        if all(gradient is None for gradient in found):
            raise ValueError(DETACHED)
        pairs = list(zip(parameters, found, strict=True))
        self.parameters = parameters
        self.gradients = [torch.zeros_like(one) if gradient is None else gradient for one, gradient in pairs]
        self.products = 0

    def __call__(self, vector: Tensor) -> Tensor:
        """Raises ValueError for a product that is not finite, and torch's errors if it cannot differentiate twice."""
        if self.products == 0:
            _check_graph(self.gradients)
        self.products += 1
        parts = vector.split([parameter.numel() for parameter in self.parameters])
        # A gradient that is constant is no part of a graph.
        pairs = [(g, part.view_as(g)) for g, part in zip(self.gradients, parts, strict=True) if g.requires_grad]
        if not pairs:
            return torch.zeros_like(vector)
        outputs, vectors = zip(*pairs, strict=True)
        found = torch.autograd.grad(outputs, self.parameters, vectors, retain_graph=True, materialize_grads=True)
        product = flat(found)
        if not is_finite(product):
            raise ValueError("a product of the Hessian with a vector is not finite")
        return product


def _check_graph(gradients: Sequence[Tensor]) -> None:
    """Raise ValueError if there is a function without a second derivative in the graph of the gradients.

    Where such a function is written in Python (`once_differentiable`), torch cuts the graph: without a word it would
    leave a part of the Hessian out.
    """
    nodes = [gradient.grad_fn for gradient in gradients if gradient.grad_fn is not None]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        if node.name().endswith("::Error"):
            raise ValueError("a function in the model or in the loss has no second derivative")
        found = {following for following, _ in node.next_functions if following is not None} - seen
        seen |= found
        nodes += found


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """All entries of all tensors, (P,)."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def largest_eigenvalue(multiply: Callable[[Tensor], Tensor], start: Tensor) -> float:
    """The largest eigenvalue, in the order of the number line, of a symmetric matrix (P, P) that `multiply` applies.

    By Lanczos iterations from `start` (P,), until the relative error is at most 1 %; networks mostly have an eigenvalue
    that stands out, and then it is far smaller. Raises ValueError if that takes more than 50 restarts, which are about
    200 products.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh  # takes a while to import

    size = len(start)
    if size <= _KRYLOV:  # the whole matrix takes no more products
        matrix = torch.stack([multiply(row) for row in torch.eye(size, device=start.device, dtype=start.dtype)])
        return float(torch.linalg.eigvalsh(matrix.double().cpu())[-1])
    image = multiply(start / start.norm())
    # ARPACK's tolerance is absolute for eigenvalues far below 1.
    scale = float(image.norm())
    if scale == 0:  # as for every vector, if it is so for a random one
        return 0.0

    def matvec(vector: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        return (multiply(torch.tensor(vector, device=start.device)) / scale).cpu().numpy()

    first = (image / scale).cpu().numpy()
    try:
        (largest,) = eigsh(
            LinearOperator((size, size), matvec=matvec, dtype=first.dtype),
            k=1,
            which="LA",
            v0=first,
            ncv=_KRYLOV,
            tol=_TOLERANCE,
            maxiter=_RESTARTS,
            return_eigenvectors=False,
            rng=0,  # of the vectors that ARPACK draws if the Krylov space of the first one is small
        )
    except ArpackNoConvergence as error:
        raise ValueError(f"Lanczos iterations have not converged after {_RESTARTS} restarts") from error
    return float(largest) * scale


@contextmanager
def differentiable_twice(model: nn.Module) -> Iterator[None]:
    """A context in which torch computes what it can by functions that have second derivatives."""
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # the fused kernels of attention have none
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):  # nor has cuDNN for these
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield
