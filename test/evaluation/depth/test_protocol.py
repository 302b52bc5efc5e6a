"""The depth protocol on a wall whose depth is known, with sources whose errors are known."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError, DepthError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.evaluation.depth.baselines import constant_depth
from e2e_slam_ros.evaluation.depth.figures import sample_grid, sparsification_plot
from e2e_slam_ros.evaluation.depth.predictor import PredictedDepth, Predictor, build_predictor
from e2e_slam_ros.evaluation.depth.protocol import DepthProtocol, DepthResult
from e2e_slam_ros.evaluation.depth.report import DepthReport
from e2e_slam_ros.evaluation.depth.texture import is_textured
from e2e_slam_ros.evaluation.weights import Weights
from e2e_slam_ros.evaluation.working_frames import WorkingFrames

MakeReader = Callable[[list[Frame]], FrameReader]
MakeFrames = Callable[[int], list[Frame]]
NETWORK = Config().with_values({"depth.source": "network"})
PNG = b"\x89PNG\r\n\x1a\n"


def truth_of(keyframe: Keyframe) -> torch.Tensor:
    assert keyframe.sensor_depth is not None
    return keyframe.sensor_depth


def measure(
    reader: FrameReader,
    predict: Predictor,
    config: Config = NETWORK,
    samples: int = 0,
) -> tuple[DepthReport, DepthResult]:
    frames = WorkingFrames(reader, config.camera, torch.device("cpu"))
    outcome = DepthProtocol(predict, config, {"constant": constant_depth()}).run(
        frames, frames, samples
    )
    report = DepthReport(
        data=reader.name,
        asked=len(reader),
        skipped=frames.left_out.counts,
        source=config.depth.source,
        scores=tuple(outcome.scores),
        machine="here",
        weights=Weights("efficientnet_lite2", "0" * 64),
    )
    return report, outcome


def test_a_wrong_scale_is_all_that_is_wrong(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    report, _ = measure(
        list_reader(wall_frames(4)), lambda keyframe: PredictedDepth(truth_of(keyframe) * 1.25)
    )
    found = report.to_json()
    assert found["raw"]["abs_rel"] == pytest.approx(0.25, rel=1e-5)
    assert found["raw"]["rmse_log"] == pytest.approx(math.log(1.25), rel=1e-5)
    assert found["median_scaled"]["abs_rel"] == pytest.approx(0.0, abs=1e-6)
    assert found["scale"]["median"] == pytest.approx(0.8, rel=1e-5)
    assert found["scale"]["std"] == pytest.approx(0.0, abs=1e-6)
    assert (found["frames"], found["covered"], found["uncertainty"]) == (4, 1.0, None)
    assert found["raw"]["pixels"] == 4 * 48 * 64
    # A wall seen head-on has one depth.
    assert found["baselines"]["constant"]["median_scaled"]["abs_rel"] == pytest.approx(0.0)
    json.dumps(found, allow_nan=False)


def test_each_image_counts_alike(wall_frames: MakeFrames, list_reader: MakeReader) -> None:
    frames = wall_frames(2)
    cut = np.zeros((48, 64), dtype=np.float32)
    cut[:4, :4] = 2.0
    frames[1] = dataclasses.replace(frames[1], depth=cut)
    report, _ = measure(
        list_reader(frames),
        lambda keyframe: PredictedDepth(
            truth_of(keyframe) * (1.1 if keyframe.index == 0 else 1.3)
        ),
    )
    assert report.to_json()["raw"]["abs_rel"] == pytest.approx(0.2, rel=1e-5)
    assert report.to_json()["scale"]["std"] == pytest.approx((1 / 1.1 - 1 / 1.3) / 2, rel=1e-5)


def test_predictions_out_of_range_count_and_missing_ones_do_not(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    def predict(keyframe: Keyframe) -> PredictedDepth:
        depth = truth_of(keyframe) * 10.0  # 20 m: outside what the system would use
        depth[..., :16] = 0.0
        depth[..., 16:32] = float("nan")
        return PredictedDepth(depth)

    found = measure(list_reader(wall_frames(2)), predict)[0].to_json()
    assert found["raw"]["abs_rel"] == pytest.approx(9.0, rel=1e-5)
    assert found["covered"] == pytest.approx(0.5)


def test_textured_and_untextured_pixels_are_told_apart(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    frames = wall_frames(2)
    for index, item in enumerate(frames):
        image = item.image.copy()
        image[:, 32:] = 90
        frames[index] = dataclasses.replace(item, image=image)

    def predict(keyframe: Keyframe) -> PredictedDepth:
        factor = torch.where(is_textured(keyframe.image), 1.0, 1.2)
        return PredictedDepth(truth_of(keyframe) * factor)

    found = measure(list_reader(frames), predict)[0].to_json()
    assert 0.5 < found["textured_share"] < 0.58
    assert found["textured"]["raw"]["abs_rel"] == pytest.approx(0.0, abs=1e-6)
    assert found["untextured"]["raw"]["abs_rel"] == pytest.approx(0.2, rel=1e-4)
    # One scale an image: the textured half sets it, and the other half shows its error.
    assert found["untextured"]["median_scaled"]["abs_rel"] == pytest.approx(0.2, rel=1e-4)


@pytest.mark.parametrize("knows", [True, False])
def test_the_uncertainty_is_compared_with_the_error(
    wall_frames: MakeFrames, list_reader: MakeReader, knows: bool
) -> None:
    def predict(keyframe: Keyframe) -> PredictedDepth:
        factor = torch.linspace(1.0, 2.0, 64).expand(1, 1, 48, 64)
        error = (factor / factor.median() - 1.0).abs()
        return PredictedDepth(truth_of(keyframe) * factor, (error if knows else -error))

    report, _ = measure(list_reader(wall_frames(2)), predict)
    found = report.to_json()["uncertainty"]
    curves = report.curves()
    assert curves is not None
    if knows:
        assert found["ause"] == pytest.approx(0.0, abs=1e-6)
    else:
        assert found["ause"] > found["random_area"] > 0.05
    assert found["by_uncertainty"][0] == pytest.approx(
        report.to_json()["median_scaled"]["abs_rel"], rel=1e-5
    )
    assert sparsification_plot(curves).startswith(PNG)


def test_frames_without_truth_are_counted_and_not_predicted(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    frames = wall_frames(4)
    frames[1] = dataclasses.replace(frames[1], depth=None)
    frames[2] = dataclasses.replace(frames[2], depth=np.full((48, 64), 30.0, dtype=np.float32))
    asked: list[int] = []

    def predict(keyframe: Keyframe) -> PredictedDepth:
        asked.append(keyframe.index)
        return PredictedDepth(truth_of(keyframe))

    report, _ = measure(list_reader(frames), predict)
    assert asked == [0, 3]
    assert report.to_json()["left_out"] == {"no true depth in range": 2}
    assert report.to_json()["frames"] == 2


def test_a_sequence_without_truth_is_refused_with_the_reasons(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    frames = [dataclasses.replace(item, depth=None) for item in wall_frames(3)]
    with pytest.raises(DataError, match=r"none of 3 .*no true depth in range \(3\)"):
        measure(list_reader(frames), lambda keyframe: PredictedDepth(truth_of(keyframe)))


def test_a_source_that_always_fails_says_why(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    def predict(keyframe: Keyframe) -> PredictedDepth:
        raise DepthError.from_parts("depth", "fog", "a view", "wait")

    with pytest.raises(DataError, match=r"no prediction \(2\).*got fog"):
        measure(list_reader(wall_frames(2)), predict)


def test_samples_are_evenly_spread(wall_frames: MakeFrames, list_reader: MakeReader) -> None:
    reader = list_reader(wall_frames(11))
    _, outcome = measure(
        reader, lambda keyframe: PredictedDepth(truth_of(keyframe) * 2.0), samples=3
    )
    assert [keyframe.index for keyframe, _, _ in outcome.samples] == [0, 5, 10]
    assert outcome.samples[0][2].scale == pytest.approx(0.5)
    assert sample_grid(outcome.samples, 8.0).startswith(PNG)


def test_the_sensor_is_not_compared_with_itself() -> None:
    with pytest.raises(ConfigError, match="'sensor'"):
        build_predictor(Config().with_values({"depth.source": "sensor"}), torch.device("cpu"))


def test_motion_stereo_gets_every_frame_with_a_pose_in_order(
    wall_frames: MakeFrames, list_reader: MakeReader
) -> None:
    """It needs earlier frames, also those without truth; the first has none before it."""
    frames = wall_frames(6)
    frames[1] = dataclasses.replace(frames[1], depth=None)
    frames[2] = dataclasses.replace(frames[2], T_map_camera=None)
    config = Config().with_values({"depth.source": "motion_stereo"})
    real = build_predictor(config, torch.device("cpu"))
    asked: list[int] = []

    def predict(keyframe: Keyframe) -> PredictedDepth:
        asked.append(keyframe.index)
        return PredictedDepth(truth_of(keyframe)) if keyframe.index == 5 else real(keyframe)

    report, _ = measure(list_reader(frames), predict, config)
    assert asked == [0, 1, 3, 4, 5]
    assert report.skipped["no pose"] == 1
    assert report.skipped["no true depth in range"] == 1
    assert report.skipped["no pixel with both depths"] >= 1


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light network with random weights."""
    torch.manual_seed(3)
    network = build_network("efficientnet_lite2").eval()
    assert isinstance(network, DepthNetwork)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    return save_weights(network, path, {}, half=False)


@pytest.mark.parametrize("folder", ["hololens/rooms_000"])
def test_a_network_answers_for_every_pixel_of_real_frames(
    shared_data: Path, network_file: Path, folder: str
) -> None:
    config = NETWORK.with_values(
        {
            "depth.network.checkpoint": str(network_file),
            # Nothing that is used in a run: the protocol must not care.
            "depth.max_m": 6.0,
            "depth.min_m": 0.5,
        }
    )
    reader = open_reader(shared_data / folder)
    frames = WorkingFrames(reader, config.camera, torch.device("cpu"))
    predict = build_predictor(config, torch.device("cpu"))
    outcome = DepthProtocol(predict, config, {}).run(frames, frames.at([250, 300]), 0)
    for score in outcome.scores:
        assert score.depth.every.raw is not None
        assert score.depth.every.raw.pixels == score.pixels > 10_000
        assert score.curves is not None
