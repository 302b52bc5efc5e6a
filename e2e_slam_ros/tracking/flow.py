"""Corners followed from one image to the next."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.edges import edge_normals, slide
from e2e_slam_ros.tracking.rigid import Floats

_WINDOW_PX = 21
_LEVELS = 3
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)
_FARTHEST_BACK_PX = 0.7


def follow(
    before: Image,
    now: Image,
    pixels: Floats,
    expected: Floats,
    edge: npt.NDArray[np.bool_] | None = None,
    window_px: int = _WINDOW_PX,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the corners' pixels in the second image, and which of them are reliable.

    Pyramidal Lucas-Kanade (Bouguet, 2000) from a predicted start, forwards and backwards. A corner
    that does not come back to within 0.7 pixels is unreliable (Kalal et al., ICPR 2010).

    Args:
        before, now: (H, W) uint8 grey.
        pixels: (N, 2) corners in the first image.
        expected: (N, 2) their predicted pixels in the second.
        edge: (N,) points on straight edges, which count across the edge only; None: none is.
        window_px: side of the square that is compared.

    Returns:
        (N, 2) pixels in the second image and (N,) bool.
    """
    if not len(pixels):
        return np.zeros((0, 2)), np.zeros(0, np.bool_)
    start = np.ascontiguousarray(pixels, np.float32).reshape(-1, 1, 2)
    guess = np.ascontiguousarray(expected, np.float32).reshape(-1, 1, 2)
    flags, window = cv2.OPTFLOW_USE_INITIAL_FLOW, (window_px, window_px)
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, now, start, guess.copy(), winSize=window, maxLevel=_LEVELS,
        criteria=_STEPS, flags=flags,
    )  # fmt: skip
    # Back from where it was found by the expected way, not from the answer: a blind start.
    back_guess = there - (guess - start)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(
        now, before, there, back_guess, winSize=window, maxLevel=1,
        criteria=_STEPS, flags=flags,
    )  # fmt: skip
    height, width = now.shape
    arrived = there[:, 0].astype(np.float64)
    returned_by = back[:, 0] - start[:, 0]
    off = np.linalg.norm(returned_by, axis=1)
    if edge is not None and edge.any():
        across = edge_normals(before, pixels[edge])
        off[edge] = np.abs((returned_by[edge] * across).sum(1))
        across = edge_normals(now, arrived[edge])
        arrived[edge] = slide(arrived[edge], expected[edge], across)
    inside = (arrived >= 0.0).all(1) & (arrived[:, 0] < width) & (arrived[:, 1] < height)
    good = (found[:, 0] == 1) & (returned[:, 0] == 1) & (off < _FARTHEST_BACK_PX) & inside
    return arrived, good
