"""A live view in the browser, with viser (https://viser.studio)."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.slam.observer import TakeSnapshot
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState
from e2e_slam_ros.viewers.map_cells import MapCells
from e2e_slam_ros.viewers.run_viewer import RunViewer
from e2e_slam_ros.viewers.web_scene import WebScene

# Shortest times between two pictures and between two maps, seconds.
_PICTURE_S, _MAP_S = 0.2, 1.0
# Large maps come less often: thinning them takes at most this share of a core.
_MAP_SHARE = 0.1
# The snapshot of the map is this much larger than what is shown: thinning by place needs it.
_SNAPSHOT_FACTOR = 3


@dataclass
class _News:
    """Parts that came since the last picture; a newer one replaces an older one."""

    image: npt.NDArray[np.uint8] | None = None
    fov_rad: float = 1.0
    tracked: TrackedPose | None = None
    pose: npt.NDArray[np.float64] | None = None
    poses: list[npt.NDArray[np.float64] | None] = field(default_factory=list)
    keyframe: KeyframeResult | None = None
    cloud: SurfelCloud | None = None


class WebViewer(RunViewer):
    """Serves map, path, camera, image, depth and tracking state to browsers.

    Observing costs the run a copy of the map a second and no more: a thread of its own makes the
    pictures, at most five a second, from the newest of everything. Browsers can look, and can
    change nothing. Usage::

        viewer = WebViewer()
        print(viewer.url)
        viewer.close()

    Args:
        host: address to listen at; 127.0.0.1 can be reached from this machine alone.
        port: 0 takes a free one.
        max_points: largest number of points of the map; it is thinned evenly.
        min_confidence: surfels below it are not shown.
        on_problem: called with ("viewer", error) from the viewer's thread.

    Attributes:
        url: the page's address.

    Raises:
        ConfigError: the package ``viser`` is missing, or the address cannot be listened at.

    Example:
        >>> [hasattr(WebViewer, name) for name in ("on_image", "on_map", "close")]
        [True, True, True]
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        max_points: int = 200_000,
        min_confidence: float = 0.0,
        on_problem: Callable[[str, Exception], None] | None = None,
    ) -> None:
        port = _free_port(host, port)
        self._scene = _open_scene(host, port)
        shown = "localhost" if host in ("0.0.0.0", "::") else host
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self._scene.port}"
        self._most, self._min_confidence = max_points, min_confidence
        self._on_problem = on_problem
        self._cells = MapCells(max_points)
        self._news = _News()
        self._next_map_s = self._map_cost_s = 0.0
        self._frames = self._keyframes = self._surfels = 0
        self._tracked: TrackedPose | None = None
        self._condition = threading.Condition()
        # Something has come that is not shown yet; pictures are being made; the end has come.
        self._fresh = self._busy = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="web-viewer", daemon=True)
        self._thread.start()

    def on_image(self, frame: Frame, tracked: TrackedPose | None) -> None:
        """Show the image, and the state of the visual tracker if there is one."""
        with self._condition:
            self._news.image, self._news.tracked = frame.image, tracked
            self._news.fov_rad = 2.0 * float(np.arctan2(frame.camera.height / 2, frame.camera.fy))
            self._wake()

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Move the camera and lengthen its path; a frame without a pose interrupts the path."""
        with self._condition:
            self._frames += 1
            if T_map_camera is not None:
                self._news.pose = T_map_camera
            self._news.poses.append(T_map_camera)
            self._wake()

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Show the depth of a keyframe."""
        with self._condition:
            self._keyframes += 1
            self._surfels = result.fusion.total
            self._news.keyframe = result
            self._wake()

    def on_map(self, take_snapshot: TakeSnapshot) -> None:
        """Copy the map, if the last copy was sent and is old enough."""
        with self._condition:
            if self._news.cloud is not None or time.monotonic() < self._next_map_s:
                return
            self._next_map_s = time.monotonic() + max(_MAP_S, self._map_cost_s / _MAP_SHARE)
        self.show_map(take_snapshot(_SNAPSHOT_FACTOR * self._most))

    def show_map(self, cloud: SurfelCloud) -> None:
        """Show a map instead of the last one."""
        with self._condition:
            self._news.cloud = cloud
            self._wake()

    def show_end(self, text: str, take_snapshot: TakeSnapshot) -> None:
        """Show the final map, and how the run ended below the figures."""
        self.show_map(take_snapshot(_SNAPSHOT_FACTOR * self._most))
        self.flush()
        self._scene.say(text)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything that has come is on its way to the browsers."""
        with self._condition:
            self._condition.wait_for(self._is_idle, timeout_s)

    def close(self) -> None:
        """End the server and the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join(10.0)
        with redirect_stdout(sys.stderr):
            self._scene.close()

    def _run(self) -> None:
        """Show the newest of everything, at most five times a second (own thread)."""
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._fresh or self._stopping)
                if self._stopping:
                    return
                news, self._news = self._news, _News()
                self._fresh, self._busy = False, True
            try:
                self._show(news)
            except Exception as error:
                # A picture that fails must not end the view.
                if self._on_problem is not None:
                    self._on_problem("viewer", error)
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._stopping, _PICTURE_S)

    def _wake(self) -> None:
        """Tell the thread that something has come; the lock is held."""
        self._fresh = True
        self._condition.notify_all()

    def _is_idle(self) -> bool:
        return not (self._fresh or self._busy) or self._stopping

    def _show(self, news: _News) -> None:
        scene = self._scene
        if news.image is not None:
            scene.show_image(news.image)
        if news.pose is not None:
            aspect = 4 / 3 if news.image is None else news.image.shape[1] / news.image.shape[0]
            scene.move_camera(news.pose, news.fov_rad, aspect)
        scene.lengthen_path(news.poses)
        if news.keyframe is not None:
            scene.show_depth(news.keyframe.estimate.depth[0, 0].float().cpu().numpy())
        if news.cloud is not None:
            cloud, before_s = news.cloud, time.thread_time()
            if self._min_confidence > 0.0:
                cloud = _confident(cloud, self._min_confidence)
            scene.show_cells(self._cells.update(cloud))
            self._map_cost_s = time.thread_time() - before_s
        self._tracked = news.tracked or self._tracked
        scene.show_state(self._state_lines(self._tracked))

    def _state_lines(self, tracked: TrackedPose | None) -> dict[str, str]:
        lines = {}
        if tracked is not None:
            lines["tracking"] = tracked.state.value
            lines["why"] = tracked.reason or f"{tracked.inliers} landmarks agree"
            if tracked.state is TrackingState.LOST:
                lines["do"] = "move the camera back to a place that it has seen"
        return lines | {
            "frames": f"{self._frames:,}",
            "keyframes mapped": f"{self._keyframes:,}",
            "surfels": f"{self._surfels:,}",
        }


def _confident(cloud: SurfelCloud, least: float) -> SurfelCloud:
    keep = cloud.confidence >= least
    return SurfelCloud(
        cloud.positions[keep], cloud.normals[keep], cloud.colors[keep], cloud.confidence[keep]
    )


def _open_scene(host: str, port: int) -> WebScene:
    try:
        # viser prints its address to standard output, which is for results.
        with redirect_stdout(sys.stderr):
            return WebScene(host, port)
    except ImportError as error:
        raise ConfigError.from_parts(
            "web viewer",
            f"no package {error.name}",
            "viser",
            "pip install viser, or run without a view (--viewer none, runtime.viewer: none)",
        ) from error


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0: viser would try the next thousand, and then hang.

    Raises:
        ConfigError: the address cannot be listened at.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except (OSError, UnicodeError) as error:
        raise ConfigError.from_parts(
            f"web viewer's address {host}:{port}",
            error,
            "an address of this machine with a free port",
            "choose another port (runtime.viewer_port, --viewer-port; 0: any free one)",
        ) from error
