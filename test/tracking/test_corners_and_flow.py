from __future__ import annotations

import cv2
import numpy as np

from e2e_slam_ros.tracking.corners import describe, detect_corners, match
from e2e_slam_ros.tracking.flow import follow
from tracking.plane import pose, view

NONE = np.zeros((0, 2))


def test_corners_keep_their_distance(wall: np.ndarray) -> None:
    image = view(wall, pose())
    first = detect_corners(image, NONE, 60, 12.0)
    more = detect_corners(image, first, 60, 12.0)
    assert len(first) == 60 and len(more) > 20
    between = np.linalg.norm(first[:, None] - more[None], axis=2)
    assert between.min() > 11.0


def test_nothing_to_see_has_no_corners() -> None:
    for grey in (0, 128, 255):
        assert len(detect_corners(np.full((240, 320), grey, np.uint8), NONE, 100, 10.0)) == 0


def test_flow_of_a_known_shift(wall: np.ndarray) -> None:
    before, now = view(wall, pose()), view(wall, pose(x=0.05, y=-0.03))
    corners = detect_corners(before, NONE, 150, 10.0)
    expected = corners - np.array([7.0, -4.2])  # 280 px * metres / 2 m
    there, good = follow(before, now, corners, corners)
    assert good.mean() > 0.8
    error = np.linalg.norm(there - expected, axis=1)[good]
    assert np.median(error) < 0.05 and np.percentile(error, 90) < 0.3


def test_flow_gives_up_where_the_image_is_another(wall: np.ndarray) -> None:
    before = view(wall, pose())
    corners = detect_corners(before, NONE, 150, 10.0)
    other = np.random.default_rng(3).integers(0, 255, before.shape, dtype=np.uint8)
    for now in (np.zeros_like(before), cv2.GaussianBlur(other, (0, 0), 1.5)):
        _, good = follow(before, now, corners, corners)
        assert good.mean() < 0.15


def test_flow_of_nothing() -> None:
    there, good = follow(np.zeros((48, 64), np.uint8), np.zeros((48, 64), np.uint8), NONE, NONE)
    assert there.shape == (0, 2) and good.shape == (0,)


def test_descriptors_stay_in_order_up_to_the_edge(wall: np.ndarray) -> None:
    image = view(wall, pose())
    corners = np.concatenate(
        [detect_corners(image, NONE, 100, 10.0), [[1.0, 1.0], [318.0, 238.0]]]
    )
    described = describe(image, corners)
    assert described.shape == (102, 32)
    assert np.array_equal(describe(image, corners[::-1]), described[::-1])


def test_matches_are_mutual_and_right(wall: np.ndarray) -> None:
    image = view(wall, pose())
    corners = detect_corners(image, NONE, 100, 10.0)
    moved = view(wall, pose(x=0.05))
    order = np.random.default_rng(0).permutation(len(corners))
    rows, columns = match(
        describe(image, corners), describe(moved, corners[order] - np.array([7.0, 0.0]))
    )
    assert len(rows) > 40 and len(set(columns.tolist())) == len(columns)
    assert (order[columns] == rows).mean() > 0.97


def test_a_straight_edge_has_no_corners_and_hides_no_faint_ones() -> None:
    """A window frame before a wall with faint spots: only the spots can be tracked."""
    image = np.full((240, 320), 120, np.uint8)
    for x, y in ((40, 60), (70, 150), (110, 100), (50, 200)):
        cv2.circle(image, (x, y), 6, 132, -1)
    cv2.line(image, (200, -10), (240, 250), 250, 16, cv2.LINE_AA)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    corners = detect_corners(np.asarray(image, np.uint8), NONE, 200, 6.0)
    inside = (corners[:, 1] > 8) & (corners[:, 1] < 232)
    assert (corners[inside, 0] < 130).sum() >= 8
    assert (corners[inside, 0] > 170).sum() <= 2
