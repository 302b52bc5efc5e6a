"""Camera frames between keyframes: which are kept, who gets them, and what they are good for."""

from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.slam.between_frames import BetweenFrames, as_views
from e2e_slam_ros.slam.frontend import Frontend
from e2e_slam_ros.slam.preprocess import Preprocessor
from refine.rooms import network_config

CAMERA = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
CPU = torch.device("cpu")


def frame(number: int, x_m: float, side: int = 48) -> Frame:
    T = np.eye(4)
    T[0, 3] = x_m
    image = np.full((side, 64, 3), 100 + number, dtype=np.uint8)
    return Frame(number, 10 * number, image, CAMERA, None, T)


def test_frames_that_hardly_moved_are_not_kept() -> None:
    kept = BetweenFrames(0.03)
    for number, x_m in enumerate([0.0, 0.01, 0.029, 0.031, 0.05, 0.07]):
        kept.offer(frame(number, x_m))
    assert [item.index for item in kept.before(1000, 8)] == [5, 3, 0]


def test_only_frames_before_the_keyframe_are_given_the_newest_first() -> None:
    kept = BetweenFrames(0.0)
    for number in range(20):
        kept.offer(frame(number, 0.1 * number))
    assert [item.index for item in kept.before(155, 3)] == [15, 14, 13]
    assert [item.index for item in kept.before(1000, 100)] == list(range(19, 11, -1)), "bounded"
    kept.clear()
    assert kept.before(1000, 3) == []


def test_views_are_prepared_like_keyframes() -> None:
    config = Config().with_values({"camera.working_width": 32})
    (view,) = as_views([frame(3, 0.5)], Preprocessor(config.camera, CPU))
    assert view.image.shape == (1, 3, 24, 32) and view.camera.width == 32
    assert float(view.T_map_camera[0, 3]) == 0.5 and view.index == -1
    assert view.sensor_depth is None and not view.decision.is_keyframe


def decided(frontend: Frontend, item: Frame) -> bool:
    assert item.T_map_camera is not None
    decision = frontend.decide(item.stamp_ns, item.image, item.camera, item.T_map_camera)
    return decision.is_keyframe


def test_the_front_end_keeps_what_becomes_no_keyframe_for_networks_alone() -> None:
    for source, kept in (("network", [4, 3, 2]), ("sensor", [])):
        config = network_config(**{"depth.source": source, "keyframe.parallax": 1.0})
        frontend = Frontend(config, CPU)
        walked = [frame(number, 0.035 * number) for number in range(6)]
        chosen = [decided(frontend, item) for item in walked[:5]]
        assert chosen == [True, False, False, False, False]
        keyframe = frontend.prepare(walked[5], None)  # type: ignore[arg-type]
        views = frontend.between(keyframe, 3)
        assert [view.stamp_ns // 10 for view in views] == kept
        frontend.restart()
        assert frontend.between(keyframe, 3) == ()
