"""``e2e-slam evaluate --protocol trajectory`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed")

from e2e_slam_ros.cli import main

KEYS = {"ate_se3_m", "ate_sim3_m", "scale", "tracked", "drift_pct", "track_ms"}


@pytest.fixture
def rpy(shared_data: Path) -> str:
    return str(shared_data / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt")


def evaluate(*more: str) -> int:
    return main(["evaluate", "--protocol", "trajectory", *more])


def test_figures_and_picture(rpy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, pictures = tmp_path / "figures.json", tmp_path / "out"
    arguments = ["--data", rpy, "--frames", "0:20", "--json", str(figures), "--out", str(pictures)]
    assert evaluate(*arguments) == 0
    record = json.loads(figures.read_text())
    assert record.keys() >= KEYS and set(record["track_ms"]) == {"p50", "p95"}
    assert record["tracked"] == 1.0 and record["ate_se3_m"] < 0.02
    assert (pictures / "trajectory.png").read_bytes().startswith(b"\x89PNG")
    assert "ATE SE(3), cm" in capsys.readouterr().out


def test_seeds_give_a_range(rpy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    assert evaluate("--data", rpy, "--frames", "0:8", "--seeds", "2", "--json", str(figures)) == 0
    record = json.loads(figures.read_text())
    each = [one["ate_se3_m"] for one in record["seeds"]]
    assert len(each) == 2 and each[0] != each[1]
    assert np.isclose(record["ate_se3_m"], np.median(each))
    assert record["range"]["ate_se3_m"] == [min(each), max(each)]
    assert " to " in capsys.readouterr().out


def test_colour_alone_uses_the_network(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--data", str(shared_data / "aims_lab"), "--frames", "0:4") == 0
    printed = capsys.readouterr()
    assert "network" in printed.out + printed.err


@pytest.mark.parametrize("source", ["icp", "gradicp", "photometric"])
def test_dense_odometry(
    source: str, rpy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures.json"
    more = ["--set", f"pose.source={source}", "--json", str(figures)]
    assert evaluate("--data", rpy, "--frames", "0:8", *more) == 0
    record = json.loads(figures.read_text())
    assert record["pose_source"] == source and record["tracked"] == 1.0
    assert record["ate_se3_m"] < 0.02
    assert f"dense odometry ({source})" in capsys.readouterr().out


def test_odometry_by_a_network(rpy: str, tmp_path: Path) -> None:
    """DeepV2D gives poses, the same twice; they are worse than those of geometry."""
    records = []
    for run in range(2):
        figures = tmp_path / f"{run}.json"
        more = ["--set", "pose.source=deepv2d", "--json", str(figures)]
        assert evaluate("--data", rpy, "--frames", "0:8", *more) == 0
        records.append(json.loads(figures.read_text()))
    assert records[0]["pose_source"] == "deepv2d" and records[0]["tracked"] == 1.0
    assert records[0]["ate_se3_m"] == records[1]["ate_se3_m"] < 0.1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "pose.source=icp", "--set", "depth.source=network"], "measured depth"),
        (["--seeds", "0"], "--seeds"),
        (["--set", "depth.source=motion_stereo"], "depth.source"),
        (["--every", "2"], "--every"),
    ],
)
def test_refusals(
    rpy: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--data", rpy, "--frames", "0:3", *more) != 0
    assert said in capsys.readouterr().err
