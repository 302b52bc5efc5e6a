"""Which views a stage gets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.sc_sfm.datasets import build_samplers
from synthetic import CAMERA, frame, pose
from training.running import context_of


def sequence(folder: Path) -> str:
    with TumWriter(folder, CAMERA) as writer:
        for index in range(6):
            writer.write(frame(index, pose(x=0.05 * index), stamp_s=1.0 + 0.1 * index))
    return str(folder)


def config(**values: object) -> SCSfMConfig:
    small = {"width": 64, "height": 64, "data.procedural.weight": 0.0}
    both = {"pretraining.steps": 1, "self_supervision.steps": 1}
    return SCSfMConfig().with_values({**small, **both, **values})


def test_pairs_go_where_they_are_used_and_an_unreadable_frame_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    path = sequence(tmp_path / "wall")
    next((tmp_path / "wall" / "rgb").iterdir()).write_bytes(b"torn")
    labelled = config(**{"data.labelled.weight": 1.0, "data.labelled.paths": path})
    samplers = build_samplers(labelled, context_of(say=said.append))
    first, second = (samplers[name].batch(0) for name in ("pretraining", "self_supervision"))
    assert first.has_depth.all() and not first.has_source.any()
    assert second.has_source.all() and second.has_pose.all() and len(second) == 4
    assert torch.equal(second.image, samplers["self_supervision"].batch(0).image)
    assert any("1 frames cannot be read" in text for text in said), said


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "data of stage pretraining"),
        ({"data.labelled.weight": 1.0}, "no sequence"),
        # Video alone teaches a supervised stage nothing.
        ({"data.video.weight": 1.0, "data.video.paths": "x"}, "data of stage pretraining"),
    ],
)
def test_a_stage_without_anything_to_learn_from_is_refused(
    values: dict[str, object], says: str
) -> None:
    with pytest.raises(TrainingError, match=says):
        build_samplers(config(**values), context_of())
