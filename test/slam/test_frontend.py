"""Keyframe numbers and what is forgotten when."""

from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.slam.frontend import Frontend
from synthetic import frame, pose


def seen(frontend: Frontend, number: int, x: float = 0.0) -> Keyframe | None:
    """Pass a frame through; return its keyframe, if it became one."""
    item = frame(number, pose(x=x))
    decision = frontend.decide(item.stamp_ns, item.image, item.camera, item.T_map_camera)
    if not decision.is_keyframe:
        return None
    keyframe = frontend.prepare(item, decision)
    assert keyframe.sensor_depth is not None
    frontend.note_depth(keyframe, keyframe.sensor_depth)
    return keyframe


def made() -> Frontend:
    """A front end that has had two keyframes, 30 cm apart."""
    frontend = Frontend(Config(), torch.device("cpu"))
    first, second = seen(frontend, 10), seen(frontend, 11, 0.3)
    assert first is not None and second is not None
    assert (first.index, second.index) == (0, 1)
    assert seen(frontend, 12, 0.3) is None
    return frontend


def test_a_restart_forgets_the_reference_and_goes_on_counting() -> None:
    frontend = made()
    frontend.restart()
    keyframe = seen(frontend, 0, 0.3)
    assert keyframe is not None
    assert (keyframe.index, keyframe.decision.reason) == (2, "first")


def test_a_restart_forgets_how_sharp_images_were() -> None:
    # A grey image beside sharp ones is blurred; the first after a restart is compared to itself.
    frontend = made()
    item = frame(13, pose(x=0.9))
    flat = np.full_like(item.image, 128)
    blurred = frontend.decide(item.stamp_ns, flat, item.camera, item.T_map_camera)
    assert blurred.reason == "blurred"
    frontend.restart()
    frontend.decide(item.stamp_ns, flat, item.camera, item.T_map_camera)
    later = frame(14, pose(x=1.8))
    again = frontend.decide(later.stamp_ns, flat, later.camera, later.T_map_camera)
    assert again.reason != "blurred"


def test_a_reset_starts_from_nought() -> None:
    frontend = made()
    frontend.reset()
    keyframe = seen(frontend, 0, 0.3)
    assert keyframe is not None
    assert (keyframe.index, keyframe.decision.reason) == (0, "first")
