"""The frames that progress is measured on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import DataError, E2ESlamError, TrainingError
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig, ValidationConfig
from e2e_slam_ros.training.sc_sfm.validation import Validation, validation_of
from synthetic import CAMERA, frame, pose
from training.running import context_of

CPU = torch.device("cpu")


class Constant(DepthNetwork):
    """Says the same everywhere; per relative focal length, as the light network does."""

    focal_normalised = True

    def predict(self, image: torch.Tensor) -> Prediction:
        focal = (CAMERA.fx * CAMERA.fy / (CAMERA.width * CAMERA.height)) ** 0.5
        return Prediction(torch.full_like(image[:, :1], focal / 3.0), None)


def sequence(folder: Path, depth: bool = True) -> str:
    with TumWriter(folder, CAMERA) as writer:
        for index in range(6):
            item = frame(index, pose(x=0.05 * index), stamp_s=1.0 + 0.1 * index)
            writer.write(item if depth else dataclasses.replace(item, depth=None))
    return str(folder)


def test_a_known_error_is_measured_raw_and_scaled(tmp_path: Path) -> None:
    config = ValidationConfig(path=sequence(tmp_path / "wall"), frames="1:6", count=3)
    validation = Validation(config, 64, 64, CPU)
    assert len(validation) == 3
    figures = validation.measure(Constant())
    # The wall is 2 m away and flat; the network says 3 m.
    assert figures["raw.abs_rel"] == pytest.approx(0.5, abs=1e-2)
    assert figures["median_scaled.abs_rel"] < 1e-2


def test_frames_without_depth_or_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no frame with depth"):
        path = sequence(tmp_path / "blind", depth=False)
        Validation(ValidationConfig(path=path), 64, 64, CPU)
    for config in (
        ValidationConfig(path=str(tmp_path / "absent")),
        ValidationConfig(path=sequence(tmp_path / "short"), frames="50:60"),
    ):
        with pytest.raises(DataError, match="expected"):
            Validation(config, 64, 64, CPU)


def test_no_path_is_no_validation_and_said() -> None:
    said: list[str] = []
    assert validation_of(SCSfMConfig(), context_of(say=said.append)) is None
    assert len(said) == 1 and issubclass(TrainingError, E2ESlamError)
