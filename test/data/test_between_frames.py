"""Camera frames between keyframes: which are kept, and who gets them."""

from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.between_frames import BetweenFrames
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.slam.preprocess import Preprocessor

CAMERA = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
CPU = torch.device("cpu")


def frame(number: int, x_m: float, side: int = 48) -> Frame:
    T = np.eye(4)
    T[0, 3] = x_m
    image = np.full((side, 64, 3), 100 + number, dtype=np.uint8)
    return Frame(number, 10 * number, image, CAMERA, None, T)


def prepared(frame: Frame) -> Keyframe:
    config = Config().with_values({"camera.working_width": 32})
    decision = KeyframeDecision(False, "between keyframes")
    return Preprocessor(config.camera, CPU).keyframe(frame, decision, -1)


def numbers(views: tuple[Keyframe, ...]) -> list[int]:
    return [view.frame_index for view in views]


def test_frames_that_hardly_moved_are_not_kept() -> None:
    kept = BetweenFrames(0.03, prepared)
    for number, x_m in enumerate([0.0, 0.01, 0.029, 0.031, 0.05, 0.07]):
        kept.offer(frame(number, x_m))
    assert numbers(kept.before(1000, 8)) == [5, 3, 0]


def test_only_frames_before_the_keyframe_are_given_the_newest_first() -> None:
    kept = BetweenFrames(0.0, prepared)
    for number in range(20):
        kept.offer(frame(number, 0.1 * number))
    assert numbers(kept.before(155, 3)) == [15, 14, 13]
    assert numbers(kept.before(1000, 100)) == list(range(19, 11, -1)), "bounded"
    kept.clear()
    assert kept.before(1000, 3) == ()


def test_views_are_prepared_once_like_keyframes() -> None:
    kept = BetweenFrames(0.0, prepared)
    kept.offer(frame(3, 0.5))
    (view,) = kept.before(1000, 1)
    assert view.image.shape == (1, 3, 24, 32) and view.camera.width == 32
    assert float(view.T_map_camera[0, 3]) == 0.5 and view.index == -1
    assert not view.decision.is_keyframe
    assert kept.before(1000, 1)[0] is view


def test_a_frame_that_cannot_be_prepared_is_left_out() -> None:
    def refuses(frame: Frame) -> Keyframe:
        if frame.index == 1:
            raise DepthError("broken")
        return prepared(frame)

    kept = BetweenFrames(0.0, refuses)
    for number in range(3):
        kept.offer(frame(number, 0.1 * number))
    assert numbers(kept.before(1000, 3)) == [2, 0]
