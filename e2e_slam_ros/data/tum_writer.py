"""Writer of recordings in the layout of the TUM RGB-D benchmark."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_bytes_atomic, write_text_atomic
from e2e_slam_ros.data.calibration import CALIBRATION_FILE, TUM_DEPTH_FACTOR, write_calibration
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.images import check_size
from e2e_slam_ros.data.stamp import format_stamp
from e2e_slam_ros.data.trajectory_file import write_tum_trajectory
from e2e_slam_ros.geometry.camera import PinholeCamera

# PNG is lossless at every level. 1 is several times faster than the default and a tenth larger.
_PNG_LEVEL = 1


class TumWriter:
    """Writes frames as ``rgb/``, ``depth/``, their lists, ``groundtruth.txt``, calibration.yaml.

    `close` writes the lists, also when a ``with`` block ends early. The lists therefore name only
    files that exist. Depth beyond the 16-bit range (13.1 m at 5000) becomes 0, invalid.

    Args:
        folder: a folder without a recording; created if missing.
        depth_factor: depth counts per metre.

    Raises:
        DataError: the folder already holds a recording or cannot be written.

    >>> import tempfile
    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TumWriter(folder, camera) as writer:
    ...         writer.write(Frame(0, 10**9, np.zeros((3, 4, 3), np.uint8), camera))
    ...     (Path(folder) / "rgb.txt").is_file()
    True
    """

    def __init__(
        self, folder: Path | str, camera: PinholeCamera, depth_factor: float = TUM_DEPTH_FACTOR
    ) -> None:
        self._folder = Path(folder)
        self._camera = camera
        self._factor = depth_factor
        self._stamps: list[int] = []
        self._with_depth: list[int] = []
        self._with_pose: list[int] = []
        self._poses: list[npt.NDArray[np.float64]] = []
        self._closed = False
        if (self._folder / "rgb.txt").exists():
            raise DataError.from_parts(
                f"folder {self._folder}", "a recording", "an empty folder", "choose another"
            )
        write_calibration(self._folder / CALIBRATION_FILE, camera, depth_factor)

    def write(self, frame: Frame) -> None:
        """Write the images of one frame.

        Raises:
            DataError: the frame is not later than the frame before, has another size than the
                camera, or cannot be written.
        """
        if self._stamps and frame.stamp_ns <= self._stamps[-1]:
            raise DataError.from_parts(
                "frame",
                f"stamp {format_stamp(frame.stamp_ns)}",
                f"one after {format_stamp(self._stamps[-1])}",
                "write frames in time order",
            )
        check_size(frame.image.shape, self._camera, "frame")
        name = f"{format_stamp(frame.stamp_ns)}.png"
        write_bytes_atomic(self._folder / "rgb" / name, _png(frame.image))
        if frame.depth is not None:
            check_size(frame.depth.shape, self._camera, "depth of the frame")
            counts = depth_counts(frame.depth, self._factor)
            write_bytes_atomic(self._folder / "depth" / name, _png(counts))
            self._with_depth.append(frame.stamp_ns)
        self._stamps.append(frame.stamp_ns)
        if frame.T_map_camera is not None:
            self._with_pose.append(frame.stamp_ns)
            self._poses.append(np.array(frame.T_map_camera, dtype=np.float64))

    def close(self) -> None:
        """Write the lists. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._write_list("rgb", "color images", self._stamps)
        if self._with_depth:
            self._write_list("depth", "depth maps", self._with_depth)
        if self._with_pose:
            write_tum_trajectory(self._folder / "groundtruth.txt", self._with_pose, self._poses)

    def _write_list(self, kind: str, title: str, stamps: list[int]) -> None:
        lines = [f"# {title}", "# timestamp filename"]
        lines += [f"{format_stamp(s)} {kind}/{format_stamp(s)}.png" for s in stamps]
        write_text_atomic(self._folder / f"{kind}.txt", "\n".join(lines) + "\n")

    def __enter__(self) -> TumWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def depth_counts(depth: npt.NDArray[np.float32], factor: float) -> npt.NDArray[np.uint16]:
    """Return depth in metres as (H, W) uint16 counts.

    Values outside the range become 0, invalid.
    """
    scaled = np.rint(np.asarray(depth, dtype=np.float64) * factor)
    fits = np.isfinite(scaled) & (scaled > 0) & (scaled <= 65535)
    return np.where(fits, scaled, 0.0).astype(np.uint16)


def _png(array: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(
        stream, format="PNG", compress_level=_PNG_LEVEL
    )
    return stream.getvalue()
