"""The evaluate command: what it writes, and what it refuses before it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.cli import main
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.evaluation.depth import predictor as depth_predictor
from e2e_slam_ros.evaluation.depth.predictor import PredictedDepth, Predictor

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light network with random weights."""
    torch.manual_seed(3)
    network = build_network("efficientnet_lite2").eval()
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    return save_weights(network, path, {}, half=False)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that sees everything 10 % too far, in place of the configured one."""

    def predict(keyframe: Keyframe) -> PredictedDepth:
        assert keyframe.sensor_depth is not None
        return PredictedDepth(keyframe.sensor_depth * 1.1)

    def build(*_: object) -> Predictor:
        return predict

    monkeypatch.setattr(depth_predictor, "build_predictor", build)


def depth(data: Path, *more: object) -> list[str]:
    words = ["evaluate", "--protocol", "depth", "--data", data, *more]
    return [str(word) for word in words]


def test_a_network_is_evaluated_by_default(
    data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "new" / "figures.json", tmp_path / "pictures"
    checkpoint = f"depth.network.checkpoint={weights}"
    argv = depth(data, "--frames", "2:6", "--set", checkpoint, "--json", file, "--out", folder)
    assert main([*argv, "--baselines", str(data), "--baseline-frames", "0:2"]) == 0
    found = json.loads(file.read_text())
    assert (found["protocol"], found["data"], found["frames"]) == ("depth", "data", 4)
    assert found["source"] == "network"
    for name in ("raw", "median_scaled"):
        for metric in ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3"):
            assert found[name][metric] >= 0.0
    assert set(found["baselines"]) == {"constant depth", "median of frames"}
    assert found["uncertainty"]["random_area"] >= 0.0
    assert found["weights"]["architecture"] == "efficientnet_lite2"
    assert len(found["weights"]["sha256"]) == 64
    assert "cores" in found["machine"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "depth.png",
        "report.html",
        "sparsification.png",
    ]
    text = capsys.readouterr().out
    for words in ("network, raw", "constant depth", "median of frames", "AUSE", str(file)):
        assert words in text


@pytest.mark.usefixtures("far")
def test_the_figures_are_those_of_the_source(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    source = "depth.source=motion_stereo"
    assert main(depth(data, "--json", file, "--set", source)) == 0
    found = json.loads(file.read_text())
    assert found["raw"]["abs_rel"] == pytest.approx(0.1, rel=1e-4)
    assert found["median_scaled"]["abs_rel"] == pytest.approx(0.0, abs=1e-6)
    assert found["scale"]["median"] == pytest.approx(1 / 1.1, rel=1e-4)
    assert (found["weights"], found["uncertainty"]) == (None, None)


def test_an_unknown_protocol_is_refused(data: Path, refused: Refused) -> None:
    text = refused("evaluate", "--protocol", "dpeth", "--data", data)
    assert "'dpeth'" in text and "one of: depth" in text


def test_a_sequence_without_depth_is_refused(
    data: Path, weights: Path, tmp_path: Path, refused: Refused
) -> None:
    (data / "depth.txt").write_text("")
    file, folder = tmp_path / "figures.json", tmp_path / "pictures"
    checkpoint = f"depth.network.checkpoint={weights}"
    text = refused(*depth(data, "--set", checkpoint, "--json", file, "--out", folder))
    assert "no true depth in range (12)" in text
    assert not file.exists() and not folder.exists()


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--frames", "40:50"], "a range within the 12 frames"),
        (["--frames", "a:b"], "A:B with whole numbers"),
        (["--baseline-frames", "0:3"], "add --baselines"),
        (["--set", "depth.nearest=1"], "a known name"),
        (["--baselines", "nowhere"], "nowhere"),
        (["--set", "runtime.device=cuda:99"], "runtime.device"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    data: Path, refused: Refused, tmp_path: Path, more: list[str], words: str
) -> None:
    file = tmp_path / "figures.json"
    assert words in refused(*depth(data, "--json", file, *more))
    assert not file.exists()


def test_the_sensor_is_not_compared_with_itself(data: Path, refused: Refused) -> None:
    assert "depth.source" in refused(*depth(data, "--set", "depth.source=sensor"))


@pytest.mark.usefixtures("far")
def test_outputs_that_cannot_be_written_are_refused_first(
    data: Path, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("kept")
    monkeypatch.setattr(
        "e2e_slam_ros.evaluation.depth.protocol.DepthProtocol.run",
        lambda *_: pytest.fail("worked before it looked at the outputs"),
    )
    assert "a folder that can be written" in refused(
        *depth(data, "--json", in_the_way / "figures.json")
    )
    assert "a folder that can be written" in refused(*depth(data, "--out", in_the_way / "x"))
    assert "the name of a file" in refused(*depth(data, "--json", tmp_path))
    assert in_the_way.read_text() == "kept"


def test_weights_that_are_missing_are_refused(data: Path, refused: Refused) -> None:
    text = refused(*depth(data, "--set", "depth.network.checkpoint=/nowhere/w.safetensors"))
    assert "no such file" in text
