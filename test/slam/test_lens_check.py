"""Pictures that show nothing give no keyframes; pictures of recordings do, in the dark too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.images import read_color
from e2e_slam_ros.slam.depth_sources import depth_traits
from e2e_slam_ros.slam.keyframe_selector import KeyframeSelector
from e2e_slam_ros.slam.lens_check import LensCheck
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.refusals import refusal_kind
from refine.rooms import network_config, use_tiny_network, wall_frame
from slam.test_refused_keyframes import state
from synthetic import frame, pose, textured_image

Image = npt.NDArray[np.uint8]
DICE = np.random.default_rng(5)
SHAPE = (480, 640, 3)


def noisy(image: npt.ArrayLike, gain: float = 1.0, sigma: float = 0.0) -> Image:
    """The image with less light and a sensor's noise."""
    values = np.asarray(image, float)
    values = values * gain + DICE.normal(0.0, sigma, values.shape)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def as_jpeg(image: Image) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image)[1], cv2.IMREAD_COLOR)


NOISE = DICE.integers(0, 256, SHAPE, dtype=np.uint8)
NOTHING = {
    "black": np.zeros(SHAPE, np.uint8),
    "white": np.full(SHAPE, 255, np.uint8),
    "grey": np.full(SHAPE, 128, np.uint8),
    "lens cap, sensor noise": noisy(np.full(SHAPE, 2), sigma=2.0),
    "lens cap, much noise": noisy(np.full(SHAPE, 4), sigma=8.0),
    "grey, sensor noise": noisy(np.full(SHAPE, 128), sigma=5.0),
    "noise": NOISE,
    "noise as JPEG": as_jpeg(NOISE),
    "coarse noise": cv2.resize(NOISE[:120, :160], (640, 480), interpolation=cv2.INTER_NEAREST),
    "noise, small": NOISE[:48, :64],
    "black, tiny": np.zeros((3, 4, 3), np.uint8),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_picture_of_nothing_is_told(name: str) -> None:
    problem = LensCheck().look(NOTHING[name]).problem
    assert problem is not None and refusal_kind(problem) == "covered_lens"
    said = str(problem)
    assert said.startswith("the lens seems covered: got ") and ", expected " in said
    assert "; uncover or clean the lens" in said


RECORDINGS = (
    "aims_lab",
    "hololens/rooms_000",
    "tum/rgbd_dataset_freiburg1_desk_9frames",
    "tum/rgbd_dataset_freiburg1_rpy_excerpt",
    "tum/rgbd_dataset_freiburg3_cabinet_keyframes",
)


@pytest.mark.parametrize("folder", RECORDINGS)
def test_no_picture_of_a_recording_is_refused(shared_data: Path, folder: str) -> None:
    files = sorted((shared_data / folder / "rgb").iterdir())[::20]
    check = LensCheck()
    for file in files:
        image = read_color(file, file.name)
        dark = (noisy(image, gain, 3.0) for gain in (0.5, 0.3, 0.1))
        for picture in (image, noisy(image, sigma=10.0), *dark):
            problem = check.look(picture).problem
            assert problem is None, f"{file.name}: {problem}"


def half_covered(image: Image) -> Image:
    covered = image.copy()
    covered[:, : image.shape[1] // 2] = 4
    return noisy(covered, sigma=1.0)


def room() -> Image:
    """Coarse texture at 640x480."""
    return cv2.resize(textured_image(), (640, 480), interpolation=cv2.INTER_LINEAR)


def test_a_lens_that_is_half_covered_later_is_told() -> None:
    check, good = LensCheck(), room()
    assert check.look(good).problem is None
    for _ in range(100):
        problem = check.look(half_covered(good)).problem
        assert problem is not None and "black in 50% of its area, 0% of it before" in str(problem)
    assert check.look(good).problem is None


def test_a_mask_that_was_always_there_is_no_cover() -> None:
    check, masked = LensCheck(), half_covered(room())
    assert check.look(masked).problem is None and check.look(masked).problem is None
    check.reset()
    assert check.look(masked).problem is None


def selector_of(source: str, **more: object) -> KeyframeSelector:
    config = Config().with_values({"depth.source": source} | more)
    return KeyframeSelector(config.keyframe, depth_traits(config))


def test_a_covered_lens_is_no_keyframe_whoever_wants_it() -> None:
    selector = selector_of("network")
    for wanted in (False, True):
        item = replace(frame(0, pose()), image=NOTHING["noise, small"])
        decision = selector.choose_keyframe(item, wanted)
        assert (decision.is_keyframe, decision.reason) == (False, "covered lens")
    assert selector.choose_keyframe(frame(1, pose())).reason == "first"


def test_with_measured_depth_it_is_told_only() -> None:
    selector = selector_of("sensor")
    decision = selector.choose_keyframe(replace(frame(0, pose()), image=NOTHING["noise, small"]))
    assert decision.is_keyframe and decision.problem is not None


def test_the_check_can_be_turned_off() -> None:
    selector = selector_of("network", **{"keyframe.check_lens": False})
    decision = selector.choose_keyframe(replace(frame(0, pose()), image=NOTHING["noise, small"]))
    assert decision.is_keyframe and decision.problem is None


def test_noise_does_not_make_good_pictures_look_blurred() -> None:
    selector = selector_of("network")
    assert selector.choose_keyframe(wall_frame(0, 0.0)).is_keyframe
    for index in range(1, 60):
        covered = replace(wall_frame(index, 0.0), image=NOTHING["noise, small"])
        assert not selector.choose_keyframe(covered).is_keyframe
    assert selector.choose_keyframe(wall_frame(60, 0.3)).reason == "parallax"


def test_a_picture_that_stays_while_the_pose_moves_is_frozen() -> None:
    selector = selector_of("network")
    assert selector.choose_keyframe(wall_frame(0, 0.0)).is_keyframe
    stuck = wall_frame(1, 0.01).image
    reasons = []
    for index in range(1, 60):
        item = replace(wall_frame(index, 0.01 * index), image=stuck)
        decision = selector.choose_keyframe(item, wanted=index % 7 == 0 and index > 20)
        reasons.append(decision.reason)
        assert not decision.is_keyframe
    assert set(reasons) == {"too near", "frozen picture"}
    assert decision.problem is not None and refusal_kind(decision.problem) == "frozen_picture"
    assert "exactly the same picture over 0.58 m" in str(decision.problem)
    assert selector.choose_keyframe(wall_frame(60, 0.6)).reason == "parallax"


def test_a_camera_that_stands_still_is_not_frozen() -> None:
    selector = selector_of("network")
    for index in range(50):
        decision = selector.choose_keyframe(wall_frame(index, 0.02 * (index % 2) if index else 0))
        assert decision.problem is None


def walk(system: SlamPipeline, covers: dict[int, Image | None]) -> list[int]:
    """Ten steps of 10 cm; return the frames that were mapped. None: the picture is missing."""
    mapped = []
    for index in range(10):
        item = wall_frame(index, 0.1 * index)
        if index in covers:
            cover = covers[index]
            if cover is None:
                continue
            item = replace(item, image=cover)
        decision = system.choose_keyframe(item, wanted=index == 5)
        assert (decision.problem is not None) == (index in covers)
        if decision.is_keyframe:
            system.map_keyframe(item, decision)
            mapped.append(index)
    return mapped


def test_map_and_learned_weights_are_as_without_the_covered_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, object] = {
        "refine.strategy": "network",
        "refine.steps": 2,
        "refine.wait_keyframes": 1,
        "map.revisable_keyframes": 3,
        "keyframe.parallax": 0.04,
    }
    even = [np.full((48, 64, 3), value, np.uint8) for value in (0, 255)]
    covers = [*even, NOISE[:48, :64]]
    states, seen = [], []
    for hidden in (False, True):
        use_tiny_network(monkeypatch)
        system = SlamPipeline(network_config(**settings), torch.device("cpu"))
        shown = {4 + n: None if hidden else cover for n, cover in enumerate(covers)}
        seen.append(walk(system, shown))
        states.append(state(system))
    assert seen[0] == seen[1] == [0, 1, 2, 3, 7, 8, 9]
    assert states[0] == states[1]
