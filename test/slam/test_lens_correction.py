"""Keyframes get the focal length and the shutter that images and given poses agree on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.rolling_shutter import unrolled
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.lens_correction import LensCorrector, build_lens_corrector
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import PoseFacts
from e2e_slam_ros.tracking.given_lens import LensFit

CPU = torch.device("cpu")
MOTION = {
    "camera.working_width": 160,
    "depth.source": "motion_stereo",
    "refine.strategy": "none",
}
CERTAIN = LensFit(0.99, 0.001, 0.010, 0.001)


@cache
def walk() -> tuple[Frame, ...]:
    return tuple(ProceduralReader(9003, 30, 320, 240, rate_hz=5.0))


def frames(stated: float) -> Iterator[Frame]:
    """A rendered walk whose stated focal length is ``stated`` times the true one."""
    for frame in walk():
        yield replace(frame, camera=frame.camera.scaled_focal(stated), depth=None)


def mapped(stated: float, **values: object) -> tuple[SlamPipeline, list[str]]:
    """Map every frame; return the pipeline and what it told the user."""
    pipeline, told = SlamPipeline(Config().with_values(MOTION | values), CPU), []
    for frame in frames(stated):
        decision = pipeline.choose_keyframe(frame, wanted=True)
        text = pipeline.map_keyframe(frame, decision).calibration
        told += [] if text is None else [text]
    return pipeline, told


def keyframe() -> Keyframe:
    camera = PinholeCamera(64, 48, 50.0, 50.0, 31.5, 23.5)
    decision = KeyframeDecision(True, "first")
    return Keyframe(0, 0, 0, torch.rand(1, 3, 48, 64), camera, torch.eye(4), None, decision)


def test_all_keyframes_in_memory_get_the_true_focal_length() -> None:
    pipeline, told = mapped(1.03)
    for item in pipeline.keyframes.recent():
        stated = item.keyframe.stated_camera.fx
        for view in (item.keyframe, *item.between):
            assert view.camera.fx / stated == pytest.approx(1.0 / 1.03, rel=0.006)
    (text,) = told
    assert "shorter than the stated" in text


def test_a_right_focal_length_stays() -> None:
    pipeline, told = mapped(1.0)
    newest = pipeline.keyframes.recent()[-1].keyframe
    assert newest.camera.fx == pytest.approx(newest.stated_camera.fx, rel=0.003)
    assert newest.lens.readout_s == 0.0


@pytest.mark.parametrize(
    "values",
    [{"camera.correct_focal": False}, {"depth.source": "sensor"}, {"camera.undistort": False}],
)
def test_nothing_is_corrected_where_it_must_not_be(values: dict[str, object]) -> None:
    corrector = build(values)
    assert not corrector.decide(CERTAIN) or corrector.focal_factor == 1.0


def build(values: dict[str, object]) -> LensCorrector:
    pipeline = SlamPipeline(Config().with_values(MOTION | values), CPU)
    return build_lens_corrector(pipeline.config, pipeline.source.traits)


def test_uncertain_and_extreme_fits_are_left_alone() -> None:
    corrector = LensCorrector()
    for fit in (
        replace(CERTAIN, focal_sigma=0.01, readout_sigma_s=0.01),
        LensFit(0.8, 0.001, 0.2, 0.001),
        LensFit(0.998, 0.001, 0.001, 0.0005),
        LensFit(1.0, 0.001, -0.01, 0.001),
    ):
        assert not corrector.decide(fit)
    assert (corrector.focal_factor, corrector.readout_s) == (1.0, 0.0)


def test_the_user_is_told_once() -> None:
    corrector = LensCorrector()
    assert corrector.notice() is None
    corrector.decide(CERTAIN)
    told = corrector.notice()
    assert told is not None and "1.0 % shorter" in told and "camera.correct_focal" in told
    assert corrector.notice() is None


def test_a_keyframe_is_corrected_once_and_follows_later_fits() -> None:
    corrector, turning = LensCorrector(), np.array([0.0, 1.0, 0.0])
    seen = corrector.corrected(keyframe(), turning)
    assert seen.camera.fx == seen.stated_camera.fx == 50.0
    corrector.decide(CERTAIN)
    first = corrector.corrected(seen)
    assert first.camera.fx == pytest.approx(49.5) and first.lens.readout_s == 0.010
    assert torch.equal(first.image, unrolled(seen.image, first.camera, turning, 0.010))
    assert not torch.equal(first.image, seen.image)
    assert corrector.corrected(first) is first
    corrector.decide(replace(CERTAIN, focal_factor=0.98))
    second = corrector.corrected(first)
    assert second.camera.fx == pytest.approx(49.0) and second.image is first.image
    # Views are compared only if their cameras are equal to the last digit.
    assert second.camera == corrector.corrected(keyframe(), turning).camera


def test_tracked_poses_bring_the_readout_time_of_their_tracker() -> None:
    corrector, frame = LensCorrector(), next(frames(1.0))
    poses = PoseFacts("tracking", "images", "network", 0.1, readout_s=0.02)
    assert corrector.observe(frame, np.zeros(3), poses)
    assert (corrector.focal_factor, corrector.readout_s) == (1.0, 0.02)


def test_a_readout_time_that_is_set_is_used_from_the_first_keyframe() -> None:
    corrector = build({"tracking.readout_s": 0.015})
    assert corrector.readout_s == 0.015
    assert not corrector.decide(replace(CERTAIN, focal_factor=1.0))
