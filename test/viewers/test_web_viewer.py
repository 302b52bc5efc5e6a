"""The view in the browser: addresses, what browsers get, and that they can change nothing."""

from __future__ import annotations

import builtins
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chromium import chromium_page
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.viewers.choice import open_viewer
from e2e_slam_ros.viewers.web_viewer import WebViewer
from synthetic import frame, pose

viser = pytest.importorskip("viser", reason="viser is optional and not installed")
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


@pytest.fixture
def viewer() -> Iterator[WebViewer]:
    problems: list[Exception] = []
    web = WebViewer(port=0, on_problem=lambda kind, error: problems.append(error))
    try:
        yield web
    finally:
        web.close()
    assert problems == []


def show_run(viewer: WebViewer, frames: int = 4) -> None:
    pipeline = SlamPipeline(Config(), torch.device("cpu"))
    for index in range(frames):
        item = frame(index, pose(x=0.2 * index))
        state = TrackingState.TRACKING if index else TrackingState.INITIALISING
        tracked = TrackedPose(item.stamp_ns, item.T_map_camera, None, state, inliers=77)
        viewer.on_image(item, tracked)
        viewer.on_frame(item.stamp_ns, item.T_map_camera)
        viewer.on_keyframe(pipeline.map_keyframe(item, pipeline.choose_keyframe(item)))
    viewer.show_map(pipeline.surfels.snapshot())
    viewer.flush()


def test_a_browser_shows_the_map_and_the_state(viewer: WebViewer, tmp_path: Path) -> None:
    show_run(viewer)
    with chromium_page(tmp_path / "profile") as page:
        page.open(viewer.url)

        def drawn(picture: np.ndarray) -> bool:
            # The wall is grey noise left of the panel; the page is white.
            return bool((picture[:, :850].min(axis=2) < 200).mean() > 0.01)

        picture = page.wait_for(drawn, 60.0)
        assert drawn(picture), "no points in the picture"
        text = page.text()
    assert "tracking" in text and "77 landmarks" in text and "depth of the last keyframe" in text


def test_it_listens_on_this_machine_alone_unless_told(viewer: WebViewer) -> None:
    assert viewer.url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(viewer.url) as answer:
        assert b"<html" in answer.read(2000)
    port = int(viewer.url.rpartition(":")[2])
    outside = socket.gethostbyname(socket.gethostname())
    if not outside.startswith("127."):
        with pytest.raises(OSError), socket.create_connection((outside, port), 2.0):
            pass


def test_no_browser_can_make_it_public(viewer: WebViewer) -> None:
    assert viewer._scene._server.request_share_url() is None


def received(url: str, origin: str | None) -> int:
    """Bytes that a page of ``origin`` gets through a web socket within a second."""
    protocol = [f"viser-v{viser.__version__}"]
    address = url.replace("http", "ws")
    total = 0
    with connect(address, origin=origin, subprotocols=protocol, max_size=None) as socket:
        try:
            while True:
                total += len(socket.recv(1.0))
        except (TimeoutError, ConnectionClosed):
            return total


def test_pages_of_other_sites_get_nothing(viewer: WebViewer) -> None:
    show_run(viewer)
    assert received(viewer.url, viewer.url) > 5000
    assert received(viewer.url, None) > 5000, "a program, not a page"
    assert received(viewer.url, "https://elsewhere.example") == 0
    assert received(viewer.url, viewer.url.replace("127.0.0.1", "localhost")) == 0


def test_observing_does_not_wait_for_the_pictures(
    viewer: WebViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        stuck.set()
        go_on.wait(30.0)

    monkeypatch.setattr(viewer._scene, "show_image", slow)
    item = frame(0, pose())
    viewer.on_image(item, None)
    assert stuck.wait(30.0)
    taken: list[int] = []
    pipeline = SlamPipeline(Config(), torch.device("cpu"))
    result = pipeline.map_keyframe(item, pipeline.choose_keyframe(item))

    def take(most: int) -> Any:
        taken.append(most)
        return pipeline.surfels.snapshot(most)

    for _ in range(100):
        viewer.on_image(item, None)
        viewer.on_frame(item.stamp_ns, item.T_map_camera)
        viewer.on_keyframe(result)
        viewer.on_map(take)
    assert taken == [600_000], "one copy of the map, bounded, until it was sent"
    go_on.set()


def test_a_port_in_use_is_refused(viewer: WebViewer) -> None:
    port = int(viewer.url.rpartition(":")[2])
    with pytest.raises(ConfigError, match="--viewer-port"):
        WebViewer(port=port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="an address of this machine"):
        WebViewer(host=host, port=0)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "viser":
            raise ImportError(name, name="viser")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    config = Config().with_values({"runtime.viewer": "web", "runtime.viewer_port": 0})
    with pytest.raises(ConfigError, match="pip install viser.*--viewer none"):
        open_viewer(config)


def test_a_picture_that_fails_is_told_and_the_next_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems: list[str] = []
    web = WebViewer(port=0, on_problem=lambda kind, error: problems.append(f"{kind}: {error}"))
    try:
        with monkeypatch.context() as patch:

            def fails(*_: object) -> None:
                raise RuntimeError("no picture")

            patch.setattr(web._scene, "show_image", fails)
            web.on_image(frame(0, pose()), None)
            web.flush()
        web.on_image(frame(1, pose()), None)
        web.flush()
    finally:
        web.close()
    assert problems == ["viewer: no picture"]
