"""Motion blur."""

from __future__ import annotations

import numpy as np

from e2e_slam_ros.slam.sharpness import RelativeSharpness, sharpness
from synthetic import textured_image


def blurred(image: np.ndarray) -> np.ndarray:
    wide = np.stack([np.roll(image, shift, axis=1) for shift in range(8)]).astype(float)
    return wide.mean(axis=0).astype(np.uint8)


def test_blur_lowers_sharpness_and_flat_is_zero() -> None:
    image = textured_image()
    assert sharpness(np.full((48, 64, 3), 90, np.uint8)) == 0.0
    assert 0 < sharpness(blurred(image)) < 0.6 * sharpness(image)


def test_a_checkerboard_has_its_closed_form_value() -> None:
    board = (np.indices((33, 33)).sum(0) % 2 * 100).astype(np.uint8)
    image = np.repeat(board[:, :, None], 3, axis=2)
    # Every neighbour differs by 100: |4 c - 4 n| = 400.
    assert sharpness(image) == 400.0


def test_sharpness_is_relative_to_recent_frames() -> None:
    relative, image = RelativeSharpness(window=5), textured_image()
    assert [relative.update(1, image) for _ in range(6)] == [1.0] * 6
    assert relative.update(2, blurred(image)) < 0.6
    for _ in range(5):
        relative.update(3, blurred(image))
    assert relative.update(4, blurred(image)) == 1.0
    relative.reset()
    assert relative.update(5, image) == 1.0


def test_a_forgotten_frame_leaves_no_trace() -> None:
    image = textured_image()
    one, other = RelativeSharpness(window=3), RelativeSharpness(window=3)
    for stamp in range(5):
        one.update(stamp, image)
        other.update(stamp, image)
    one.update(5, blurred(image))
    one.forget(5)
    assert one.update(6, blurred(image)) == other.update(6, blurred(image))


def test_tiny_images_are_survived() -> None:
    assert sharpness(np.zeros((1, 1, 3), np.uint8)) == 0.0
    assert sharpness(np.zeros((2, 2, 3), np.uint8)) == 0.0
