"""The motion module as an aligner: better than its start, the same twice, judged by images."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.dense import OdometryConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.motion_alignment import MotionAligner
from e2e_slam_ros.multiview.dro.motion import DroMotion
from e2e_slam_ros.simulation.effects import SensorEffects
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.tracking.dense.preparation import DensePreparation
from e2e_slam_ros.tracking.dense.view import DenseView

CPU = torch.device("cpu")
Pair = tuple[list[DenseView], list[DenseView], torch.Tensor]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Pyramids of views and references of two rooms, and the true T_reference_camera."""
    found = []
    for seed in (90100, 90101):
        reader = ProceduralReader(
            seed, 8, 320, 240, effects=SensorEffects(0, 0, 0, 0), rate_hz=5.0
        )
        prepare = DensePreparation(reader[0].camera, 320, CPU)
        for first in (0, 3, 6):
            one, two = reader[first], reader[first + 1]
            assert one.T_map_camera is not None and two.T_map_camera is not None
            T = torch.linalg.inv(torch.tensor(one.T_map_camera)) @ torch.tensor(two.T_map_camera)
            found.append((prepare(two).pyramid(3), prepare(one).pyramid(3), T[None].float()))
    return found


def degrees_off(T: torch.Tensor, true: torch.Tensor) -> float:
    return math.degrees(float(se3.log(se3.inverse(true) @ T)[0, 3:].norm()))


def disturbed(true: torch.Tensor, degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return true @ se3.exp(torch.tensor([[0.03, 0.0, -0.03, angle, -angle, 0.0]]))


def test_it_is_better_than_where_it_starts(pairs: list[Pair]) -> None:
    align = MotionAligner(Config().depth, CPU)
    before, after = [], []
    for views, references, true in pairs:
        start = disturbed(true, 3.0)
        before.append(degrees_off(start, true))
        after.append(degrees_off(align(views, references, start).T_reference_camera, true))
    assert sum(after) < 0.7 * sum(before)


def test_the_same_twice_and_alone(pairs: list[Pair]) -> None:
    """A start gives the same pose alone as among others, up to rounding."""
    views, references, true = pairs[0]
    align = MotionAligner(Config().depth, CPU)
    starts = torch.cat([disturbed(true, 1.0), disturbed(true, -2.0)])
    first, again = (align(views, references, starts).T_reference_camera for _ in range(2))
    assert torch.equal(first, again)
    alone = align(views, references, starts[1:]).T_reference_camera
    assert torch.allclose(alone, first[1:], atol=1e-4)


def test_the_images_judge(pairs: list[Pair]) -> None:
    """A pose with another room's keyframe is refused, and so is one without depth."""
    align, limits = MotionAligner(Config().depth, CPU), OdometryConfig()
    views, references, true = pairs[0]
    assert align(views, references, true).best(limits) is not None
    assert align(views, pairs[3][1], true).best(limits) is None
    bare = DenseView.from_images(
        references[0].grey, torch.zeros_like(references[0].grey), references[0].intrinsics
    )
    assert align(views, bare.pyramid(3), true).best(limits) is None


def test_dro_proposes_from_anywhere(pairs: list[Pair]) -> None:
    """DRO looks at no start; its rotation is right to a few degrees."""
    motion = DroMotion(Config().depth, CPU)
    off = []
    for views, references, true in pairs:
        one = motion(views[0], references[0], true)
        other = motion(views[0], references[0], disturbed(true, 20.0))
        assert torch.equal(one, other)
        off.append(degrees_off(one, true))
    assert sorted(off)[len(off) // 2] < 4.0


def test_weights_that_are_not_there_are_refused() -> None:
    config = Config().with_values({"depth.deepv2d.checkpoint": "nowhere.safetensors"})
    with pytest.raises(DepthError, match="nowhere"):
        MotionAligner(config.depth, CPU)
