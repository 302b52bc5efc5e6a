"""Coloured point clouds as PointCloud2 messages that RViz can show directly."""

from __future__ import annotations

import array

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from e2e_slam_ros.config.errors import MessageError

# 16 bytes a point. RViz, PCL and open3d read them as x, y, z and packed colour.
POINT = np.dtype([("xyz", "<f4", (3,)), ("bgra", "u1", (4,))])
_FIELDS = tuple(
    PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
    for i, name in enumerate(("x", "y", "z", "rgb"))
)


def cloud_message(
    positions: npt.NDArray[np.float32], colors: npt.NDArray[np.uint8], stamp: Time, frame_id: str
) -> PointCloud2:
    """Return (N, 3) metres and (N, 3) RGB as an unordered cloud.

    ``rgb`` is a FLOAT32 field. Its bytes are blue, green, red and 0, as in PCL.
    """
    # Filled in place. rclpy copies an array.array at once, and any other type value by value.
    content = array.array("B", b"\0") * (POINT.itemsize * len(positions))
    points = np.ndarray(len(positions), dtype=POINT, buffer=memoryview(content))
    points["xyz"] = positions
    bgra = points["bgra"]
    bgra[:, 0], bgra[:, 1], bgra[:, 2] = colors[:, 2], colors[:, 1], colors[:, 0]
    msg = PointCloud2()
    msg.header = Header(stamp=stamp, frame_id=frame_id)
    msg.height, msg.width = 1, len(points)
    msg.fields = list(_FIELDS)
    msg.is_bigendian = False
    msg.point_step = POINT.itemsize
    msg.row_step = POINT.itemsize * len(points)
    msg.is_dense = True
    msg.data = content
    return msg


def cloud_arrays(msg: PointCloud2) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return ((N, 3) float32 metres, (N, 3) uint8 RGB) of a cloud of this package's layout.

    Raises:
        MessageError: another layout of fields.
    """
    layout = [(item.name, item.offset) for item in msg.fields]
    if layout != [(item.name, item.offset) for item in _FIELDS] or msg.is_bigendian:
        raise MessageError.from_parts(
            "point cloud", f"fields {layout}", "x, y, z, rgb", "use the map this package publishes"
        )
    points = np.frombuffer(msg.data, dtype=POINT, count=msg.width * msg.height)
    return points["xyz"].copy(), points["bgra"][:, 2::-1].copy()
