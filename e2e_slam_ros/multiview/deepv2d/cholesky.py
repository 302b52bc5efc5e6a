"""Solution of normal equations by Cholesky, with the implicit gradient (DeepV2D eq. 14-15)."""

from __future__ import annotations

from typing import Any

import torch

# Smallest pivot of the undamped matrix, scaled to a diagonal of 1, that counts as a direction that
# the data determine. Below it a step would be rounding noise of single precision.
_LEAST_PIVOT = 1e-5


class _Solve(torch.autograd.Function):
    """x of H x = b for symmetric positive definite H; the factor is kept for the gradient."""

    @staticmethod
    def forward(ctx: Any, h: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        factor, _ = torch.linalg.cholesky_ex(h)
        x = torch.cholesky_solve(b.unsqueeze(-1), factor).squeeze(-1)
        ctx.save_for_backward(factor, x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factor, x = ctx.saved_tensors
        # dL/db = H^-1 dL/dx, dL/dH = -(dL/db) x^T: one more solution with the same factor.
        to_b = torch.cholesky_solve(gradients[0].unsqueeze(-1), factor)
        return -to_b * x.unsqueeze(-2), to_b.squeeze(-1)


def solve_normal_equations(
    h: torch.Tensor, b: torch.Tensor, damping: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x of ``(H + damping diag(H)) x = b``, and whether each system could be solved.

    The backward pass solves another system with the same factor instead of differentiating the
    factorisation. A system that the data do not determine (a zero on the diagonal, a pivot near
    0 without the damping, values not finite) gives x = 0 with zero gradients.

    Args:
        h: (B, n, n), symmetric.
        b: (B, n).
        damping: relative, as Levenberg and Marquardt damp.

    Returns:
        x (B, n) and solved (B,) bool.

    >>> x, solved = solve_normal_equations(torch.diag(torch.tensor([2.0, 4.0]))[None],
    ...                                    torch.tensor([[2.0, 2.0]]))
    >>> x, solved
    (tensor([[1.0000, 0.5000]]), tensor([True]))
    """
    diagonal = h.diagonal(dim1=-2, dim2=-1)
    finite = torch.isfinite(h).flatten(1).all(1) & torch.isfinite(b).all(1)
    usable = finite & (diagonal > 0).all(1)
    damped = h + damping * torch.diag_embed(diagonal)
    with torch.no_grad():
        # Units of metres and radians would decide what is small: compare with a diagonal of 1.
        root = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal)).double().rsqrt()
        scaled = h.double() * root[:, :, None] * root[:, None, :]
        eye = torch.eye(h.shape[-1], dtype=torch.float64, device=h.device)
        factor, failed = torch.linalg.cholesky_ex(torch.where(usable[:, None, None], scaled, eye))
        pivot = factor.diagonal(dim1=-2, dim2=-1).square().amin(1)
        usable &= (failed == 0) & (pivot > _LEAST_PIVOT)
    # Unusable systems become I x = 0, so that no gradient passes through their values.
    safe_h = torch.where(usable[:, None, None], damped, eye.to(h))
    safe_b = torch.where(usable[:, None], b, torch.zeros_like(b))
    x: torch.Tensor = _Solve.apply(safe_h, safe_b)  # type: ignore[no-untyped-call]
    return x, usable
