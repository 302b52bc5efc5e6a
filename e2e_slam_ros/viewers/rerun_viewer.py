"""A live view or a recording in Rerun (https://rerun.io), for machines without RViz."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.geometry.projection import backproject
from e2e_slam_ros.slam.result import KeyframeResult
from e2e_slam_ros.viewers.run_viewer import RunViewer

# Every second pixel along each axis. A hundred keyframes then have about a million points.
_STRIDE = 2


class RerunViewer(RunViewer):
    """Shows the camera, each keyframe's image and depth, and the points of the keyframes.

    With a display, the viewer opens. Without a display, everything goes into a recording. The
    command ``rerun <file>`` shows it on any machine. Usage::

        viewer = RerunViewer(Path("out"), record=True)
        viewer.on_frame(stamp_ns=0, T_map_camera=np.eye(4))
        viewer.close()  # writes out/run.rrd

    It watches a run like any observer:

    >>> [hasattr(RerunViewer, name) for name in ("on_frame", "on_keyframe", "on_latency")]
    [True, True, True]

    Args:
        record: write the recording even if there is a display.

    Raises:
        ConfigError: the package ``rerun-sdk`` is missing, or the file cannot be written.
    """

    def __init__(self, folder: Path, record: bool = False) -> None:
        try:
            import rerun
        except ImportError as error:
            raise ConfigError.from_parts(
                "viewer", "no package rerun", "rerun-sdk", "pip install rerun-sdk"
            ) from error
        self._rr: Any = rerun
        self._stream: Any = rerun.RecordingStream("e2e_slam_ros")
        self._last: tuple[int, npt.NDArray[np.float64]] | None = None
        self.file: Path | None = None
        if record or not _has_display():
            self.file = folder.absolute() / "run.rrd"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._stream.save(self.file)
            except (OSError, RuntimeError) as error:
                raise ConfigError.from_parts(
                    f"recording {self.file}", error, "a writable folder", "choose another folder"
                ) from error
        else:
            self._stream.spawn()
        self._stream.log("map", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Move the camera. A frame without a pose does not move it."""
        if T_map_camera is None:
            return
        rotation, position = T_map_camera[:3, :3], T_map_camera[:3, 3]
        self._set_time(stamp_ns)
        pose = self._rr.Transform3D(translation=position, mat3x3=rotation)
        self._stream.log("map/camera", pose)

    @torch.inference_mode()
    def on_keyframe(self, result: KeyframeResult) -> None:
        """Show a keyframe's image, depth and points, and the line from the keyframe before.

        Each keyframe has entities of its own. Its cost therefore does not grow with their number.
        """
        rr, keyframe, depth = self._rr, result.keyframe, result.estimate.depth
        camera, T_map_camera = keyframe.camera, keyframe.T_map_camera.numpy()
        self._set_time(keyframe.stamp_ns)
        if keyframe.index == 0:
            # The first keyframe, or the first after a reset: earlier points leave the view.
            self._last = None
            for entity in ("map/keyframes", "map/path"):
                self._stream.log(entity, rr.Clear(recursive=True))
        image = (keyframe.image[0].permute(1, 2, 0) * 255.0).round().to(torch.uint8).cpu().numpy()
        model = rr.Pinhole(
            image_from_camera=camera.matrix().numpy(), resolution=[camera.width, camera.height]
        )
        self._stream.log("map/camera", model)
        self._stream.log("map/camera/image", rr.Image(image))
        self._stream.log("depth", rr.DepthImage(depth[0, 0].cpu().numpy(), meter=1.0))
        local = backproject(depth, camera.matrix(depth.device))[0, :, ::_STRIDE, ::_STRIDE]
        points = local.reshape(3, -1).T.double().cpu().numpy()
        known = np.isfinite(points).all(axis=1) & (points[:, 2] > 0)
        placed = points[known] @ T_map_camera[:3, :3].T + T_map_camera[:3, 3]
        colors = image[::_STRIDE, ::_STRIDE].reshape(-1, 3)[known]
        cloud = rr.Points3D(placed.astype(np.float32), colors=colors, radii=0.005)
        self._stream.log(f"map/keyframes/{keyframe.index}", cloud)
        self._draw_way(keyframe.index, keyframe.stamp_ns, T_map_camera[:3, 3])
        self._stream.log("surfels", rr.Scalars(float(result.fusion.total)))

    def on_latency(self, stage: str, ms: float) -> None:
        """Plot the run time of a stage, in milliseconds."""
        self._stream.log(f"latency_ms/{stage}", self._rr.Scalars(ms))

    def close(self) -> None:
        """Flush and close the recording or the connection to the viewer."""
        self._stream.flush()
        self._stream.disconnect()

    def _draw_way(self, index: int, stamp_ns: int, position: npt.NDArray[np.float64]) -> None:
        """Draw the line from the keyframe before. No line is drawn where time jumped back."""
        if self._last is not None and self._last[0] < stamp_ns:
            line = np.array([self._last[1], position])
            self._stream.log(f"map/path/{index}", self._rr.LineStrips3D([line]))
        self._last = (stamp_ns, position)

    def _set_time(self, stamp_ns: int) -> None:
        self._stream.set_time("stamp", timestamp=np.datetime64(stamp_ns, "ns"))


def _has_display() -> bool:
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
