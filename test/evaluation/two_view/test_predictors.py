"""The sources of two views in a rendered room; no source may look at the poses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, PoseError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.two_view.pair_errors import pair_errors
from e2e_slam_ros.evaluation.two_view.predictors import TwoViewGuess, build_two_view
from e2e_slam_ros.evaluation.working_frames import WorkingFrames
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.simulation import ProceduralReader

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pair() -> tuple[Keyframe, Keyframe]:
    reader = ProceduralReader(90100, 8, 320, 240, rate_hz=6.0)
    first, second = WorkingFrames(reader, Config().camera, CPU).at((0, 1))
    return first, second


def guesses(pair: tuple[Keyframe, Keyframe], source: str, **values: object) -> list[TwoViewGuess]:
    config = Config().with_values({"depth.source": source, **values})
    return build_two_view(config, CPU)(*pair)


@pytest.mark.parametrize(
    ("source", "values", "steps"),
    [
        ("dro", {"depth.dro.iterations": 0}, ["0 updates"]),
        (
            "dro",
            {"depth.dro.iterations": 12},
            ["0 updates", "4 updates", "8 updates", "12 updates"],
        ),
        ("deepv2d", {}, ["start", "1 turn", "2 turns", "3 turns"]),
        ("motion_stereo", {}, ["corners"]),
    ],
)
def test_the_steps(
    pair: tuple[Keyframe, Keyframe], source: str, values: dict[str, object], steps: list[str]
) -> None:
    found = guesses(pair, source, **values)
    assert [guess.step for guess in found] == steps
    for guess in found:
        assert guess.depth.shape == pair[0].image[:, :1].shape
        assert torch.isfinite(guess.depth).all() and (guess.depth > 0).any()
        T = guess.T_other_reference.double()
        assert torch.allclose(T[:3, :3] @ T[:3, :3].T, torch.eye(3).double(), atol=1e-4)


@pytest.mark.parametrize("source", ["dro", "deepv2d", "motion_stereo"])
def test_poses_are_not_looked_at(pair: tuple[Keyframe, Keyframe], source: str) -> None:
    """Wrong poses change nothing, and neither does a second time."""
    wrong = torch.eye(4).double()
    wrong[:3, 3] = 7.0
    first = guesses(pair, source)[-1]
    again = guesses((replace(pair[0], T_map_camera=wrong), pair[1]), source)[-1]
    assert torch.equal(first.depth, again.depth)
    assert torch.equal(first.T_other_reference, again.T_other_reference)


def test_corners_give_the_motion(pair: tuple[Keyframe, Keyframe]) -> None:
    found = guesses(pair, "motion_stereo")[-1]
    true = se3.inverse(pair[1].T_map_camera) @ pair[0].T_map_camera
    truth = pair[0].sensor_depth
    assert truth is not None
    errors = pair_errors(found.depth, found.T_other_reference, truth, true, 0.1, 8.0)
    assert errors is not None
    assert errors.rotation_deg < 0.3 and errors.direction_deg < 8.0
    assert errors.depth.abs_rel < 0.15


def test_images_without_corners_are_refused(pair: tuple[Keyframe, Keyframe]) -> None:
    grey = replace(pair[1], image=torch.full_like(pair[1].image, 0.5))
    with pytest.raises(PoseError, match="at least 20"):
        guesses((pair[0], grey), "motion_stereo")


def test_a_source_of_one_image_is_refused() -> None:
    with pytest.raises(ConfigError, match="dro, deepv2d, motion_stereo"):
        build_two_view(Config().with_values({"depth.source": "network"}), CPU)
