"""`e2e-slam live`: a recorded video in a process without ROS, watched by a headless Chromium."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chromium import chromium_page
from e2e_slam_ros.cli import main
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.paced import PacedFrames
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.data.video_stream import VideoStream
from e2e_slam_ros.slam.live_mapper import LiveMapper
from e2e_slam_ros.viewers import web_viewer

Refused = Callable[..., str]
REPO = Path(__file__).resolve().parents[2]
FILES = {
    *("map.ply", "map.safetensors", "trajectory.txt", "config.yaml", "metrics.json"),
    "report.html",
}
# As the command, where no ROS is installed.
WITHOUT_ROS = (
    "import sys; sys.modules['rclpy'] = None; from e2e_slam_ros.cli import main; sys.exit(main())"
)


@pytest.fixture(scope="session")
def rooms(shared_data: Path) -> Path:
    return shared_data / "hololens" / "rooms_000"


@pytest.fixture(scope="session")
def video(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of a recording as a film, ten a second."""
    file = tmp_path_factory.mktemp("video") / "rooms.mp4"
    frames = FrameSlice(TumReader(rooms), 0, 14)
    size = (frames[0].camera.width, frames[0].camera.height)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, size)
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame.image[..., ::-1]))
    writer.release()
    return file


@pytest.fixture
def lens(rooms: Path) -> list[str]:
    return ["--calibration", str(rooms / "calibration.yaml")]


