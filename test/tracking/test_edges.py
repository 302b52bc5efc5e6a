"""Points on straight edges: the pose is right across them, and not believed along them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.absolute_pose import PoseEstimate, Sightings, find_pose, refine_pose
from e2e_slam_ros.tracking.edges import detect_edges, edge_normals, slide, whiteners
from e2e_slam_ros.tracking.flow import follow
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.map_state import from_state
from e2e_slam_ros.tracking.patches import align, image_levels
from e2e_slam_ros.tracking.visual_tracker import VisualTracker
from tracking.plane import frame, pose, view, walk

LENS = Lens(PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5))
TRUE = rigid.exp(np.array([0.05, -0.04, 0.06, 0.02, -0.03, 0.02]))
NONE = np.zeros((0, 2))


def straight_edge(angle_deg: float, x: float = 80.0) -> np.ndarray:
    """An image, dark left and bright right of an edge through (x, 60) with a normal's angle."""
    v, u = np.indices((120, 160), dtype=np.float64)
    a = np.radians(angle_deg)
    away = (u - x) * np.cos(a) + (v - 60.0) * np.sin(a)
    image = 128.0 + 60.0 * np.tanh(away / 1.5)
    noise = np.random.default_rng(round(angle_deg + x)).normal(0.0, 1.0, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def doors() -> np.ndarray:
    """A wall with large plain doors, and corners in one place only."""
    wall = np.full((1536, 1536), 150, np.uint8)
    for x in range(450, 1100, 90):
        for y in range(470, 1100, 110):
            cv2.rectangle(wall, (x, y), (x + 70, y + 84), 60 + (x * 7 + y * 3) % 70, -1)
    generator = np.random.default_rng(0)
    for _ in range(150):
        x, y = (int(v) for v in generator.integers(700, 800, 2))
        cv2.rectangle(wall, (x, y), (x + 7, y + 7), int(generator.integers(20, 235)), -1)
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), 1.2), dtype=np.uint8)


@pytest.mark.parametrize("angle", [0.0, 30.0, 75.0, 110.0])
def test_the_direction_across_an_edge(angle: float) -> None:
    image = straight_edge(angle)
    normal = edge_normals(image, np.array([[80.0, 60.0], [80.4, 60.2]]))
    true = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    assert np.allclose(np.abs(normal @ true), 1.0, atol=1e-3)


