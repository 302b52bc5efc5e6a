"""``evaluate --protocol two-view`` on a folder of ScanNet, with a source whose error is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data import layout_scenes
from e2e_slam_ros.cli import main
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.two_view import predictors
from e2e_slam_ros.evaluation.two_view.predictors import TwoViewGuess, TwoViewPredictor
from e2e_slam_ros.geometry import se3

Refused = Callable[..., str]
# Where the source's depth is 20 % too far beside the rest.
FAR = slice(80, 160)
TURN_DEG, AIM_DEG = 2.0, 30.0


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Three frames: 11.6 cm from each to the next, depth of 80x60 for colour of 160x120."""
    return layout_scenes.scannet(tmp_path / "scene0000_00")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stand in for the sources; the list gets the share of pixels that are too far, by pair."""
    shares: list[float] = []

    def predict(reference: Keyframe, other: Keyframe) -> list[TwoViewGuess]:
        truth = reference.sensor_depth
        assert truth is not None
        depth = 3.0 * truth
        depth[..., :30, FAR] *= 1.2
        shares.append(float((truth[..., :30, FAR] > 0).sum() / (truth > 0).sum()))
        true = se3.inverse(other.T_map_camera) @ reference.T_map_camera
        off = torch.tensor([0, 0, 0, 0, math.radians(TURN_DEG), 0], dtype=torch.float64)
        found = true @ se3.exp(off)
        shift = true[:3, 3]
        across = torch.linalg.cross(shift, torch.tensor([0.0, 1.0, 0.0]).double())
        across = across / across.norm() * shift.norm()
        angle = math.radians(AIM_DEG)
        found[:3, 3] = 5.0 * (math.cos(angle) * shift + math.sin(angle) * across)
        return [TwoViewGuess("start", truth, true), TwoViewGuess("end", depth, found)]

    def build(*_: object) -> TwoViewPredictor:
        return predict

    monkeypatch.setattr(predictors, "build_two_view", build)
    return shares


def two_view(data: Path, *more: object) -> list[str]:
    return [str(w) for w in ("evaluate", "--protocol", "two-view", "--data", data, *more)]


def test_the_figures_are_those_of_the_source(
    scan: Path, known: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert main(two_view(scan, "--gap", 1, "--json", file, "--out", tmp_path / "page")) == 0
    found = json.loads(file.read_text())
    assert (found["protocol"], found["data"], found["source"]) == (
        "two-view",
        "scene0000_00",
        "dro",
    )
    assert (found["pairs"], found["pairs_asked"], found["left_out"]) == (2, 2, {})
    share = sum(known) / 2
    assert 0.1 < share < 0.15
    # By hand: a share of the pixels is 20 % too far after the factor of the others.
    assert found["scale"] == pytest.approx(1 / 3, rel=1e-5)
    assert found["abs_rel"] == pytest.approx(0.2 * share, rel=1e-4)
    logs = [math.log(1.2) * math.sqrt(p) for p in known]
    assert found["rmse_log"] == pytest.approx(sum(logs) / 2, rel=1e-4)
    spread = [math.log(1.2) * math.sqrt(p * (1 - p)) for p in known]
    assert found["sc_inv"] == pytest.approx(sum(spread) / 2, rel=1e-4)
    # Depth is a plane 3 m minus 10 cm a frame away, in camera coordinates about that.
    assert found["rmse"] == pytest.approx(0.2 * 3.0 * math.sqrt(share), rel=0.06)
    assert found["rotation_deg"] == pytest.approx(TURN_DEG, abs=1e-4)
    assert found["direction_deg"] == pytest.approx(AIM_DEG, abs=1e-4)
    step = 100.0 * math.sqrt(0.05**2 + 0.03**2 + 0.1**2)
    assert found["translation_cm"] == pytest.approx(step * 0.5, rel=1e-4)
    first, last = found["steps"]
    assert (first["step"], last["step"], found["step"]) == ("start", "end", "end")
    assert first["abs_rel"] == first["rotation_deg"] == pytest.approx(0.0, abs=1e-4)
    text = capsys.readouterr().out
    assert "dro, 2 of 2 pairs, poses unknown" in text and "abs_rel" in text
    assert (tmp_path / "page" / "report.html").is_file()


def test_pairs_of_a_list_and_without_poses(scan: Path, known: list[float], tmp_path: Path) -> None:
    pairs, file = tmp_path / "pairs.txt", tmp_path / "figures.json"
    pairs.write_text("# reference other\n2 0\n0 1\n")
    (scan / "pose" / "1.txt").write_text("\n".join(["-inf -inf -inf -inf"] * 4))
    assert main(two_view(scan, "--pairs", pairs, "--source", "deepv2d", "--json", file)) == 0
    found = json.loads(file.read_text())
    assert (found["source"], found["pairs"], len(known)) == ("deepv2d", 1, 1)
    assert found["left_out"] == {"no pose": 1}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--gap", "3"], "smaller than the number of frames"),
        (["--gap", "0"], "1 or more"),
        (["--seeds", "2"], "--protocol trajectory"),
        (["--source", "magic"], "depth.source"),
        (["--pairs", "nowhere.txt"], "nowhere.txt"),
        (["--truth", "velodyne"], "--protocol eigen"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    scan: Path, tmp_path: Path, refused: Refused, more: list[str], words: str
) -> None:
    file = tmp_path / "figures.json"
    assert words in refused(*two_view(scan, "--json", file, *more))
    assert not file.exists()


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("text", ["0 0", "0 3", "a b", "1", "0 1 2", ""])
def test_lists_of_no_pairs_are_refused(
    scan: Path, tmp_path: Path, refused: Refused, text: str
) -> None:
    pairs = tmp_path / "pairs.txt"
    pairs.write_text(text)
    assert "pairs.txt" in refused(*two_view(scan, "--pairs", pairs))


def test_a_real_source_runs(scan: Path, refused: Refused) -> None:
    """The dot gives corners no hold: the refusal names the reason, and nothing breaks."""
    text = refused(*two_view(scan, "--gap", 1, "--source", "motion_stereo"))
    assert "none of 2" in text and "corners agree" in text
