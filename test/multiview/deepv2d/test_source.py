"""DeepV2D as a depth source: its contract, not its quality."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import RawDepth
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.multiview.deepv2d import source as source_module
from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
from e2e_slam_ros.multiview.deepv2d.deepv2d import DeepV2D
from e2e_slam_ros.multiview.deepv2d.weights import save_deepv2d
from e2e_slam_ros.slam.depth_sources import build_depth_source
from multiview.recorded_room import map_room
from multiview.test_plane_sweep import view
from synthetic import pose

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("deepv2d") / "w.safetensors"
    save_deepv2d(DeepV2D(LIGHT), path, {})
    return path


def build(weights: Path, **values: object) -> DepthSource:
    given = {"checkpoint": str(weights), "width": 96, "height": 64, "min_confidence": 0.0,
             "motion_stereo": "off"}  # fmt: skip
    named = {f"depth.deepv2d.{k}": v for k, v in {**given, **values}.items()}
    return build_depth_source(Config().with_values({"depth.source": "deepv2d", **named}), CPU)


def estimates(source: DepthSource, poses: list[torch.Tensor]) -> list[RawDepth]:
    memory, found = Keyframes(12), []
    for index, T in enumerate(poses):
        keyframe = dataclasses.replace(view(index, T), index=index)
        found.append(source.estimate(keyframe, memory))
        memory.add(MappedKeyframe(keyframe))
    return found


def test_it_answers_from_the_second_keyframe_on(weights: Path) -> None:
    source = build(weights)
    assert isinstance(source, DepthSource) and source.traits.name == "deepv2d"
    first, *others = estimates(source, [pose(x=0.12 * i) for i in range(3)])
    assert (first.depth == 0).all()
    for raw in others:
        assert raw.depth.shape == (1, 1, 120, 160) and (raw.depth > 0).all()
        assert raw.confidence is not None and raw.confidence.max() <= 1.0
        assert (raw.source, raw.unit) == ("deepv2d", "motion")


@pytest.mark.parametrize("turn", [0.0, 10.0])
def test_without_translation_nothing_is_claimed(weights: Path, turn: float) -> None:
    for raw in estimates(build(weights), [pose(yaw_deg=turn * i) for i in range(3)]):
        assert (raw.depth == 0).all()
        assert raw.confidence is not None and (raw.confidence == 0).all()


def test_unsure_pixels_get_no_depth(weights: Path) -> None:
    raw = estimates(build(weights, min_confidence=1.0), [pose(), pose(x=0.12)])[1]
    assert (raw.depth == 0).all()


def test_motion_stereo_takes_part_where_it_answers(weights: Path) -> None:
    """On a textured wall at 2 m that random weights do not see."""
    poses = [pose(x=0.12 * i) for i in range(4)]
    alone, fill, mean = (
        estimates(build(weights, motion_stereo=kind), poses)[-1].depth
        for kind in ("off", "fill", "mean")
    )
    answered = (fill - alone).abs() > 1e-6
    assert answered.float().mean() > 0.8
    assert (fill[answered] - 2.0).abs().mean() < 0.03
    torch.testing.assert_close(mean[answered], (fill * alone).sqrt()[answered])
    assert torch.equal(mean[~answered], alone[~answered])


def test_only_the_motion_counts_not_where_the_map_begins(weights: Path) -> None:
    source = build(weights)
    here = estimates(source, [pose(), pose(x=0.12)])[1]
    moved = pose(x=900.0, y=-40.0, z=3.0, yaw_deg=70.0)
    memory, found = Keyframes(12), None
    for index, T in enumerate([pose(), pose(x=0.12)]):
        keyframe = dataclasses.replace(view(index, T), index=index, T_map_camera=moved @ T)
        found = source.estimate(keyframe, memory)
        memory.add(MappedKeyframe(keyframe))
    assert found is not None
    torch.testing.assert_close(found.depth, here.depth, rtol=1e-3, atol=1e-3)


def test_missing_weights_and_odd_sizes_are_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "SHIPPED", weights.with_name("none.safetensors"))
    with pytest.raises(DepthError, match="no weights.*e2e-slam train deepv2d"):
        build(Path(""), checkpoint="")
    with pytest.raises(DepthError, match="99x64, expected multiples of 4"):
        build(weights, width=99)


@pytest.mark.skipif(not source_module.SHIPPED.is_file(), reason="the package has no weights")
def test_a_recorded_room_is_mapped_without_its_depth(shared_data: Path) -> None:
    config = Config().with_values({"depth.source": "deepv2d"})
    errors, surfels = map_room(config, shared_data, range(60, 80))
    assert len(errors) > 4 and sum(errors) / len(errors) < 0.15
    assert surfels > 10_000
