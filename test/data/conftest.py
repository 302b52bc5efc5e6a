"""Small recordings on disk: a TUM folder and real bags, one call each."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from e2e_slam_ros.data.calibration import write_calibration
from e2e_slam_ros.geometry.camera import PinholeCamera

SMALL = PinholeCamera(width=16, height=12, fx=15.0, fy=15.0, cx=7.5, cy=5.5)


def color_of(index: int, camera: PinholeCamera = SMALL) -> npt.NDArray[np.uint8]:
    """Noise that tells frames apart."""
    dice = np.random.default_rng(index)
    return dice.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)


def depth_of(index: int, camera: PinholeCamera = SMALL) -> npt.NDArray[np.uint16]:
    """Depth counts that tell frames apart; the first pixel is invalid."""
    counts = np.full((camera.height, camera.width), 5000 + 100 * index, dtype=np.uint16)
    counts[0, 0] = 0
    return counts


def png(array: npt.NDArray[Any]) -> bytes:
    """The bytes of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


@dataclass
class TumFolder:
    """A TUM folder of ``count`` frames at 10 Hz from 100 s, the camera moving along x."""

    path: Path
    count: int = 4
    depth_delay_s: float = 0.004
    camera: PinholeCamera = SMALL
    calibration: bool = True
    pose_lines: list[str] = field(default_factory=list)

    def stamp(self, index: int) -> str:
        return f"{100 + index / 10:.6f}"

    def image(self, index: int) -> Path:
        return self.path / "rgb" / f"{self.stamp(index)}.png"

    def depth(self, index: int) -> Path:
        return self.path / "depth" / f"{self.stamp(index)}.png"

    def write(self) -> TumFolder:
        (self.path / "rgb").mkdir(parents=True)
        (self.path / "depth").mkdir()
        rgb, depth, poses = ["# colour"], ["# depth"], ["# pose"]
        for index in range(self.count):
            self.image(index).write_bytes(png(color_of(index, self.camera)))
            self.depth(index).write_bytes(png(depth_of(index, self.camera)))
            rgb.append(f"{self.stamp(index)} rgb/{self.image(index).name}")
            late = f"{100 + index / 10 + self.depth_delay_s:.6f}"
            depth.append(f"{late} depth/{self.depth(index).name}")
            poses.append(f"{self.stamp(index)} {0.1 * index:.3f} 0 0 0 0 0 1")
        (self.path / "rgb.txt").write_text("\n".join(rgb))
        (self.path / "depth.txt").write_text("\n".join(depth))
        (self.path / "groundtruth.txt").write_text("\n".join(self.pose_lines or poses))
        if self.calibration:
            write_calibration(self.path / "calibration.yaml", self.camera, 5000.0)
        return self


@pytest.fixture
def tum_folder(tmp_path: Path) -> Callable[..., TumFolder]:
    """Return a function that writes a TUM folder; see `TumFolder` for its arguments."""
    return lambda name="sequence", **options: TumFolder(tmp_path / name, **options).write()


