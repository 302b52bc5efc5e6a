"""Normal equations: solution, implicit gradient, and systems without one."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.multiview.deepv2d.cholesky import solve_normal_equations


def systems(count: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(count, 2 * size, size, dtype=torch.float64, generator=generator)
    b = torch.randn(count, size, dtype=torch.float64, generator=generator)
    return a.mT @ a, b


def test_gradcheck() -> None:
    h, b = systems(3, 6)

    def solve(h: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        # Perturbations of one entry alone leave the symmetric matrices: take the symmetric part.
        return solve_normal_equations(0.5 * (h + h.mT), b, damping=1e-4)[0]

    assert torch.autograd.gradcheck(solve, (h.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("damping", [0.0, 1e-4])
def test_the_implicit_gradient_is_that_of_a_dense_solve(damping: float) -> None:
    h, b = systems(4, 12, seed=1)
    weight = torch.randn(4, 12, dtype=torch.float64)
    gradients = []
    for dense in (False, True):
        x, y = h.clone().requires_grad_(), b.clone().requires_grad_()
        if dense:
            damped = x + damping * torch.diag_embed(x.diagonal(dim1=-2, dim2=-1))
            solution = torch.linalg.solve(damped, y)
        else:
            solution, solved = solve_normal_equations(x, y, damping)
            assert solved.all()
        (weight * solution).sum().backward()
        assert x.grad is not None and y.grad is not None
        gradients.append((solution.detach(), x.grad, y.grad))
    for mine, dense_one in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, dense_one, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("what", ["zero", "rank", "nan", "infinite", "negative"])
def test_what_is_not_determined_gives_no_step_and_no_gradient(what: str) -> None:
    h, b = systems(3, 6, seed=2)
    if what == "zero":
        h[1] = 0.0
    elif what == "rank":
        h[1, 5], h[1, :, 5] = h[1, 4].clone(), h[1, :, 4].clone()
        h[1, 5, 5] = h[1, 4, 4]
    elif what == "nan":
        b[1, 2] = torch.nan
    elif what == "infinite":
        h[1, 2, 2] = torch.inf
    else:
        h[1] = -h[1]
    h.requires_grad_()
    x, solved = solve_normal_equations(h, b)
    assert solved.tolist() == [True, False, True]
    assert (x[1] == 0).all() and torch.isfinite(x).all()
    x.sum().backward()
    assert h.grad is not None and torch.isfinite(h.grad).all() and (h.grad[1] == 0).all()
    others = h.detach()[[0, 2]], b[[0, 2]]
    torch.testing.assert_close(x.detach()[[0, 2]], torch.linalg.solve(*others))
