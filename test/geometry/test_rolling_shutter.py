from __future__ import annotations

import numpy as np
import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.rolling_shutter import unrolled
from e2e_slam_ros.tracking.lens import Lens

CAMERA = PinholeCamera(320, 240, 260.0, 260.0, 159.5, 119.5)
TURNING, READOUT_S = np.array([0.4, -0.9, 0.3]), 0.02


def pattern(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.25 * np.sin(0.11 * u) + 0.25 * np.cos(0.09 * v + 0.03 * u))


def recorded() -> torch.Tensor:
    """The pattern as a turning camera with a rolling shutter records it."""
    v, u = np.indices((240, 320), dtype=np.float64)
    ideal = Lens(CAMERA, READOUT_S).ideal(np.stack([u, v], -1).reshape(-1, 2), TURNING)
    picture = pattern(ideal[:, 0], ideal[:, 1]).reshape(240, 320)
    return torch.from_numpy(picture).float()[None, None]


def off(image: torch.Tensor) -> float:
    v, u = np.indices((240, 320), dtype=np.float64)
    inner = (slice(10, -10), slice(10, -10))
    return float(np.abs(image[0, 0].numpy() - pattern(u, v))[inner].max())


def test_the_image_is_that_of_a_shutter_that_takes_all_rows_at_once() -> None:
    image = recorded()
    assert off(image) > 0.05
    assert off(unrolled(image, CAMERA, TURNING, READOUT_S)) < 0.003


def test_undoing_a_correction_gives_the_image_back() -> None:
    image = recorded()
    there = unrolled(image, CAMERA, TURNING, READOUT_S)
    back = unrolled(there, CAMERA, TURNING, -READOUT_S)
    assert float((back - image)[..., 10:-10, 10:-10].abs().max()) < 0.004


def test_a_camera_that_does_not_turn_keeps_its_image() -> None:
    image = recorded()
    assert torch.equal(unrolled(image, CAMERA, np.zeros(3), READOUT_S), image)
