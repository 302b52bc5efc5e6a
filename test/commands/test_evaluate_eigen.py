"""``evaluate --protocol eigen``: the figures of a source whose error is known, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data.kitti_raw_folder import DATE, DRIVE, annotate, kitti_raw
from e2e_slam_ros.cli import main
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.depth import predictor as depth_predictor
from e2e_slam_ros.evaluation.depth.predictor import PredictedDepth, Predictor

Refused = Callable[..., str]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[Keyframe]:
    """A source that says 2 m everywhere, but 2.5 m right of column 690; and what it was shown."""
    shown: list[Keyframe] = []

    def predict(keyframe: Keyframe) -> PredictedDepth:
        assert keyframe.sensor_depth is None
        shown.append(keyframe)
        depth = torch.full_like(keyframe.image[:, :1], 2.0)
        depth[..., 690:] = 2.5
        return PredictedDepth(depth)

    def build(*_: object) -> Predictor:
        return predict

    monkeypatch.setattr(depth_predictor, "build_predictor", build)
    return shown


def eigen(data: Path, images: Path, *more: object) -> list[str]:
    words = ["evaluate", "--protocol", "eigen", "--data", data, "--list", images, *more]
    return [str(word) for word in words]


def test_the_figures_are_those_of_the_source(
    known: list[Keyframe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the crop are 10, 20 and 5 m, found as 2, 2.5 and 2: the median 10 over 2 is 5."""
    images, file = kitti_raw(tmp_path / "kitti"), tmp_path / "figures.json"
    assert main(eigen(tmp_path / "kitti", images, "--json", file)) == 0
    # The network sees the image at its full size.
    assert known[0].image.shape[-2:] == (375, 1242)
    found = json.loads(file.read_text())
    assert (found["protocol"], found["images"], found["images_asked"]) == ("eigen", 2, 2)
    assert (found["truth"], found["left_out"]) == ("velodyne", {})
    assert found["scale"] == {"median": pytest.approx(5.0, rel=1e-6), "std": pytest.approx(0.0)}
    # 10 for 10, 12.5 for 20, 10 for 5.
    assert found["abs_rel"] == pytest.approx((0.0 + 7.5 / 20 + 1.0) / 3, rel=1e-5)
    assert found["sq_rel"] == pytest.approx((7.5**2 / 20 + 25 / 5) / 3, rel=1e-5)
    assert found["rmse"] == pytest.approx(((7.5**2 + 25) / 3) ** 0.5, rel=1e-5)
    assert found["delta_1"] == pytest.approx(1 / 3)
    assert "2 of 2 images, velodyne depth" in capsys.readouterr().out


def test_improved_depth_and_what_is_left_out(known: list[Keyframe], tmp_path: Path) -> None:
    del known
    images, file = kitti_raw(tmp_path / "kitti"), tmp_path / "figures.json"
    annotate(tmp_path / "kitti")
    with images.open("a") as end:
        end.write(f"{DATE}/{DRIVE}/image_02/data/0000000999.png\n")
    assert main(eigen(tmp_path / "kitti", images, "--truth", "improved", "--json", file)) == 0
    found = json.loads(file.read_text())
    assert (found["truth"], found["images"], found["images_asked"]) == ("improved", 1, 3)
    assert found["left_out"] == {"no true depth": 1, "unreadable": 1}
    assert found["scale"]["median"] == pytest.approx(6.25)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--truth", "stereo"], "velodyne, improved"),
        (["--set", "depth.source=motion_stereo"], "have no neighbours"),
        (["--gap", "3"], "--protocol two-view"),
        (["--frames", "5:9"], "a range within the 2 frames"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    tmp_path: Path, refused: Refused, more: list[str], words: str
) -> None:
    assert words in refused(*eigen(tmp_path, kitti_raw(tmp_path), *more))


@pytest.mark.usefixtures("known")
def test_without_list_or_images_nothing_is_written(tmp_path: Path, refused: Refused) -> None:
    images, file = kitti_raw(tmp_path / "kitti"), tmp_path / "figures.json"
    data = tmp_path / "kitti"
    assert "no copy of it" in refused("evaluate", "--protocol", "eigen", "--data", data)
    text = refused(*eigen(tmp_path / "elsewhere", images, "--json", file))
    assert "none of 2" in text and "unreadable (2)" in text
    assert not file.exists()
