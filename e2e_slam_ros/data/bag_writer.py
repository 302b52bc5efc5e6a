"""Writer of rosbag2 recordings (mcap or sqlite3), without ROS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_error
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.images import check_size
from e2e_slam_ros.data.stamp import format_stamp
from e2e_slam_ros.geometry.camera import PinholeCamera

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
IMAGE, DEPTH = "/camera/image_raw", "/camera/depth/image_raw"
INFO, POSE = "/camera/camera_info", "/camera/pose"
MAP_FRAME, CAMERA_FRAME = "map", "camera_optical_frame"
_KINDS = {
    IMAGE: "sensor_msgs/msg/Image",
    DEPTH: "sensor_msgs/msg/Image",
    INFO: "sensor_msgs/msg/CameraInfo",
    POSE: "geometry_msgs/msg/PoseStamped",
}
_MOST_S = 2**31


class BagWriter:
    """Writes frames as a rosbag2 folder, with the topics and types of `dataset_player`.

    Images are rgb8, depth is 32FC1 in metres, poses are PoseStamped in ``map``. Nothing of a
    frame is lost. Times of recording are the frames' times.

    Args:
        folder: the recording; must not exist.
        storage: "mcap" or "sqlite3".

    Raises:
        DataError: the folder exists or cannot be written.

    >>> import tempfile
    >>> from e2e_slam_ros.data.rosbag import BagReader
    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with BagWriter(Path(folder) / "run", camera) as writer:
    ...         writer.write(Frame(0, 10**9, np.zeros((3, 4, 3), np.uint8), camera))
    ...     reader = BagReader(Path(folder) / "run")
    ...     size = reader[0].image.shape
    ...     reader.close()
    >>> size
    (3, 4, 3)
    """

    def __init__(self, folder: Path, camera: PinholeCamera, storage: str = "mcap") -> None:
        self._camera = camera
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._folder = folder
        self._last_ns = -1
        self._connections: dict[str, Any] = {}
        if folder.exists():
            raise DataError.from_parts(
                f"recording {folder}", "something there", "a new path", "choose another"
            )
        try:
            # Humble cannot read the next version; later distributions read this one.
            writer = Writer(folder, version=8, storage_plugin=STORAGES[storage])
            writer.open()
        except OSError as problem:
            raise write_error(folder, problem) from problem
        self._writer: Writer | None = writer

    def write(self, frame: Frame) -> None:
        """Write the messages of one frame.

        Raises:
            DataError: the frame is not later than the frame before, has another size than the
                camera, or cannot be written.
        """
        if frame.stamp_ns <= self._last_ns or frame.stamp_ns >= _MOST_S * 10**9:
            raise DataError.from_parts(
                "frame",
                f"stamp {format_stamp(frame.stamp_ns)}",
                f"one after {format_stamp(self._last_ns)}, before the year 2038",
                "write frames in time order",
            )
        check_size(frame.image.shape, self._camera, "frame")
        self._last_ns = frame.stamp_ns
        header = self._header(frame.stamp_ns, CAMERA_FRAME)
        try:
            self._send(INFO, frame.stamp_ns, self._info(header))
            self._send(IMAGE, frame.stamp_ns, self._image(header, frame.image, "rgb8"))
            if frame.depth is not None:
                check_size(frame.depth.shape, self._camera, "depth of the frame")
                depth = frame.depth.astype(np.float32)
                self._send(DEPTH, frame.stamp_ns, self._image(header, depth, "32FC1"))
            if frame.T_map_camera is not None:
                pose = self._pose(frame.stamp_ns, frame.T_map_camera)
                self._send(POSE, frame.stamp_ns, pose)
        except OSError as problem:
            raise write_error(self._folder, problem) from problem

    def close(self) -> None:
        """Finish the recording. A second call does nothing.

        Raises:
            DataError: it cannot be written.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except OSError as problem:
            raise write_error(self._folder, problem) from problem

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, topic: str, stamp_ns: int, message: Any) -> None:
        kind = _KINDS[topic]
        assert self._writer is not None  # it is open
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store
            )
        raw = self._store.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic], stamp_ns, raw)

    def _type(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = self._store.types[name]
        return found

    def _header(self, stamp_ns: int, frame: str) -> Any:
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp = self._type("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)
        return self._type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame)

    def _image(self, header: Any, pixels: npt.NDArray[Any], encoding: str) -> Any:
        dense = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
        return self._type(_KINDS[IMAGE])(
            header=header,
            height=dense.shape[0],
            width=dense.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=dense.nbytes // dense.shape[0],
            data=dense.view(np.uint8).reshape(-1),
        )

    def _info(self, header: Any) -> Any:
        camera = self._camera
        zeros = dict.fromkeys(("x_offset", "y_offset", "height", "width"), 0)
        roi = self._type("sensor_msgs/msg/RegionOfInterest")(**zeros, do_rectify=False)
        k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
        p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        lens = camera.distortion or (0.0,) * 5
        return self._type(_KINDS[INFO])(
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model="plumb_bob",
            d=np.array([*lens, *([0.0] * (5 - len(lens)))]),
            k=np.array(k),
            r=np.eye(3).reshape(-1),
            p=np.array(p),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )

    def _pose(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64]) -> Any:
        x, y, z = (float(value) for value in T_map_camera[:3, 3])
        turn = Rotation.from_matrix(T_map_camera[:3, :3]).as_quat()
        names = zip("xyzw", (float(value) for value in turn), strict=True)
        pose = self._type("geometry_msgs/msg/Pose")(
            position=self._type("geometry_msgs/msg/Point")(x=x, y=y, z=z),
            orientation=self._type("geometry_msgs/msg/Quaternion")(**dict(names)),
        )
        return self._type(_KINDS[POSE])(header=self._header(stamp_ns, MAP_FRAME), pose=pose)