def test_edges_are_found_in_cells_without_a_point() -> None:
    image = straight_edge(10.0)
    found = detect_edges(image, NONE, 20)
    assert 4 <= len(found) <= 8
    away = (found - [80.0, 60.0]) @ [np.cos(np.radians(10.0)), np.sin(np.radians(10.0))]
    assert np.abs(away).max() < 3.0 and np.median(np.abs(away)) < 1.0
    assert len(np.unique(found // 24, axis=0)) == len(found)
    assert len(detect_edges(image, found[:1], 20)) == len(found) - 1
    assert len(detect_edges(image, NONE, 2)) == 2
    assert not len(detect_edges(image, NONE, 0))
    assert not len(detect_edges(np.full((120, 160), 90, np.uint8), NONE, 20))
    assert not len(detect_edges(image[:10, :10], NONE, 20))


def test_an_error_along_an_edge_hardly_counts() -> None:
    image = straight_edge(30.0)
    pixels, along = np.array([[80.0, 60.0], [20.0, 20.0]]), np.array([-0.5, 0.75**0.5])
    split = whiteners([(image, pixels, np.array([True, False]))])
    assert split is not None
    errors = np.linalg.norm(split @ (10.0 * along), axis=1)
    assert errors[0] < 0.6 and errors[1] == pytest.approx(10.0)
    across = np.array([0.75**0.5, 0.5])
    assert np.linalg.norm(split[0] @ across) == pytest.approx(1.0, abs=1e-3)
    assert whiteners([(image, pixels, np.zeros(2, np.bool_))]) is None


def test_flow_finds_an_edge_across_it_and_stays_where_expected_along_it() -> None:
    before, now = straight_edge(0.0, 80.0), straight_edge(0.0, 83.0)
    pixels = np.array([[80.0, y] for y in (30.0, 50.0, 70.0, 90.0)])
    expected = pixels + [2.0, 1.0]
    there, good = follow(before, now, pixels, expected, np.ones(4, np.bool_))
    assert good.all()
    assert np.abs(there[:, 0] - 83.0).max() < 0.2
    assert np.abs(there[:, 1] - expected[:, 1]).max() < 0.2


def test_a_patch_on_an_edge_moves_across_it_only() -> None:
    first, second = straight_edge(30.0, 80.0), straight_edge(30.0, 82.0)
    centre = np.array([[80.0, 60.0]])
    start = centre + [0.5, 0.0]
    found = align(
        [image_levels(first, 2)], np.zeros(1, np.int64), centre, np.eye(2)[None],
        image_levels(second, 2), start, 1, np.ones(1, np.bool_),
    )  # fmt: skip
    across = np.array([np.cos(np.radians(30.0)), np.sin(np.radians(30.0))])
    assert found.similarity[0] > 0.9
    assert (found.pixels - [82.0, 60.0])[0] @ across == pytest.approx(0.0, abs=0.1)
    moved = (found.pixels - start)[0]
    assert abs(moved @ [-across[1], across[0]]) < 0.1


def test_sliding_back_stays_on_the_edge() -> None:
    normal, pixels = np.array([[1.0, 0.0]]), np.array([[80.0, 60.0]])
    assert slide(pixels, np.array([[84.0, 67.0]]), normal).tolist() == [[80.0, 67.0]]


def sightings(angles: np.ndarray, with_depth: bool = False) -> Sightings:
    """200 points on edges with these normals' angles, each slid along its edge by some pixels."""
    generator = np.random.default_rng(0)
    local = generator.uniform((-1.5, -1.0, 2.0), (1.5, 1.0, 5.0), (200, 3))
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = np.stack([-normals[:, 1], normals[:, 0]], axis=1)
    pixels = LENS.project(local) + generator.normal(0.0, 0.3, (200, 1)) * normals
    pixels = pixels + generator.normal(1.0, 3.0, (200, 1)) * along
    split = np.stack([normals, 0.05 * along], axis=1)
    points = rigid.transform_points(rigid.inverse(TRUE), local)
    inverse = 1.0 / local[:, 2] if with_depth else np.full(200, np.nan)
    sigma = np.full(200, 0.01 if with_depth else np.inf)
    return Sightings(points, pixels, inverse, sigma, split)


def error(found: PoseEstimate) -> np.ndarray:
    return rigid.log(found.T_camera_map @ rigid.inverse(TRUE))


def test_edges_in_all_directions_hold_a_pose() -> None:
    angles = np.random.default_rng(1).uniform(0.0, np.pi, 200)
    found = refine_pose(sightings(angles), LENS, np.eye(4), 0.7)
    assert np.abs(error(found)).max() < 0.004
    assert found.inliers.mean() > 0.9
    assert found.support == pytest.approx(found.inliers.sum() / 2, abs=1)
    as_corners = sightings(angles)
    loose = Sightings(
        as_corners.points, as_corners.pixels, as_corners.inverse_depth, as_corners.inverse_depth
    )
    worse = refine_pose(loose, LENS, np.eye(4), 0.7)
    assert np.linalg.norm(error(worse)) > 1.8 * np.linalg.norm(error(found))


@pytest.mark.parametrize("with_depth", [False, True])
def test_a_pose_that_parallel_edges_hold_is_not_believed(with_depth: bool) -> None:
    seen = sightings(np.zeros(200), with_depth)
    found = refine_pose(seen, LENS, TRUE, 0.7)
    assert not found.inliers.any() and found.support == 0
    # What they hold is right: sideways, and the turns about the two axes across the view.
    assert abs(error(found)[0]) < 0.02
    assert find_pose(seen, LENS, 0.7) is None  # there is no corner to begin from


def test_a_few_corners_hold_what_parallel_edges_do_not() -> None:
    seen = sightings(np.zeros(200), with_depth=True)
    exact = LENS.project(rigid.transform_points(TRUE, seen.points[:40]))
    seen.pixels[:40] = exact
    assert seen.whitener is not None
    seen.whitener[:40] = np.eye(2)
    found = refine_pose(seen, LENS, np.eye(4), 0.7)
    assert found.inliers[:40].all() and np.abs(error(found)).max() < 0.002


def test_edges_make_the_path_before_plain_doors_right(doors: np.ndarray) -> None:
    errors, path = [], walk(40)
    for edges in (0, 100):
        tracker = VisualTracker(Config().with_values({"tracking.edges": edges}).tracking)
        off = []
        for i, T in enumerate(path):
            answer = tracker.track(frame(doors, i, T))
            assert answer.T_map_camera is not None
            off.append(np.linalg.norm((answer.T_map_camera - T)[:3, 3]))
            while tracker.adjust():
                pass
        assert bool(tracker.map.landmarks.edge.any()) == bool(edges)
        errors.append(float(np.sqrt(np.mean(np.square(off)))))
    assert errors[1] < 0.004
    assert errors[1] < 0.7 * errors[0]
    loaded = from_state(tracker.state_dict())
    kept = tracker.map.landmarks.alive & ~tracker.map.landmarks.edge
    assert len(loaded.local_map.landmarks) == kept.sum()
    assert not loaded.local_map.landmarks.edge.any()


def test_no_edges_without_measured_depth(doors: np.ndarray) -> None:
    tracker = VisualTracker(Config().tracking)
    for i, T in enumerate(walk(40)[:5]):
        tracker.track(frame(doors, i, T, with_depth=False))
        while tracker.adjust():
            pass
    assert len(tracker.map.landmarks) and not tracker.map.landmarks.edge.any()


def test_stripes_alone_begin_no_map() -> None:
    wall = np.tile(np.repeat(np.array([60, 180], np.uint8), 48), (1536, 16))
    tracker = VisualTracker(Config().tracking)
    answer = tracker.track(frame(wall, 0, pose()))
    assert answer.T_map_camera is None and not tracker.map.keyframes
    assert view(wall, pose()).std() > 20.0
