"""Local planes of a depth image: smoothing, slopes and normals in one fit.

Inverse depth is linear in the pixel on a plane, ``1/z = a u + b v + c``. A least-squares fit over
the known pixels of a window is therefore exact on planes, whichever pixels are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

# Relative spread of inverse depth within a window above which it spans two surfaces.
_ONE_SURFACE = 0.12
# Share of a window that must be known.
_LEAST_KNOWN = 0.35
# Determinant of the second moments below which the known pixels lie on a line, pixels^4.
_LEAST_SPREAD = 0.05


@dataclass(frozen=True, eq=False)
class PlaneFit:
    """The plane around each pixel, (B, 1, H, W) each; 0 where there is none.

    Attributes:
        inverse_depth: at the pixel, 1/metres.
        along_u, along_v: its slopes, 1/metres a pixel.
        valid: bool.

    Example:
        >>> v, u = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
        >>> inverse = (0.5 + 0.002 * u - 0.001 * v)[None, None]
        >>> inverse[0, 0, 4, 3] = 0.0
        >>> fit = fit_planes(inverse, 5)
        >>> [round(float(x[0, 0, 4, 4]), 4) for x in (fit.inverse_depth, fit.along_u, fit.along_v)]
        [0.504, 0.002, -0.001]
    """

    inverse_depth: torch.Tensor
    along_u: torch.Tensor
    along_v: torch.Tensor
    valid: torch.Tensor

    def halved(self) -> torch.Tensor:
        """Return inverse depth (B, 1, H/2, W/2) at the centres of 2x2 blocks, 0 = unknown.

        Each pixel's plane is continued to the block's centre, half a pixel away.
        """
        height, width = (side // 2 * 2 for side in self.valid.shape[-2:])
        total = torch.zeros_like(self.inverse_depth[..., : height // 2, : width // 2])
        count = torch.zeros_like(total)
        for row in (0, 1):
            for column in (0, 1):
                part = (..., slice(row, height, 2), slice(column, width, 2))
                there = self.inverse_depth[part]
                there = there + (0.5 - column) * self.along_u[part]
                total = total + there + (0.5 - row) * self.along_v[part]
                count = count + self.valid[part].to(total.dtype)
        mean = total / count.clamp_min(1.0)
        return torch.where((count > 1) & (mean > 0), mean, 0.0)


def fit_planes(inverse: torch.Tensor, window: int) -> PlaneFit:
    """Fit a plane around each known pixel; differentiable in ``inverse``.

    Args:
        inverse: (B, 1, H, W) 1/metres, 0 = unknown.
        window: odd side, pixels.
    """
    known = (inverse > 0).to(inverse.dtype)
    n, u, v, uu, uv, vv = _moments(known, window, ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)))
    s, su, sv = _moments(inverse, window, ((0, 0), (1, 0), (0, 1)))
    # Solved around the mean of the known pixels, where the slopes separate from the value.
    share = 1.0 / n.clamp_min(1.0)
    mean_u, mean_v, mean = u * share, v * share, s * share
    uu, uv, vv = uu - u * mean_u, uv - u * mean_v, vv - v * mean_v
    su, sv = su - s * mean_u, sv - s * mean_v
    determinant = uu * vv - uv * uv
    enough = n >= _LEAST_KNOWN * window * window
    valid = (known > 0) & enough & (determinant > _LEAST_SPREAD) & _one_surface(inverse, window)
    over = 1.0 / torch.where(valid, determinant, torch.ones_like(determinant))
    along_u, along_v = (vv * su - uv * sv) * over, (uu * sv - uv * su) * over
    at_pixel = mean - along_u * mean_u - along_v * mean_v
    valid = valid & (at_pixel > 0)
    return PlaneFit(
        inverse_depth=torch.where(valid, at_pixel, 0.0),
        along_u=torch.where(valid, along_u, 0.0),
        along_v=torch.where(valid, along_v, 0.0),
        valid=valid,
    )


def plane_normals(fit: PlaneFit, intrinsics: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, H, W) unit normals towards the camera, 0 where there is no plane.

    With ``n . p = d`` and ``p = z K^-1 (u, v, 1)``, inverse depth is ``n^T K^-1 (u, v, 1) / d``.

    Args:
        fit: the planes.
        intrinsics: (B, 3, 3), pinhole without skew.
    """
    height, width = fit.valid.shape[-2:]
    kind, device = fit.along_u.dtype, fit.along_u.device
    fx, fy, cx, cy = (intrinsics[:, i, j, None, None, None] for i, j in _ENTRIES)
    u = torch.arange(width, dtype=kind, device=device) - cx
    v = torch.arange(height, dtype=kind, device=device)[:, None] - cy
    x, y = fit.along_u * fx, fit.along_v * fy
    z = fit.inverse_depth - fit.along_u * u - fit.along_v * v
    square = x * x + y * y + z * z
    length = torch.where(fit.valid, square, torch.ones_like(square)).sqrt()
    return torch.where(fit.valid, -torch.cat([x, y, z], dim=1) / length, 0.0)


_ENTRIES = ((0, 0), (1, 1), (0, 2), (1, 2))


def _moments(
    image: torch.Tensor, window: int, powers: tuple[tuple[int, int], ...]
) -> list[torch.Tensor]:
    """Return the sums of ``du^i dv^j image`` over a window, for each (i, j)."""
    half = window // 2
    padded = functional.pad(image, (half,) * 4)
    height, width = image.shape[-2:]
    steps = range(-half, half + 1)
    rows = {
        i: _weighted(i, [(d, padded[..., half + d : half + d + width]) for d in steps])
        for i in {i for i, _ in powers}
    }
    return [
        _weighted(j, [(d, rows[i][..., half + d : half + d + height, :]) for d in steps])
        for i, j in powers
    ]


def _weighted(power: int, parts: list[tuple[int, torch.Tensor]]) -> torch.Tensor:
    weighted = [(float(d**power), part) for d, part in parts if power == 0 or d != 0]
    total = weighted[0][0] * weighted[0][1]
    for weight, part in weighted[1:]:
        total = total.add(part, alpha=weight)
    return total


def _one_surface(inverse: torch.Tensor, window: int) -> torch.Tensor:
    """Return where the known pixels of a window are of one surface."""
    with torch.no_grad():
        nearest = _extreme(inverse, window, torch.maximum)
        unknown = torch.where(inverse > 0, inverse, torch.inf)
        farthest = _extreme(unknown, window, torch.minimum)
        return nearest - farthest < _ONE_SURFACE * nearest


def _extreme(
    image: torch.Tensor,
    window: int,
    choose: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    half = window // 2
    height, width = image.shape[-2:]
    padded = functional.pad(image, (half,) * 4, mode="replicate")
    rows = padded[..., :width]
    for step in range(1, window):
        rows = choose(rows, padded[..., step : step + width])
    result = rows[..., :height, :]
    for step in range(1, window):
        result = choose(result, rows[..., step : step + height, :])
    return result
