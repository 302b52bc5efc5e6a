"""Points on straight edges: they count across the edge, and hardly along it.

Where the grey value changes in one direction only, a point can be found across the edge but not
along it (the aperture problem). Blank walls and cabinets show little else. An error in pixels is
split into the part across the edge and a twentieth of the part along it. The direction comes from
the structure tensor of the very image that the point is seen in, so it turns with the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import Image, structure
from e2e_slam_ros.tracking.rigid import Floats

# Half the side of the window whose gradients tell the direction, pixels.
_HALF = 3
# Weight of the error along an edge, over that across it.
_ALONG = 0.05
# Mean squared gradient of an edge worth tracking: 4 grey values a pixel, which Sobel makes 32.
_LEAST_CHANGE = 32.0**2
_CELL_PX, _BORDER_PX = 24, 12


def detect_edges(image: Image, existing: Floats, count: int) -> Floats:
    """Return points on edges, one in each cell of the image without a point, strongest first.

    Args:
        image: (H, W) uint8 grey.
        existing: (N, 2) points already tracked.
        count: largest number of points to return.

    Returns:
        (M, 2) pixels (x, y).
    """
    rows, columns = (side // _CELL_PX for side in image.shape)
    if count <= 0 or not rows or not columns:
        return np.zeros((0, 2))
    on_edge, change = structure(image)
    change[~on_edge] = 0.0
    change[:_BORDER_PX], change[-_BORDER_PX:] = 0.0, 0.0
    change[:, :_BORDER_PX], change[:, -_BORDER_PX:] = 0.0, 0.0
    cells = change[: rows * _CELL_PX, : columns * _CELL_PX]
    cells = cells.reshape(rows, _CELL_PX, columns, _CELL_PX).transpose(0, 2, 1, 3)
    cells = cells.reshape(rows * columns, -1)
    best = cells.argmax(1)
    strength = cells[np.arange(len(cells)), best]
    taken = np.floor(existing / _CELL_PX).astype(int)
    taken = taken[((taken >= 0) & (taken < (columns, rows))).all(1)]
    strength[taken[:, 1] * columns + taken[:, 0]] = 0.0
    order = np.argsort(-strength, kind="stable")[:count]
    order = order[strength[order] > _LEAST_CHANGE]
    row, column = np.divmod(order, columns)
    y, x = np.divmod(best[order], _CELL_PX)
    return np.stack([column * _CELL_PX + x, row * _CELL_PX + y], axis=1).astype(np.float64)


def edge_normals(image: Image, pixels: Floats) -> Floats:
    """Return the unit vectors (N, 2) across the edges at pixels (N, 2) of an image (H, W)."""
    if not len(pixels):
        return np.zeros((0, 2))
    line = np.arange(-_HALF - 1, _HALF + 2, dtype=np.float32)
    side = len(line)
    x = pixels[:, 0].astype(np.float32)[:, None] + np.tile(line, side)
    y = pixels[:, 1].astype(np.float32)[:, None] + np.repeat(line, side)
    patch = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    patch = patch.reshape(len(pixels), side, side).astype(np.float64)
    dx = patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]
    dy = patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1]
    return strongest_change(dx.reshape(len(pixels), -1), dy.reshape(len(pixels), -1))


def strongest_change(
    dx: npt.NDArray[np.floating[Any]], dy: npt.NDArray[np.floating[Any]]
) -> Floats:
    """Return the unit vectors (N, 2) along which patches change most, from gradients (N, P).

    The eigenvector of the structure tensor's larger eigenvalue.
    """
    xx, yy, xy = (dx * dx).sum(1), (dy * dy).sum(1), (dx * dy).sum(1)
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def whiteners(
    views: Sequence[tuple[Image, Floats, npt.NDArray[np.bool_]]],
) -> Floats | None:
    """Return matrices that split the pixel errors of points on edges; None where none is on one.

    Args:
        views: of each image (H, W) the pixels (N, 2) of its points, and which are on edges (N,).

    Returns:
        (M, 2, 2) for the points of all images; an error times it is that across the edge, and a
        twentieth of that along it. The identity for corners.
    """
    if not any(edge.any() for _, _, edge in views):
        return None
    parts = []
    for image, pixels, edge in views:
        part = np.tile(np.eye(2), (len(pixels), 1, 1))
        x, y = edge_normals(image, pixels[edge]).T
        part[edge] = np.stack([x, y, -_ALONG * y, _ALONG * x], axis=1).reshape(-1, 2, 2)
        parts.append(part)
    return np.concatenate(parts)


def slide(pixels: Floats, to: Floats, normals: Floats) -> Floats:
    """Return pixels (N, 2) moved along their edges as near to other ones as they come."""
    return to - normals * ((to - pixels) * normals).sum(1, keepdims=True)
