"""Alignment of small image patches with brightness left free, for many patches at once.

A landmark's patch comes from the keyframe that first saw it. The two poses and the landmark's
depth give its warp; then it is aligned with the new image. Unlike a chain of frame-to-frame flow
this does not drift, and the correlation of the two patches shows whether they are the same.
Inverse compositional Gauss-Newton: Baker and Matthews, IJCV 2004, with gain and offset as
further linear unknowns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.edges import strongest_change
from e2e_slam_ros.tracking.rigid import Floats

_HALF = 5
_STEPS = 8
# Variance of grey values under which a patch is flat and correlates with anything.
_LEAST_VARIANCE = 9.0
_CONVERGED_PX = 0.01


@dataclass(frozen=True, eq=False)
class PatchAlignment:
    """Patches found in an image.

    Attributes:
        pixels: (N, 2) position of each patch's centre.
        similarity: (N,) normalised correlation in [-1, 1]; -1 where alignment failed.

    Example:
        >>> y, x = np.indices((32, 32))
        >>> image = (128 + 60 * np.sin(x / 3) * np.cos(y / 4)).astype(np.uint8)
        >>> levels, centre = image_levels(image, 1), np.array([[15.0, 16.0]])
        >>> which, warps, start = np.array([0]), np.eye(2)[None], centre + 1.0
        >>> found = align([levels], which, centre, warps, levels, start, coarsest=0)
        >>> found.pixels.round(1).tolist(), found.similarity.round(2).tolist()
        ([[15.0, 16.0]], [1.0])
    """

    pixels: Floats
    similarity: Floats


def image_levels(image: Image, count: int) -> list[npt.NDArray[np.float32]]:
    """Return ``count`` float32 images, each half the size of the one before."""
    levels = [image.astype(np.float32)]
    for _ in range(count - 1):
        last = levels[-1]
        size = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
        levels.append(cv2.resize(last, size, interpolation=cv2.INTER_AREA).astype(np.float32))
    return levels


def align(
    references: Sequence[Sequence[npt.NDArray[np.float32]]],
    which: npt.NDArray[np.int64],
    centres: Floats,
    warps: Floats,
    image: Sequence[npt.NDArray[np.float32]],
    starts: Floats,
    coarsest: int = 1,
    edge: npt.NDArray[np.bool_] | None = None,
) -> PatchAlignment:
    """Align patches of reference images with an image.

    Args:
        references: level images (`image_levels`) of each reference.
        which: (N,) index of each patch's reference.
        centres: (N, 2) its centre there, full-resolution pixels.
        warps: (N, 2, 2) motion of a point in the reference per motion of it in the image.
        image: level images of the image to search.
        starts: (N, 2) expected position of each patch in it.
        coarsest: level to start at; each level doubles the reach of about 4 pixels.
        edge: (N,) patches on a straight edge, which move across it only; None: none is.

    Returns:
        The positions at full resolution and the correlation there.
    """
    pixels = starts.astype(np.float64).copy()
    similarity = np.full(len(pixels), -1.0)
    for level in range(coarsest, -1, -1):
        scale = 0.5**level
        at = (pixels + 0.5) * scale - 0.5
        template = _templates(references, which, (centres + 0.5) * scale - 0.5, warps, level)
        at, similarity = _align_level(template, image[level], at, edge)
        pixels = (at + 0.5) / scale - 0.5
    return PatchAlignment(pixels, similarity)


def _grid(half: int) -> Floats:
    line = np.arange(-half, half + 1, dtype=np.float64)
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _sample(image: npt.NDArray[np.float32], pixels: Floats) -> npt.NDArray[np.float32]:
    """Return the bilinear samples (N, P) at ``pixels`` (N, P, 2); edge values outside."""
    maps = np.ascontiguousarray(pixels, np.float32)
    sampled = cv2.remap(
        image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(sampled, dtype=np.float32)


def _templates(
    references: Sequence[Sequence[npt.NDArray[np.float32]]],
    which: npt.NDArray[np.int64],
    centres: Floats,
    warps: Floats,
    level: int,
) -> npt.NDArray[np.float32]:
    """Return the warped patches (N, S, S) with a rim of one pixel for their gradient."""
    offsets = np.einsum("nij,pj->npi", warps, _grid(_HALF + 1))
    side = 2 * (_HALF + 1) + 1
    result = np.zeros((len(which), side * side), np.float32)
    for reference in np.unique(which):
        chosen = which == reference
        result[chosen] = _sample(
            references[reference][level], centres[chosen, None] + offsets[chosen]
        )
    return result.reshape(-1, side, side)


def _align_level(
    template: npt.NDArray[np.float32],
    image: npt.NDArray[np.float32],
    at: Floats,
    edge: npt.NDArray[np.bool_] | None,
) -> tuple[Floats, Floats]:
    inner = template[:, 1:-1, 1:-1].reshape(len(template), -1)
    dx = 0.5 * (template[:, 1:-1, 2:] - template[:, 1:-1, :-2]).reshape(inner.shape)
    dy = 0.5 * (template[:, 2:, 1:-1] - template[:, :-2, 1:-1]).reshape(inner.shape)
    mean = inner.mean(1, keepdims=True)
    centred = inner - mean
    variance = (centred * centred).mean(1)
    # Unknowns of a patch: shift in x and y, gain, offset. On an edge: shift across it alone.
    axes = np.tile(np.eye(2, dtype=np.float32), (len(template), 1, 1))
    if edge is not None and edge.any():
        axes[edge, 0] = strongest_change(dx[edge], dy[edge])
        axes[edge, 1] = 0.0
    shift = axes @ np.stack([dx, dy], axis=1)
    jacobian = np.concatenate([shift, np.stack([centred, np.ones_like(inner)], axis=1)], axis=1)
    hessian = jacobian @ jacobian.transpose(0, 2, 1)
    trace = np.trace(hessian, axis1=1, axis2=2)
    hessian = hessian + (1e-6 * trace + 1e-3)[:, None, None] * np.eye(4, dtype=np.float32)
    solver = np.linalg.inv(hessian.astype(np.float64)) @ jacobian
    solver = (np.swapaxes(axes, 1, 2) @ solver[:, :2]).astype(np.float32)
    grid = _grid(_HALF)
    at = at.copy()
    active = np.arange(len(at))
    for _ in range(_STEPS):
        if not len(active):
            break
        seen = _sample(image, at[active, None] + grid)
        error = seen - seen.mean(1, keepdims=True) - centred[active]
        step = np.einsum("nip,np->ni", solver[active], error)
        length = np.linalg.norm(step, axis=1)
        step *= np.minimum(1.0, 2.0 / np.maximum(length, 1e-9))[:, None]
        at[active] -= step
        active = active[length > _CONVERGED_PX]
    seen = _sample(image, at[:, None] + grid)
    seen = seen - seen.mean(1, keepdims=True)
    product = (seen * centred).mean(1)
    other = (seen * seen).mean(1)
    flat = (variance < _LEAST_VARIANCE) | (other < _LEAST_VARIANCE)
    similarity = product / np.sqrt(np.maximum(variance * other, 1e-9))
    return at, np.where(flat, -1.0, similarity).astype(np.float64)
