"""Corners worth tracking, and short binary descriptions of them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.rigid import Floats

Image = npt.NDArray[np.uint8]
Descriptors = npt.NDArray[np.uint8]

# Strength over that of the strongest corner. Low: one window frame must not hide a whole wall.
_QUALITY = 0.0003
# Smaller over larger eigenvalue under which a place is a straight edge: a track slides along it.
_EDGE = 0.1
_BLOCK_PX = 5
# Strength, as OpenCV scales it, under which a corner is a trace of the sensor's noise.
_LEAST_EIGENVALUE = 5e-5
_ORB_BORDER = 32
_ORB_PATCH = 31
DESCRIPTOR_BYTES = 32


def detect_corners(
    image: Image, existing: Floats, count: int, distance_px: float
) -> npt.NDArray[np.float64]:
    """Return new Shi-Tomasi corners, strongest first.

    Shi and Tomasi, "Good Features to Track", CVPR 1994.

    Args:
        image: (H, W) uint8 grey.
        existing: (N, 2) corners already tracked; new ones are ``distance_px`` or more away.
        count: largest number of corners to return.
        distance_px: least distance between corners.

    Returns:
        (M, 2) pixels (x, y), sub-pixel.
    """
    if count <= 0:
        return np.zeros((0, 2))
    mask = np.full(image.shape, 255, np.uint8)
    for x, y in np.round(existing).astype(int):
        cv2.circle(mask, (int(x), int(y)), int(distance_px), 0, -1)
    mask[structure(image)[0]] = 0
    found, strength = cv2.goodFeaturesToTrackWithQuality(
        image, count, _QUALITY, distance_px, mask=mask, blockSize=_BLOCK_PX
    )
    if found is None:
        return np.zeros((0, 2))
    strong = np.asarray(strength).reshape(-1) > _LEAST_EIGENVALUE
    return np.asarray(found, dtype=np.float64).reshape(-1, 2)[strong]


def structure(image: Image) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Return where the grey value changes in one direction only, and how much it changes.

    The first, (H, W), by the ratio of the eigenvalues of the structure tensor, from determinant
    and trace (Lowe, IJCV 2004, section 4.1). The second, (H, W), is the mean squared gradient as
    Sobel scales it: 64 times that in grey values a pixel.
    """
    x, y = (cv2.Sobel(image, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    size = (_BLOCK_PX, _BLOCK_PX)
    xy = cv2.boxFilter(x * y, -1, size)
    # In place: fresh memory costs more here than arithmetic.
    xx, yy = (cv2.boxFilter(np.multiply(one, one, out=one), -1, size, dst=one) for one in (x, y))
    trace = np.asarray(xx + yy, dtype=np.float32)
    determinant = np.multiply(xx, yy, out=xx)
    determinant -= np.multiply(xy, xy, out=xy)
    bound = np.multiply(trace, _EDGE / (1.0 + _EDGE) ** 2, out=yy)
    bound *= trace
    return np.asarray(determinant < bound), trace


def describe(image: Image, pixels: Floats) -> Descriptors:
    """Return the upright ORB descriptors (N, 32) uint8 of corners (N, 2).

    Rublee et al., "ORB: an efficient alternative to SIFT or SURF", ICCV 2011. Upright: a camera
    seldom rolls, and the direction of a corner is its least certain part.
    """
    if not len(pixels):
        return np.zeros((0, DESCRIPTOR_BYTES), np.uint8)
    # ORB refuses corners near the edge; a mirrored border keeps every row in its place.
    padded = cv2.copyMakeBorder(
        image, _ORB_BORDER, _ORB_BORDER, _ORB_BORDER, _ORB_BORDER, cv2.BORDER_REFLECT_101
    )
    orb = cv2.ORB.create(nlevels=1, edgeThreshold=_ORB_PATCH, patchSize=_ORB_PATCH)
    inside = (pixels + _ORB_BORDER).tolist()
    points = cv2.KeyPoint.convert(inside, _ORB_PATCH, 1.0, 0, 0)
    for i, point in enumerate(points):
        point.class_id = i
    kept, described = orb.compute(padded, points)
    result = np.zeros((len(pixels), DESCRIPTOR_BYTES), np.uint8)
    if described is not None:
        result[[point.class_id for point in kept]] = described
    return result


def match(
    query: Descriptors, train: Descriptors, ratio: float = 0.8, farthest: int = 64
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the index pairs of descriptors that are each other's nearest.

    A pair counts when its Hamming distance is at most ``farthest`` bits and under ``ratio`` times
    that of the second nearest (Lowe, IJCV 2004).
    """
    empty = np.zeros(0, np.int64)
    if len(query) < 2 or len(train) < 2:
        return empty, empty
    distance, nearest = cv2.batchDistance(
        query, train, cv2.CV_32S, None, None, cv2.NORM_HAMMING, 2
    )
    good = (distance[:, 0] <= farthest) & (distance[:, 0] < ratio * distance[:, 1])
    rows = np.flatnonzero(good)
    if not len(rows):
        return empty, empty
    columns = nearest[rows, 0].astype(np.int64)
    wanted, which = np.unique(columns, return_inverse=True)
    _, back = cv2.batchDistance(train[wanted], query, cv2.CV_32S, None, None, cv2.NORM_HAMMING, 1)
    mutual = back[which, 0] == rows
    return rows[mutual], columns[mutual]