class BagBuilder:
    """Messages by their plain values; `write` puts them into a real recording."""

    def __init__(self) -> None:
        self.store = get_typestore(Stores.ROS2_HUMBLE)
        self.items: list[tuple[str, str, int, Any]] = []

    def message(self, kind: str, **fields: Any) -> Any:
        return self.store.types[kind](**fields)

    def header(self, stamp_ns: int, frame: str = "camera_optical_frame") -> Any:
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp = self.message("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        return self.message("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def add(self, topic: str, kind: str, stamp_ns: int, recorded_ns: int | None, **f: Any) -> None:
        self.items.append(
            (topic, kind, recorded_ns or stamp_ns + 3_000_000, self.message(kind, **f))
        )

    def image(
        self,
        stamp_ns: int,
        array: npt.NDArray[Any],
        encoding: str = "rgb8",
        topic: str = "/camera/image_raw",
        recorded_ns: int | None = None,
        step: int | None = None,
        frame: str = "camera_optical_frame",
    ) -> None:
        data = np.ascontiguousarray(array)
        self.add(
            topic,
            "sensor_msgs/msg/Image",
            stamp_ns,
            recorded_ns,
            header=self.header(stamp_ns, frame),
            height=array.shape[0],
            width=array.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=step or data.nbytes // array.shape[0],
            data=data.view(np.uint8).reshape(-1),
        )

    def compressed(self, stamp_ns: int, data: bytes, form: str, topic: str) -> None:
        self.add(
            topic,
            "sensor_msgs/msg/CompressedImage",
            stamp_ns,
            None,
            header=self.header(stamp_ns),
            format=form,
            data=np.frombuffer(data, dtype=np.uint8),
        )

    def info(
        self,
        stamp_ns: int,
        camera: PinholeCamera = SMALL,
        topic: str = "/camera/camera_info",
        k: Sequence[float] | None = None,
        d: Sequence[float] = (),
        p: Sequence[float] = (0.0,) * 12,
        model: str = "plumb_bob",
    ) -> None:
        full = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
        roi = self.message(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        )
        self.add(
            topic,
            "sensor_msgs/msg/CameraInfo",
            stamp_ns,
            None,
            header=self.header(stamp_ns),
            height=camera.height,
            width=camera.width,
            distortion_model=model,
            d=np.array(d, dtype=np.float64),
            k=np.array(full if k is None else k, dtype=np.float64),
            r=np.eye(3).reshape(-1),
            p=np.array(p, dtype=np.float64),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )

    def point(self, xyz: Sequence[float], kind: str = "Point") -> Any:
        return self.message(f"geometry_msgs/msg/{kind}", x=xyz[0], y=xyz[1], z=xyz[2])

    def quaternion(self, xyzw: Sequence[float]) -> Any:
        x, y, z, w = xyzw
        return self.message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)

    def pose_of(self, xyz: Sequence[float], xyzw: Sequence[float]) -> Any:
        return self.message(
            "geometry_msgs/msg/Pose",
            position=self.point(xyz),
            orientation=self.quaternion(xyzw),
        )

    def pose(
        self,
        stamp_ns: int,
        xyz: Sequence[float],
        xyzw: Sequence[float] = (0.0, 0.0, 0.0, 1.0),
        topic: str = "/camera/pose",
    ) -> None:
        self.add(
            topic,
            "geometry_msgs/msg/PoseStamped",
            stamp_ns,
            None,
            header=self.header(stamp_ns, "map"),
            pose=self.pose_of(xyz, xyzw),
        )

    def odometry(self, stamp_ns: int, xyz: Sequence[float], child: str = "base_link") -> None:
        zero = [0.0, 0.0, 0.0]
        twist = self.message(
            "geometry_msgs/msg/Twist",
            linear=self.point(zero, "Vector3"),
            angular=self.point(zero, "Vector3"),
        )
        self.add(
            "/odom",
            "nav_msgs/msg/Odometry",
            stamp_ns,
            None,
            header=self.header(stamp_ns, "odom"),
            child_frame_id=child,
            pose=self.message(
                "geometry_msgs/msg/PoseWithCovariance",
                pose=self.pose_of(xyz, (0.0, 0.0, 0.0, 1.0)),
                covariance=np.zeros(36),
            ),
            twist=self.message(
                "geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=np.zeros(36)
            ),
        )

    def transform(
        self,
        stamp_ns: int,
        parent: str,
        child: str,
        xyz: Sequence[float],
        xyzw: Sequence[float] = (0.0, 0.0, 0.0, 1.0),
        topic: str = "/tf",
    ) -> None:
        stamped = self.message(
            "geometry_msgs/msg/TransformStamped",
            header=self.header(stamp_ns, parent),
            child_frame_id=child,
            transform=self.message(
                "geometry_msgs/msg/Transform",
                translation=self.point(xyz, "Vector3"),
                rotation=self.quaternion(xyzw),
            ),
        )
        self.add(topic, "tf2_msgs/msg/TFMessage", stamp_ns, None, transforms=[stamped])

    def write(self, path: Path, storage: str = "mcap") -> Path:
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            connections: dict[str, Any] = {}
            for topic, kind, recorded_ns, message in sorted(self.items, key=lambda item: item[2]):
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=self.store)
                raw = self.store.serialize_cdr(message, kind)
                writer.write(connections[topic], recorded_ns, raw)
        return path


@pytest.fixture
def bag() -> BagBuilder:
    """An empty recording to fill."""
    return BagBuilder()


SECOND = 10**9


@pytest.fixture
def rgbd_bag(bag: BagBuilder) -> BagBuilder:
    """Four RGB-D frames at 10 Hz from 100 s with calibration and poses along x."""
    for index in range(4):
        stamp = 100 * SECOND + index * SECOND // 10
        bag.image(stamp, color_of(index))
        depth = depth_of(index).astype(np.uint16)
        bag.image(stamp + 1_000_000, depth, "16UC1", "/camera/depth/image_raw")
        bag.info(stamp)
        bag.pose(stamp, (0.1 * index, 0.0, 0.0))
    return bag
