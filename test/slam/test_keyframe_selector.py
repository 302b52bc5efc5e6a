"""The choice of keyframes: what is forgotten when."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.keyframe_selector import KeyframeSelector
from e2e_slam_ros.slam.preprocess import Preprocessor
from synthetic import frame, pose

CONFIG = Config()


def seen(selector: KeyframeSelector, number: int, x: float = 0.0) -> KeyframeDecision:
    """Pass a frame through; map it if it became a keyframe."""
    item = frame(number, pose(x=x))
    decision = selector.choose_keyframe(item)
    if decision.is_keyframe:
        prepare = Preprocessor(CONFIG.camera, torch.device("cpu"))
        keyframe = prepare.keyframe(item, decision, 0)
        assert keyframe.sensor_depth is not None
        selector.mapped(keyframe, keyframe.sensor_depth)
    return decision


def made() -> KeyframeSelector:
    """A selector that has had two keyframes, 30 cm apart."""
    selector = KeyframeSelector(CONFIG.keyframe, depth_traits(CONFIG))
    assert seen(selector, 10).is_keyframe and seen(selector, 11, 0.3).is_keyframe
    assert not seen(selector, 12, 0.3).is_keyframe
    return selector


def test_a_restart_forgets_the_reference() -> None:
    selector = made()
    selector.restart()
    assert seen(selector, 0, 0.3).reason == "first"


def test_a_restart_forgets_how_sharp_images_were() -> None:
    # A grey image beside sharp ones is blurred; the first after a restart is compared to itself.
    selector = made()
    item = frame(13, pose(x=0.9))
    flat = np.full_like(item.image, 128)
    assert selector.choose_keyframe(dataclasses.replace(item, image=flat)).reason == "blurred"
    selector.restart()
    selector.choose_keyframe(dataclasses.replace(item, image=flat))
    later = dataclasses.replace(frame(14, pose(x=1.8)), image=flat)
    assert selector.choose_keyframe(later).reason != "blurred"


def test_an_error_withdraws_the_keyframe() -> None:
    selector = made()
    item = frame(13, pose(x=0.9))
    assert selector.choose_keyframe(item).is_keyframe
    with pytest.raises(RuntimeError), selector.withdrawn_on_error(item.stamp_ns):
        raise RuntimeError
    assert selector.choose_keyframe(frame(14, pose(x=0.9))).is_keyframe


def test_only_a_sensor_maps_pure_rotation() -> None:
    for source, mapped in (("sensor", True), ("network", False)):
        config = CONFIG.with_values({"depth.source": source})
        selector = KeyframeSelector(config.keyframe, depth_traits(config))
        selector.choose_keyframe(frame(0, pose()))
        assert selector.choose_keyframe(frame(1, pose(yaw_deg=20.0))).is_keyframe is mapped
