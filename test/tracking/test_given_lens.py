"""Focal length and readout time from images with given poses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.trajectory.noisy_poses import NoisyPoses
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.slam.angular_velocity import AngularVelocity
from e2e_slam_ros.slam.lens_correction import LensCorrector
from e2e_slam_ros.tracking.given_lens import GivenLens, LensFit


def fitted(frames: Iterable[Frame], focal: float = 1.0, every: int = 1) -> LensFit | None:
    """Fit frames whose stated focal length is ``focal`` times that of their recording."""
    lens, velocity = GivenLens(), AngularVelocity()
    for number, frame in enumerate(frames):
        velocity.observe(frame)
        if number % every == 0:
            camera = frame.camera.scaled_focal(focal)
            lens.observe(replace(frame, camera=camera), velocity.at(frame.stamp_ns))
    return lens.fit


@pytest.fixture(scope="module")
def rendered() -> list[Frame]:
    return list(ProceduralReader(9003, 40, 320, 240, rate_hz=5.0))


@pytest.mark.parametrize("stated", [0.97, 1.0, 1.04])
def test_a_wrong_focal_length_is_found(rendered: list[Frame], stated: float) -> None:
    fit = fitted(rendered, stated)
    assert fit is not None
    assert abs(fit.focal_factor * stated - 1.0) < 0.006
    assert fit.focal_sigma < 0.004


def test_few_pairs_say_nothing(rendered: list[Frame]) -> None:
    assert fitted(rendered[:8]) is None


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_noisy_poses_change_nothing(shared_data: Path, share: float) -> None:
    """Noise of rotations would make the focal length look 2 to 3 % shorter."""
    clean = open_reader(shared_data / "hololens" / "rooms_000")
    reader = NoisyPoses(clean, 0.03 * share, share)
    fit = fitted((reader[i] for i in range(100, 200)), every=2)
    corrector = LensCorrector()
    assert fit is None or not corrector.decide(fit)


def test_another_camera_begins_anew(rendered: list[Frame]) -> None:
    lens = GivenLens()
    for frame in rendered:
        lens.observe(frame, np.zeros(3))
    assert lens.fit is not None
    lens.observe(replace(rendered[0], camera=rendered[0].camera.scaled_focal(0.9)), np.zeros(3))
    assert lens.fit is None


def test_a_real_camera_is_fitted_alike_in_two_places(shared_data: Path) -> None:
    """Both parts of the walk show a focal length 1 % shorter than stated, read in 9 to 11 ms."""
    reader = open_reader(shared_data / "hololens" / "rooms_000")
    for first in (0, 120):
        fit = fitted((reader[i] for i in range(first, first + 100)), every=2)
        assert fit is not None
        assert -0.013 < np.log(fit.focal_factor) < -0.006
        assert 0.006 < fit.readout_s < 0.012
