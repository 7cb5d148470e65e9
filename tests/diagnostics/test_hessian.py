"""Products with Hessians, and the largest eigenvalue of a matrix that is known by its products alone."""

import numpy as np
import pytest
import torch
from dense import gradient_and_hessian
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.diagnostics.hessian import Hessian, flat, largest_eigenvalue


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def largest(eigenvalues: Tensor, dtype: torch.dtype = torch.float32) -> float:
    """A matrix with these eigenvalues: a diagonal one, reflected at a random plane."""
    eigenvalues, normal = eigenvalues.to(dtype), torch.randn(len(eigenvalues), generator=generator(), dtype=dtype)
    normal /= normal.norm()

    def reflect(vector: Tensor) -> Tensor:
        return vector - 2 * normal * normal.dot(vector)

    start = torch.randn(len(eigenvalues), generator=generator(), dtype=dtype)
    return largest_eigenvalue(lambda vector: reflect(eigenvalues * reflect(vector)), start)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "eigenvalues",
    [
        torch.linspace(-1, 1, 300) ** 3,
        torch.linspace(-1, 1, 3000),  # none of them stands out
        torch.linspace(-50, 2, 300),  # the largest, not the largest in absolute value
        -torch.linspace(1, 2, 300),
        torch.cat([torch.tensor([3.0, 2.9, -1.0]), torch.zeros(297)]),  # a Krylov space of four dimensions
        torch.full((300,), 0.5),
        torch.logspace(-8, 6, 300),
        1e-6 * torch.linspace(0, 1, 300),
        torch.linspace(-2, 1, 8),
        torch.linspace(-2, 1, 9),
        torch.tensor([7.0]),
    ],
    ids=lambda eigenvalues: f"{len(eigenvalues)} up to {float(eigenvalues.max()):g}",
)
def test_it_is_found_to_within_one_percent(eigenvalues: Tensor, dtype: torch.dtype) -> None:
    assert largest(eigenvalues, dtype) == pytest.approx(float(eigenvalues.max()), rel=0.01)


def test_that_of_zeros_is_zero() -> None:
    assert largest(torch.zeros(300)) == 0
    assert largest(torch.zeros(3)) == 0


def test_it_depends_on_the_start_alone_and_not_on_numpys_generator() -> None:
    """Also where the Krylov space of the start is small, so that other vectors have to be drawn."""
    eigenvalues = torch.cat([torch.tensor([3.0, 2.9, -1.0]), torch.zeros(297)])
    np.random.seed(0)  # noqa: NPY002 - the global generator is what is looked at
    state = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002 - as above
    assert largest(eigenvalues) == largest(eigenvalues)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index, union-attr]  # noqa: NPY002 - as above


def test_products_are_those_of_the_matrix_also_of_a_parameter_that_is_not_used() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    batch = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    unused = torch.zeros(2, requires_grad=True)
    hessian = Hessian(F.cross_entropy(model(batch[0]), batch[1]), [*model.parameters(), unused])
    gradient, matrix = gradient_and_hessian(model, batch)
    torch.testing.assert_close(flat(hessian.gradients)[:-2].double(), gradient, rtol=1e-4, atol=1e-6)
    products = torch.stack([hessian(row) for row in torch.eye(len(gradient) + 2)])
    torch.testing.assert_close(products[:-2, :-2].double(), matrix, rtol=1e-4, atol=1e-6)
    assert not products[-2:].any()
    assert not products[:, -2:].any()
    assert hessian.products == len(gradient) + 2


def test_the_hessian_of_a_linear_loss_is_zero() -> None:
    weight = torch.ones(30, requires_grad=True)
    hessian = Hessian((weight * torch.arange(30)).sum(), [weight])
    assert not hessian(torch.ones(30)).any()


def test_a_product_that_is_not_finite_is_refused() -> None:
    weight = torch.full((30,), 1e30, requires_grad=True)
    hessian = Hessian((weight**4).sum(), [weight])
    with pytest.raises(ValueError, match="not finite"):
        hessian(torch.ones(30))


def test_what_takes_too_long_is_refused() -> None:
    """A largest eigenvalue that is so near to zero that rounding hides it."""
    eigenvalues = torch.linspace(-1, 1e-9, 3000)
    with pytest.raises(ValueError, match="have not converged after 50 restarts"):
        largest_eigenvalue(lambda vector: eigenvalues * vector, torch.ones(3000))
