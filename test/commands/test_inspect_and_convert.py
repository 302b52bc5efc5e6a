"""`e2e-slam inspect` and `e2e-slam convert`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e_slam_ros.cli import main
from e2e_slam_ros.data.open import open_reader

Refused = Callable[..., str]
REPO = Path(__file__).resolve().parents[2]


def test_inspect_a_folder(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(data)]) == 0
    page = capsys.readouterr().out
    for words in (
        f"{data}: tum (TUM RGB-D: rgb.txt, depth.txt, groundtruth.txt, or associations.txt)",
        "12 in 1.1 s, 10 a second",
        "rgb8 as png",
        "12 of 12 frames, mono16 as png, 5000 counts a metre",
        "a path of 0.55 m, map <- the camera's optical frame",
        "the recorded depth",
        "the recorded poses",
    ):
        assert words in page, page


def test_inspect_as_json_with_gaps(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (data / "rgb.txt").read_text().splitlines()
    (data / "rgb.txt").write_text("\n".join(lines[:6] + lines[10:]))
    assert main(["inspect", str(data), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["frames"] == 8 and content["with_depth"] == 8 and content["layout"] == "tum"
    assert content["gap_count"] == 1
    assert content["gaps"] == [{"start_s": 0.3, "length_s": 0.5}]
    assert content["rate_hz"] == 10.0 and content["refused"] is None
    assert content["used"]["depth"] == "the recorded depth"
    assert content["camera"]["fx"] > 0 and content["depth_m"][0] > 0


def test_inspect_a_bag_shows_topics_and_the_policy(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(data), str(tmp_path / "walk.mcap")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'walk.mcap'}\n"
    assert main(["inspect", str(tmp_path / "walk.mcap")]) == 0
    page = capsys.readouterr().out
    for words in (
        "/camera/image_raw",
        "sensor_msgs/msg/Image",
        "colour = /camera/image_raw (rgb8, camera_optical_frame;",
        "depth = /camera/depth/image_raw (32FC1, camera_optical_frame;",
        "poses are /camera/pose",
    ):
        assert words in page, page


def test_inspect_shows_what_there_is_before_the_refusal(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(data), str(tmp_path / "walk.mcap")]) == 0
    capsys.readouterr()
    code = main(["inspect", str(tmp_path / "walk.mcap"), "--image-topic", "/nothing"])
    said = capsys.readouterr()
    assert code == 2 and "/camera/image_raw" in said.out
    assert "error:" in said.err and "--image-topic" in said.err


def test_convert_refuses(data: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    text = refused("convert", data, tmp_path / "there")
    assert "nothing is overwritten" in text
    refused("convert", data, tmp_path / "a.db3")
    refused("inspect", tmp_path / "nothing")
    (tmp_path / "rgbd.tgz").write_bytes(b"")
    assert "unpack it first" in refused("inspect", tmp_path / "rgbd.tgz")
    empty = refused("inspect", tmp_path / "there")
    layouts = empty.partition("expected:")[2].partition("do:")[0]
    assert layouts.count("\n") > 12 and "kitti: KITTI odometry" in layouts


def test_a_converted_part_is_the_part(data: Path, tmp_path: Path) -> None:
    assert main(["convert", str(data), str(tmp_path / "part"), "--frames", "3:5"]) == 0
    whole, part = open_reader(data), open_reader(tmp_path / "part")
    assert [f.stamp_ns for f in part] == [whole[3].stamp_ns, whole[4].stamp_ns]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_interrupted_leaves_nothing(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The list names the same images many times, so that the conversion lasts."""
    images = sorted((data / "rgb").iterdir())
    lines = [f"{100 + i / 30:.6f} rgb/{images[i % len(images)].name}" for i in range(20_000)]
    (data / "rgb.txt").write_text("\n".join(lines))
    target = tmp_path / "out" / "walk.mcap"
    command = [sys.executable, "-m", "e2e_slam_ros.cli", "convert", str(data), str(target)]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    # A shell that runs in the background lets its children ignore SIGINT.
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(target.parent.glob(".*/walk/walk.mcap")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    # Python itself ends by SIGINT if Ctrl-C meets code that `exec` runs; shells say 130 then, too.
    assert process.returncode in (130, -signal.SIGINT), said
    assert "Traceback" not in said and not list(target.parent.iterdir())
