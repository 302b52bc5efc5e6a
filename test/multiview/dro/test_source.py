"""DRO as a depth source."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import Config, DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.evaluation.two_view import predictors
from e2e_slam_ros.multiview.dro import motion
from e2e_slam_ros.multiview.dro import source as source_module
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import LIGHT
from e2e_slam_ros.multiview.dro.source import SHIPPED, SHIPPED_POSES, DroDepth
from e2e_slam_ros.multiview.dro.weights_file import save_dro
from e2e_slam_ros.slam.depth_sources import build_depth_source, depth_traits
from multiview.recorded_room import map_room
from multiview.test_plane_sweep import view
from synthetic import pose

CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration with the weights of a new network: it keeps the depth it starts from."""
    path = save_dro(DroNetwork(LIGHT), tmp_path / "dro.safetensors", {})
    return Config().with_values({"depth.source": "dro", "depth.dro.checkpoint": str(path)})


def estimates(config: Config, keyframes: list[Keyframe]) -> list[RawDepth]:
    source, memory, found = DroDepth(config.depth, CPU), Keyframes(12), []
    for index, keyframe in enumerate(keyframes):
        keyframe = dataclasses.replace(keyframe, index=index)
        found.append(source.estimate(keyframe, memory))
        memory.add(MappedKeyframe(keyframe))
    return found


def test_a_wall_is_measured_in_metres_at_every_pixel(config: Config) -> None:
    first, *_, last = estimates(config, [view(i, pose(x=0.12 * i)) for i in range(4)])
    assert (first.depth == 0).all()
    assert last.depth.shape == (1, 1, 120, 160) and (last.depth > 0).all()
    assert last.depth.median() == pytest.approx(2.0, rel=0.03)
    assert last.confidence is not None
    assert last.confidence.min() > 0 and last.confidence.max() <= 1.0
    assert (last.source, last.unit) == ("dro", "motion")


def test_the_answer_lies_between_motion_stereo_and_the_optimiser(config: Config) -> None:
    source = DroDepth(config.depth, CPU)
    stereo = torch.full((1, 1, 4, 4), 4.0)
    stereo[..., 2:] = 0.0  # no answer there
    mixed = source.mixed(torch.ones(1, 1, 4, 4), RawDepth(stereo, None, "motion_stereo", "motion"))
    assert torch.allclose(mixed[..., :2], torch.tensor(2.0))
    assert torch.allclose(mixed[..., 2:], torch.tensor(1.0))


@pytest.mark.parametrize("start", ["single", "stereo"])
def test_both_starts_measure_the_wall(config: Config, start: str) -> None:
    config = config.with_values({"depth.dro.start": start, "depth.dro.stereo_share": 0.0})
    last = estimates(config, [view(i, pose(x=0.12 * i)) for i in range(4)])[-1]
    assert last.depth.median() == pytest.approx(2.0, rel=0.1)


def test_without_translation_nothing_is_claimed(config: Config) -> None:
    for answer in estimates(config, [view(i, pose(yaw_deg=5.0 * i)) for i in range(3)]):
        assert (answer.depth == 0).all()


def test_images_without_texture_do_not_stop_it(config: Config) -> None:
    flat = [
        dataclasses.replace(item, image=torch.full_like(item.image, 0.5))
        for item in (view(i, pose(x=0.15 * i)) for i in range(3))
    ]
    for answer in estimates(config, flat):
        assert answer.depth.isfinite().all()


def test_the_factory_knows_it(config: Config) -> None:
    source = build_depth_source(config, CPU)
    assert isinstance(source, DepthSource) and source.traits == depth_traits(config)
    assert source.network is None


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    missing = Config().with_values({"depth.dro.checkpoint": str(tmp_path / "none.safetensors")})
    with pytest.raises(DepthError, match="no such file"):
        DroDepth(missing.depth, CPU)


def test_the_weights_of_the_package_load() -> None:
    assert DroDepth(DepthConfig(), CPU).optimiser.shape == LIGHT


@pytest.mark.parametrize("mine", ["", "mine.safetensors"])
def test_given_and_unknown_poses_have_weights_of_their_own(
    monkeypatch: pytest.MonkeyPatch, mine: str
) -> None:
    taken: list[Path] = []

    def load(path: Path, device: torch.device) -> DroNetwork:
        taken.append(path)
        return DroNetwork(LIGHT)

    monkeypatch.setattr(source_module, "load_dro", load)
    monkeypatch.setattr(motion, "load_dro", load)
    config = Config().with_values({"depth.dro.checkpoint": mine})
    DroDepth(config.depth, CPU)
    predictors.DroTwoView(config, CPU)
    motion.DroMotion(config.depth, CPU)
    expected = [SHIPPED, SHIPPED_POSES, SHIPPED_POSES]
    assert taken == ([Path(mine)] * 3 if mine else expected)


def test_the_pipeline_maps_with_it(config: Config, shared_data: Path) -> None:
    errors, surfels = map_room(config, shared_data, range(60, 72))
    assert len(errors) > 3 and surfels > 10_000
