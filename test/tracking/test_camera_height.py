"""The map's metre from the camera's height: the floor in a depth image, and what becomes of it."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.trajectory.tracking_protocol import run_tracking
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.simulation.circuit import circuit_scene, circuit_trajectory
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.tracking.back_end import BackEnd
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.floor_height import find_floor_view
from e2e_slam_ros.tracking.floor_landmarks import FloorLandmarks
from e2e_slam_ros.tracking.height_scale import HeightScale, Stretch
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.loop_closure import stretch
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

CAMERA = PinholeCamera(width=160, height=120, fx=120.0, fy=120.0, cx=79.5, cy=59.5)
UP = np.array([0.0, -1.0, 0.0])
HEIGHT_M = 1.3


def level_surface(z_limits: tuple[float, float], below_m: float, pitch: float) -> np.ndarray:
    """Return depth (H, W) of a level rectangle ahead, ``below_m`` below the camera; inf: none."""
    rays = directions(pitch)
    with np.errstate(divide="ignore"):
        along = np.where(rays[..., 1] > 1e-6, below_m / rays[..., 1], np.inf)
    ahead = along * rays[..., 2]
    return np.where((ahead > z_limits[0]) & (ahead < z_limits[1]), along, np.inf)


def wall(ahead_m: float, pitch: float) -> np.ndarray:
    rays = directions(pitch)
    return np.where(rays[..., 2] > 1e-6, ahead_m / np.maximum(rays[..., 2], 1e-6), np.inf)


def directions(pitch: float) -> np.ndarray:
    """Return the rays (H, W, 3) with camera z 1, in level axes; positive pitch looks down."""
    v, u = np.indices((CAMERA.height, CAMERA.width), dtype=np.float64)
    x, y = (u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy
    c, s = math.cos(pitch), math.sin(pitch)
    return np.stack([x, c * y + s, c - s * y], axis=-1)


def image(*surfaces: np.ndarray, noise: float = 0.0) -> DepthImage:
    depth = np.minimum.reduce(surfaces)
    generator = np.random.default_rng(0)
    depth = np.where(np.isfinite(depth), depth * (1.0 + noise * generator.normal()), 0.0)
    return DepthImage(depth.astype(np.float32), CAMERA, relative_sigma=0.6)


FLOOR = (0.1, 9.0)


def camera_height(depth: DepthImage, up: np.ndarray) -> float | None:
    view = find_floor_view(depth, up)
    return None if view is None else view.height


@pytest.mark.parametrize("pitch_deg", [0.0, 15.0, 35.0])
def test_the_floor_need_not_be_level_in_the_image(pitch_deg: float) -> None:
    """A camera mounted with a pitch that nobody states begins its map tilted by as much."""
    pitch = math.radians(pitch_deg)
    found = camera_height(image(level_surface(FLOOR, HEIGHT_M, pitch), wall(5.0, pitch)), UP)
    assert found == pytest.approx(HEIGHT_M, rel=1e-3)


def test_the_floor_is_found_in_any_metre_and_with_steps_of_depth() -> None:
    pitch = math.radians(12.0)
    exact = image(level_surface(FLOOR, HEIGHT_M, pitch), wall(4.0, pitch))
    for factor in (0.5, 2.0):
        found = camera_height(replace(exact, values=exact.values * np.float32(factor)), UP)
        assert found == pytest.approx(factor * HEIGHT_M, rel=0.01)
    generator = np.random.default_rng(1)
    noisy = exact.values * (1.0 + 0.003 * generator.normal(size=exact.values.shape))
    found = camera_height(replace(exact, values=noisy.astype(np.float32)), UP)
    assert found == pytest.approx(HEIGHT_M, rel=0.02)


def test_a_table_top_over_the_floor_is_not_the_floor() -> None:
    pitch = math.radians(25.0)
    floor, back = level_surface(FLOOR, HEIGHT_M, pitch), wall(6.0, pitch)
    table = level_surface((0.9, 1.5), 0.55, pitch)
    assert (table < floor).sum() > 0.1 * table.size
    assert camera_height(image(table, floor, back), UP) == pytest.approx(HEIGHT_M, rel=0.01)


def test_a_table_with_little_floor_beside_it_is_no_floor() -> None:
    pitch = math.radians(25.0)
    near = level_surface((0.1, 1.9), 0.55, pitch)
    beyond = level_surface((1.0, 9.0), HEIGHT_M, pitch)
    table = np.where(np.arange(CAMERA.width) < 148, near, np.inf)
    assert camera_height(image(table, beyond, wall(3.0, pitch)), UP) in (None, pytest.approx(1.3))


def test_walls_and_ceilings_and_nothing_are_no_floor() -> None:
    assert camera_height(image(wall(2.0, 0.0)), UP) is None
    # Looking up at a ceiling 1.1 m above: its normal points down.
    assert camera_height(image(level_surface((0.1, 9.0), 1.1, 0.3)[::-1]), UP) is None
    empty = DepthImage(np.zeros((120, 160), np.float32), CAMERA, 0.6)
    assert camera_height(empty, UP) is None
    holes = DepthImage(np.full((120, 160), np.nan, np.float32), CAMERA, 0.6)
    assert camera_height(holes, UP) is None


def map_over_a_floor(points: np.ndarray, observers: int = 5) -> LocalMap:
    """Return a map whose keyframes, at the origin, see landmarks (N, 3)."""
    local_map, lens = LocalMap(), Lens(CAMERA)
    ids = local_map.landmarks.add(lens.project(points), anchor=0)
    local_map.landmarks.position[ids] = points
    for index in range(observers):
        pixels = lens.project(points)
        seen = Observations.without_depth(ids, pixels, pixels)
        black = np.zeros((120, 160), np.uint8)
        local_map.add(TrackingKeyframe(index, 0, index, black, np.eye(4), np.zeros(3), seen))
    return local_map


def test_landmarks_of_the_floor_give_the_height() -> None:
    """The depth image says which landmarks are of the floor, and not how far off it is."""
    generator, lens = np.random.default_rng(0), Lens(CAMERA)
    on_floor = np.stack(
        [generator.uniform(-1, 1, 60), np.full(60, HEIGHT_M), generator.uniform(3.0, 5.0, 60)], 1
    )
    wrong = on_floor[:12] - [0.0, 0.4, 0.0]
    wall_points = generator.uniform([-1, -1, 5.0], [1, 0.0, 5.0], (40, 3))
    points = np.concatenate([on_floor, wrong, wall_points])
    far = image(level_surface(FLOOR, HEIGHT_M, 0.0), wall(5.0, 0.0))
    view = find_floor_view(replace(far, values=far.values * np.float32(1.3)), UP)
    assert view is not None and view.height == pytest.approx(1.3 * HEIGHT_M, rel=0.01)
    floor, local_map = FloorLandmarks(), map_over_a_floor(points)
    newest = local_map.keyframes[-1]
    assert floor.height(local_map, newest, UP) is None
    for keyframe in local_map.keyframes:
        floor.vote(keyframe, lens, view)
    assert floor.are_floor(newest.seen.ids)[:60].all()
    assert not floor.are_floor(newest.seen.ids)[72:].any()
    assert floor.height(local_map, newest, UP) == pytest.approx(HEIGHT_M, rel=0.01)
    # A map tilted by 15 degrees finds the same.
    tilted = np.array([math.sin(0.26), -math.cos(0.26), 0.0])
    assert floor.height(local_map, newest, tilted) == pytest.approx(HEIGHT_M, rel=0.01)


@pytest.mark.parametrize("what", ["few", "in a row", "seen once"])
def test_landmarks_that_say_nothing_of_a_plane(what: str) -> None:
    generator = np.random.default_rng(0)
    x = np.zeros(60) if what == "in a row" else generator.uniform(-1, 1, 60)
    points = np.stack([x, np.full(60, HEIGHT_M), generator.uniform(3.0, 5.0, 60)], 1)
    if what == "few":
        points = points[:10]
    local_map = map_over_a_floor(points, 1 if what == "seen once" else 5)
    view = find_floor_view(image(level_surface(FLOOR, HEIGHT_M, 0.0)), UP)
    assert view is not None
    floor = FloorLandmarks()
    for _ in range(3):
        floor.vote(local_map.keyframes[-1], Lens(CAMERA), view)
    assert floor.height(local_map, local_map.keyframes[-1], UP) is None


def test_motion_goes_before_single_images() -> None:
    scale = HeightScale(HEIGHT_M)
    for _ in range(12):
        assert scale.see(0.9 * HEIGHT_M)
    for _ in range(3):
        assert scale.see(1.1 * HEIGHT_M, by_motion=True)
    assert not scale.see(0.9 * HEIGHT_M)
    change = scale.take_stretch()
    assert change is not None and change.factor == pytest.approx(1.0 / 1.1)


def test_the_estimate_is_robust_and_its_sigma_falls_and_grows() -> None:
    generator, scale = np.random.default_rng(0), HeightScale(HEIGHT_M)
    assert (scale.factor, scale.sigma) == (1.0, np.inf)
    for _ in range(8):
        assert scale.see(1.2 * HEIGHT_M * (1.0 + 0.02 * generator.normal()))
    assert scale.factor == pytest.approx(1.0 / 1.2, rel=0.02)
    assert scale.sigma > 0.15  # the map is off by as much, until it is stretched
    assert scale.take_stretch() is not None
    certain = scale.sigma
    assert 0.001 < certain < 0.03
    # A table top, and keyframes without any level surface.
    assert not scale.see(0.65 * HEIGHT_M) and not scale.see(None)
    assert scale.factor == pytest.approx(1.0, rel=0.02)
    for _ in range(50):
        scale.see(None)
    assert scale.sigma > 2.0 * certain and scale.factor == pytest.approx(1.0, rel=0.02)
    scale.see(HEIGHT_M)
    assert scale.sigma < 2.0 * certain


def test_a_table_at_first_gives_way_to_the_floor() -> None:
    early = HeightScale(HEIGHT_M)
    for height in (0.5, HEIGHT_M, HEIGHT_M, HEIGHT_M):
        early.see(height)
    assert early.factor == pytest.approx(1.0)
    late = HeightScale(HEIGHT_M)
    for _ in range(12):
        late.see(0.5)
    assert late.factor == pytest.approx(HEIGHT_M / 0.5)
    seen = [late.see(HEIGHT_M) for _ in range(5)]
    assert seen == [False, False, False, False, True]
    assert late.factor == pytest.approx(1.0)


def test_a_map_is_stretched_once_and_not_after_it_has_settled() -> None:
    scale = HeightScale(HEIGHT_M)
    scale.see(1.2 * HEIGHT_M)
    assert scale.take_stretch() is None
    for _ in range(3):
        scale.see(1.2 * HEIGHT_M)
    change = scale.take_stretch()
    assert change is not None and change.factor == pytest.approx(1.0 / 1.2)
    assert change.first is None
    assert scale.take_stretch() is None and scale.factor == pytest.approx(1.0)
    for _ in range(10):
        scale.see(HEIGHT_M)
    for _ in range(20):
        scale.see(1.1 * HEIGHT_M)
    assert scale.factor == pytest.approx(1.0 / 1.1) and scale.take_stretch() is None
    assert scale.sigma > 0.09  # the map is off by as much


def test_drift_while_no_floor_was_seen_is_taken_back() -> None:
    scale = HeightScale(HEIGHT_M)
    for k in range(15):
        scale.see(HEIGHT_M, True, k)
        assert scale.take_stretch() is None
    for k in range(15, 30):
        scale.see(None, keyframe=k)
    changes = []
    for k in range(30, 36):
        factor = changes[0].factor if changes else 1.0
        assert scale.see(0.85 * factor * HEIGHT_M, True, k)
        change = scale.take_stretch()
        changes += [] if change is None else [change]
    assert len(changes) == 1 and changes[0].factor == pytest.approx(1.0 / 0.85)
    assert (changes[0].first, changes[0].last) == (14, 30)
    assert scale.sigma < 0.01


def test_only_the_part_that_has_drifted_is_stretched() -> None:
    local_map = map_over_a_floor(np.array([[0.0, 0.5, 2.0], [0.5, 0.5, 2.0]]), 9)
    for index, keyframe in enumerate(local_map.keyframes):
        keyframe.T_map_camera = np.eye(4)
        keyframe.T_map_camera[0, 3] = index
    stretch(local_map, Stretch(1.5, 2, 4))
    x = np.array([keyframe.T_map_camera[0, 3] for keyframe in local_map.keyframes])
    middle = 1.5**0.5
    np.testing.assert_allclose(np.diff(x)[[0, 1, 4, 5]], [1.0, 1.0, 1.5, 1.5])
    np.testing.assert_allclose(np.diff(x)[2:4], [middle**0.5, (middle * 1.5) ** 0.5])
    assert [round(keyframe.scale, 3) for keyframe in local_map.keyframes[1:6]] == [
        1.0, 1.0, round(middle, 3), 1.5, 1.5,
    ]  # fmt: skip


def test_the_source_is_the_network_until_a_floor_is_seen() -> None:
    scale = MapScale("camera_height", HEIGHT_M)
    for _ in range(25):
        scale.network_ratio(1.0)
        assert not scale.floor_seen(None)
    assert scale.source == "network" and len(scale.warnings) == 1
    assert "floor" in scale.warnings[0]
    for _ in range(3):
        assert scale.floor_seen(HEIGHT_M)
    assert scale.source == "camera_height" and scale.sigma < 0.05
    assert scale.network_metre == 1.0
    scale.measured()
    assert not scale.floor_seen(HEIGHT_M)
    assert scale.source == "depth_topic"


def test_a_height_must_be_given() -> None:
    with pytest.raises(ConfigError, match="camera_height_m.*more than 0.*set it"):
        Config().with_values({"tracking.scale": "camera_height"})
    config = Config().with_values(
        {"tracking.scale": "camera_height", "tracking.camera_height_m": 0.4}
    )
    assert config.tracking.camera_height_m == 0.4


def test_the_whole_map_is_stretched() -> None:
    lens, local_map, image_ = Lens(CAMERA), LocalMap(), np.zeros((120, 160), np.uint8)
    scale = MapScale("camera_height", HEIGHT_M)
    pixels = np.array([[20.0, 20.0], [40.0, 20.0]])
    for index in range(2):
        ids = local_map.landmarks.add(pixels, anchor=index)
        local_map.landmarks.position[ids] = [[0.0, 0.0, 2.0], [1.0, 0.0, 2.0]]
        pose = np.eye(4)
        pose[0, 3] = 3.0 + index
        seen = Observations.without_depth(ids, pixels, pixels)
        seen.inverse_depth, seen.inverse_depth_sigma = np.full(2, 0.5), np.full(2, 0.1)
        local_map.add(TrackingKeyframe(index, 0, index, image_, pose, np.zeros(3), seen))
    for _ in range(4):
        scale.floor_seen(2.0 * HEIGHT_M)
    config = Config().tracking
    BackEnd(local_map, lens, config, threading.RLock(), scale).work(local_map.keyframes[1], True)
    first, second = local_map.keyframes
    np.testing.assert_allclose([first.T_map_camera[0, 3], second.T_map_camera[0, 3]], [3.0, 3.5])
    np.testing.assert_allclose(second.seen.inverse_depth, 1.0)
    np.testing.assert_allclose(local_map.landmarks.position[1], [2.0, 0.0, 1.0])
    assert second.scale == pytest.approx(0.5)


@pytest.fixture(scope="module")
def corridor() -> list[Frame]:
    """The first 7 m of the walk around the block, camera 1.45 m over the floor."""
    path = circuit_trajectory(7.5)[:75]
    return list(
        ProceduralReader(0, len(path), 320, 240, rate_hz=7.5, walk=(circuit_scene(0), path))
    )


@pytest.mark.parametrize(("scale", "wrong"), [("camera_height", False), ("auto", True)])
def test_a_networks_wrong_metre_is_put_right(
    corridor: list[Frame], scale: str, wrong: bool
) -> None:
    """Exact depth made 1.2 times as large, and a tenth of noise common to each image."""
    values = {"tracking.scale": scale, "tracking.camera_height_m": 1.45}
    config = Config().with_values(values).tracking
    generator = np.random.default_rng(0)

    def depth_of(frame: Frame) -> DepthImage:
        assert frame.depth is not None
        factor = np.float32(1.2 * math.exp(0.05 * generator.normal()))
        return DepthImage(frame.depth * factor, frame.camera, 0.6)

    tracker = VisualTracker(config)
    run = run_tracking(corridor, config, depth_of, tracker=tracker)
    assert run.score.tracked == 1.0 and run.score.scale is not None
    assert tracker.scale.source == ("network" if wrong else "camera_height")
    if wrong:
        assert run.score.scale < 0.92
    else:
        assert run.score.scale == pytest.approx(1.0, abs=0.03)
        assert abs(run.score.scale - 1.0) < 4.0 * tracker.scale.sigma + 0.01
