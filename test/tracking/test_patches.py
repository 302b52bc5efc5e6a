from __future__ import annotations

import numpy as np

from e2e_slam_ros.tracking.corners import detect_corners
from e2e_slam_ros.tracking.patches import align, image_levels
from tracking.plane import pose, texture, view

NONE = np.zeros((0, 2))


def run(first: np.ndarray, second: np.ndarray, corners: np.ndarray, starts: np.ndarray, warp=None):
    warps = np.tile(np.eye(2) if warp is None else warp, (len(corners), 1, 1))
    which = np.zeros(len(corners), np.int64)
    return align(
        [image_levels(first, 3)], which, corners, warps, image_levels(second, 3), starts, 2
    )


def inner(image: np.ndarray) -> np.ndarray:
    corners = detect_corners(image, NONE, 150, 10.0)
    return corners[((corners > 40) & (corners < np.array([280, 200]))).all(1)]


def test_a_known_shift_under_another_exposure(wall: np.ndarray) -> None:
    first = view(wall, pose())
    second = np.round(0.6 * view(wall, pose(x=0.05, y=-0.03)) + 40.0).astype(np.uint8)
    corners = inner(first)
    expected = corners - np.array([7.0, -4.2])
    found = run(first, second, corners, corners)
    good = found.similarity > 0.9
    assert good.mean() > 0.7
    error = np.linalg.norm(found.pixels - expected, axis=1)[good]
    assert np.median(error) < 0.03 and np.percentile(error, 95) < 0.2


def test_a_turned_patch_is_found_with_its_warp_only(wall: np.ndarray) -> None:
    first, second = view(wall, pose()), view(wall, pose(turn=(0, 0, 75)))
    corners = inner(first)
    angle = np.radians(75.0)
    R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([159.5, 119.5])
    there = (corners - centre) @ R + centre  # the image turns against the camera
    good = run(first, second, corners, there, R).similarity > 0.9
    bad = run(first, second, corners, there).similarity > 0.9
    assert good.mean() > 0.9 and bad.mean() < 0.3


def test_other_things_correlate_less(wall: np.ndarray) -> None:
    first, corners = view(wall, pose()), inner(view(wall, pose()))
    right = run(first, view(wall, pose(x=0.05)), corners, corners).similarity
    wrong = run(first, view(texture(5), pose(x=0.05)), corners, corners).similarity
    assert (right > 0.9).mean() > 0.7 and (wrong > 0.9).mean() < 0.3
    flat = np.full_like(first, 90)
    assert (run(first, flat, corners, corners).similarity == -1.0).all()
