"""Regression with a Gaussian process over features of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Likeness:
    """Covariance of two values by how much their features look alike (Rasmussen & Williams 2006).

    Features are of length 1, so that their squared distance is 2 - 2 cos.

    Attributes:
        amplitude: standard deviation of a value whose features are like no others.
        length: distance of features over which values change.

    Example:
        >>> one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> likeness = Likeness(amplitude=0.2, length=0.5)
        >>> bool(likeness(one, one) > 10.0 * likeness(one, other))
        True
    """

    amplitude: float
    length: float

    def __call__(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """Return the covariance (N, M) float64 of (N, C) and (M, C) features of length 1."""
        square = (2.0 - 2.0 * (ours @ theirs.T).double()).clamp_min(0.0)
        near = (-0.5 / self.length**2 * square).exp()
        return self.amplitude**2 * near


def expected(
    likeness: Likeness,
    features: torch.Tensor,
    known_features: torch.Tensor,
    values: torch.Tensor,
    variance: torch.Tensor,
) -> torch.Tensor:
    """Return the expected values (N,) float64 at features; 0 where nothing known is like them.

    Args:
        likeness: covariance.
        features: (N, C) of length 1, where values are wanted.
        known_features: (M, C) of length 1, where they are known, M >= 1.
        values: (M,) known values.
        variance: (M,) > 0 of their errors, which are independent.

    Example:
        >>> here = torch.eye(3)
        >>> known, values = here[:1], torch.tensor([0.3])
        >>> found = expected(Likeness(0.2, 0.3), here, known, values, torch.tensor([1e-6]))
        >>> [round(float(value), 2) for value in found]
        [0.3, 0.0, 0.0]
    """
    covariance = likeness(known_features, known_features)
    factor = torch.linalg.cholesky(covariance + torch.diag(variance.double()))
    weights = torch.cholesky_solve(values.double()[:, None], factor)
    return (likeness(features, known_features) @ weights)[:, 0]
