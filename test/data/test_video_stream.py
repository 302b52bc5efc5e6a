"""Videos and cameras as frames: real files, written by OpenCV."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.calibration import write_calibration
from e2e_slam_ros.data.paced import PacedFrames
from e2e_slam_ros.data.video_stream import VideoStream, camera_of_file, camera_of_view
from e2e_slam_ros.geometry.camera import PinholeCamera

LENS = camera_of_view(90.0)


def write_video(
    path: Path, count: int, fps: float = 10.0, size: tuple[int, int] = (64, 48)
) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, size)
    assert writer.isOpened()
    for index in range(count):
        # Red grows with the frame: the order of channels and of frames can be seen.
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        picture[..., 2], picture[..., 0] = 40 + 10 * (index % 20), 15
        writer.write(picture)
    writer.release()
    return path


def test_frames_come_in_order_with_stamps_colours_and_intrinsics(tmp_path: Path) -> None:
    stream = VideoStream(write_video(tmp_path / "a.avi", 8), LENS)
    frames = list(stream)
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.stamp_ns for frame in frames] == [index * 10**8 for index in range(8)]
    red = [frame.image[..., 0].mean() for frame in frames]
    assert red == pytest.approx([40 + 10 * index for index in range(8)], abs=4)
    assert frames[0].image[..., 2].mean() == pytest.approx(15, abs=4)
    assert frames[0].camera == PinholeCamera(64, 48, 32.0, 32.0, 31.5, 23.5)
    assert stream.name == "a.avi" and not stream.live and stream.notes == []


def test_a_calibration_of_another_resolution_is_resized(tmp_path: Path) -> None:
    file = tmp_path / "calibration.yaml"
    write_calibration(file, PinholeCamera(128, 96, 100.0, 100.0, 63.5, 47.5), 1000.0)
    stream = VideoStream(write_video(tmp_path / "a.avi", 1), camera_of_file(file))
    assert next(iter(stream)).camera == PinholeCamera(64, 48, 50.0, 50.0, 31.5, 23.5)
    write_calibration(file, PinholeCamera(128, 72, 100.0, 100.0, 63.5, 35.5), 1000.0)
    stream = VideoStream(tmp_path / "a.avi", camera_of_file(file))
    with pytest.raises(DataError, match="128x72 pixels, expected one of the images' shape, 64x48"):
        next(iter(stream))


@pytest.mark.parametrize("degrees", [0.0, 4.9, 180.0, -65.0, float("nan")])
def test_a_field_of_view_that_no_lens_has_is_refused(degrees: float) -> None:
    with pytest.raises(DataError, match="5 to 175 degrees"):
        camera_of_view(degrees)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(DataError, match="no such file, expected a video file; check"):
        VideoStream(Path("/nowhere.mp4"), LENS)


@pytest.mark.parametrize("content", [b"", b"not a video" * 1000])
def test_a_file_that_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(DataError, match="no frame that can be decoded.*ffmpeg"):
        list(VideoStream(tmp_path / "bad.mp4", LENS))


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no frame that can be decoded"):
        list(VideoStream(write_video(tmp_path / "empty.avi", 0), LENS))


def test_a_camera_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="camera 97: got no camera.*plug it in"):
        VideoStream(97, LENS)


def test_a_cut_file_gives_its_frames_and_a_note(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.avi", 30).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    stream = VideoStream(tmp_path / "cut.avi", LENS)
    count = len(list(stream))
    assert 0 < count < 25
    assert stream.notes == [f"Only {count} of 30 frames could be read: a damaged file?"]


class Camera(BaseHTTPRequestHandler):
    """A network camera: JPEG images one after the other; `sizes` says of which size."""

    sizes: tuple[tuple[int, int], ...] = ((64, 48),) * 12

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for index, (width, height) in enumerate(self.sizes):
            picture = np.full((height, width, 3), 20 * index, np.uint8)
            jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def network_camera() -> object:
    server = HTTPServer(("127.0.0.1", 0), Camera)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/video.mjpg"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_camera_that_stops_is_an_error_after_its_images(network_camera: str) -> None:
    before = time.time_ns()
    stream = VideoStream(network_camera, LENS)
    seen = []
    with pytest.raises(DataError, match=r"got no image after \d+, expected images; check"):
        for frame in stream:
            seen.append(frame.stamp_ns)
    assert stream.live and len(seen) >= 5
    assert before < seen[0] and seen == sorted(set(seen)), "a camera's stamps are those of arrival"


def test_images_that_change_size_are_refused(
    network_camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = VideoStream(network_camera, LENS)
    frames = iter(stream)
    next(frames)
    capture = stream._capture

    class Changed:
        def read(self) -> tuple[bool, np.ndarray]:
            return True, np.zeros((24, 32, 3), np.uint8)

    monkeypatch.setattr(stream, "_capture", Changed())
    with pytest.raises(DataError, match="32x24 pixels, expected 64x48, the size of the first"):
        next(frames)
    capture.release()


def test_a_video_plays_at_its_own_rate_and_a_slow_taker_misses_frames(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", 20, fps=20.0)
    start = time.monotonic()
    paced = PacedFrames(VideoStream(video, LENS))
    taken = []
    for frame in paced:
        taken.append(frame.index)
        time.sleep(0.12)
    paced.close()
    assert time.monotonic() - start > 0.9, "19 intervals of 50 ms"
    assert taken == sorted(set(taken)) and taken[0] <= 1 and taken[-1] == 19
    assert paced.missed == 20 - len(taken) > 3


def test_the_error_of_a_stream_comes_after_its_frames(tmp_path: Path) -> None:
    file = write_video(tmp_path / "a.avi", 2)
    (tmp_path / "empty.avi").write_bytes(write_video(tmp_path / "b.avi", 0).read_bytes())
    assert len(list(PacedFrames(VideoStream(file, LENS), rate=100.0))) >= 1
    with pytest.raises(DataError):
        list(PacedFrames(VideoStream(tmp_path / "empty.avi", LENS)))


def test_a_paced_stream_can_be_left_early(tmp_path: Path) -> None:
    before = threading.active_count()
    paced = PacedFrames(VideoStream(write_video(tmp_path / "a.avi", 20, fps=0.5), LENS))
    for _ in paced:
        break
    paced.close()
    assert threading.active_count() == before