@contextmanager
def started(*argv: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-u", "-c", WITHOUT_ROS, "live", *(str(word) for word in argv)]
    pipe = subprocess.PIPE
    # A shell that runs in the background lets its children ignore SIGINT.
    process = subprocess.Popen(
        command,
        cwd=REPO,
        stdout=pipe,
        stderr=pipe,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"it never said {pattern}: {''.join(said)}")


def points_drawn(picture: np.ndarray) -> bool:
    """Whether more than a camera and its path are on the white page, left of the panel."""
    return bool((picture[100:, 320:850].min(axis=2) < 200).mean() > 0.03)


def test_a_video_becomes_a_map_that_a_browser_shows(
    video: Path, lens: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("viser", reason="viser is optional and not installed")
    out = tmp_path / "out"
    argv = ["--video", video, *lens, "--as-fast-as-possible", "--stay", "--viewer-port", 0]
    with started(*argv, "--out", out) as live, chromium_page(tmp_path / "profile") as page:
        page.open(wait_for_line(live, r"watch it at (http://127\.0\.0\.1:\d+);")[1])
        wait_for_line(live, "stays open")
        picture = page.wait_for(points_drawn, 120.0)
        assert points_drawn(picture), "no points in the picture"
        text = page.text()
        live.send_signal(signal.SIGINT)
        said, errors = live.communicate(timeout=60.0)
    assert live.returncode == 0, errors
    for words in ("tracking", "frames\t14", "image", "depth of the last keyframe", str(out)):
        assert words in text
    assert page.errors == []
    assert {file.name for file in out.iterdir()} == FILES
    assert str(out / "map.ply") in said
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["frames"] == 14 and metrics["surfels"] > 8_000
    assert metrics["trajectory"]["frames_tracked"] == 14
    assert metrics["tracking"]["times_lost"] == 0 and metrics["tracking"]["landmarks"] > 100
    report = (out / "report.html").read_text()
    assert "State of the tracker" in report and "could not be drawn" not in report


def run(video: Path, out: Path, *more: str) -> int:
    return main(["live", "--video", str(video), "--viewer", "none", "--out", str(out), *more])


def test_the_same_video_gives_the_same_map_twice(
    video: Path, lens: list[str], tmp_path: Path
) -> None:
    hashes = []
    for name in ("a", "b"):
        assert run(video, tmp_path / name, *lens, "--as-fast-as-possible") == 0
        hashes.append(json.loads((tmp_path / name / "metrics.json").read_text())["map_hash"])
    assert hashes[0] == hashes[1]


def test_at_its_own_pace_every_frame_is_tracked_or_counted(
    video: Path, lens: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(video, tmp_path / "out", *lens, "--rate", "4") == 0
    frames = json.loads((tmp_path / "out" / "metrics.json").read_text())["frames"]
    missed = re.search(r"(\d+) frames were not tracked", capsys.readouterr().out)
    assert frames + (0 if missed is None else int(missed[1])) == 14


def test_ctrl_c_is_the_usual_end_of_a_camera(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenCV opens a path as it opens the address of a network camera.
    ends_at(monkeypatch, 3, KeyboardInterrupt())
    monkeypatch.setattr(PacedFrames, "__iter__", lambda paced: iter(paced._stream))
    argv = ["live", "--camera", str(video), "--viewer", "none", "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES


def test_a_camera_that_stops_keeps_what_was_mapped(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["live", "--camera", str(video), "--viewer", "none", "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "ended early: camera" in capsys.readouterr().err
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES


def test_a_stated_field_of_view_is_told_where_none_is_given(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], few: None
) -> None:
    assert run(video, tmp_path / "a", "--as-fast-as-possible") == 0
    assert "field of view of 65 degrees is taken" in capsys.readouterr().err
    assert run(video, tmp_path / "b", "--as-fast-as-possible", "--fov", "57") == 0
    assert "field of view" not in capsys.readouterr().err


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first four frames of a video."""
    whole = VideoStream.__iter__
    monkeypatch.setattr(
        VideoStream, "__iter__", lambda stream: (f for f in whole(stream) if f.index < 4)
    )


def ends_at(monkeypatch: pytest.MonkeyPatch, index: int, error: BaseException) -> None:
    add = LiveMapper.add

    def ending(mapper: LiveMapper, frame: Frame) -> Any:
        if frame.index == index:
            raise error
        return add(mapper, frame)

    monkeypatch.setattr(LiveMapper, "add", ending)


def test_ctrl_c_keeps_what_was_mapped(
    video: Path, lens: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_at(monkeypatch, 4, KeyboardInterrupt())
    assert run(video, tmp_path / "out", *lens, "--as-fast-as-possible") == 130
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES


def test_a_video_that_ends_in_an_error_keeps_what_was_mapped(
    video: Path,
    lens: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    camera_for = VideoStream._camera_for

    def small(stream: VideoStream, image: np.ndarray, index: int) -> Any:
        return camera_for(stream, image[:10] if index == 4 else image, index)

    monkeypatch.setattr(VideoStream, "_camera_for", small)
    assert run(video, tmp_path / "out", *lens, "--as-fast-as-possible") == 2
    assert "ended early: frame 4 of video" in capsys.readouterr().err
    assert (tmp_path / "out" / "map.ply").is_file()


def test_images_without_texture_map_nothing_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = cv2.VideoWriter(
        str(tmp_path / "grey.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 240)
    )
    for _ in range(5):
        writer.write(np.full((240, 320, 3), 128, np.uint8))
    writer.release()
    assert run(tmp_path / "grey.avi", tmp_path / "out", "--as-fast-as-possible") == 2
    assert "nothing was mapped: move the camera" in capsys.readouterr().err


def test_bad_input_is_refused_and_leaves_no_folder(
    video: Path, tmp_path: Path, refused: Refused
) -> None:
    out, none = tmp_path / "out", ["--viewer", "none"]
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    where = ["--out", out]
    assert "no such file" in refused("live", "--video", tmp_path / "no.mp4", *none, *where)
    assert "no frame" in refused("live", "--video", tmp_path / "bad.mp4", *none, *where)
    assert "camera 97" in refused("live", "--camera", "97", *none, *where)
    shown = ["live", "--video", video, *where]
    assert "5 to 175" in refused(*shown, "--fov", "200")
    assert "none.yaml" in refused(*shown, "--calibration", tmp_path / "none.yaml")
    assert "above 0" in refused(*shown, *none, "--rate", "0")
    assert "visual" in refused(*shown, *none, "--set", "pose.source=topic")
    assert "depth images" in refused(*shown, *none, "--set", "depth.source=sensor")
    assert "a video file" in refused("live", "--camera", "0", "--as-fast-as-possible", *where)
    assert "--viewer-port" in refused(*shown, "--viewer-host", "203.0.113.7")
    assert not out.exists()


def test_without_the_viewers_package_it_says_what_to_do(
    video: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise ImportError("viser", name="viser")

    monkeypatch.setattr(web_viewer, "WebScene", missing)
    text = refused("live", "--video", video, "--viewer-port", "0", "--out", tmp_path / "out")
    assert "pip install viser" in text and "--viewer none" in text
    assert not (tmp_path / "out").exists()
