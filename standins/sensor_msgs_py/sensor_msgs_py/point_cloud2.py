"""Conversion of PointCloud2 messages from and to NumPy arrays, without loops over points."""

from __future__ import annotations

import array
import sys
from collections.abc import Iterable

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_SCALARS: dict[int, np.dtype] = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the NumPy dtype with the fields at their offsets.

    A field of count n becomes name_0 ... .
    """
    names: list[str] = []
    formats: list[np.dtype] = []
    offsets: list[int] = []
    for number, field in enumerate(fields):
        name = field.name or f"unnamed_field_{number}"
        scalar = _SCALARS[field.datatype]
        for item in range(field.count):
            names.append(name if field.count == 1 else f"{name}_{item}")
            formats.append(scalar)
            offsets.append(field.offset + item * scalar.itemsize)
    layout: dict[str, object] = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)  # type: ignore[call-overload]


def read_points(
    cloud: PointCloud2, field_names: Iterable[str] | None = None, skip_nans: bool = False
) -> NDArray:
    """Return the cloud's points as a structured array (N,), a view of its data if possible."""
    if not isinstance(cloud, PointCloud2):
        raise AssertionError(f"got: {type(cloud).__name__}, expected: PointCloud2")
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    points = np.frombuffer(cloud.data, dtype, count=cloud.width * cloud.height)
    if (sys.byteorder != "little") != bool(cloud.is_bigendian):
        points = points.byteswap()
    if field_names is not None:
        wanted = list(field_names)
        unknown = sorted(set(wanted) - set(points.dtype.names or ()))
        if unknown:
            raise AssertionError(f"got: fields {unknown}, expected: some of {points.dtype.names}")
        points = points[wanted]
    if skip_nans and not cloud.is_dense:
        for name in points.dtype.names or ():
            points = points[~np.isnan(points[name])]
    return points


def read_points_numpy(
    cloud: PointCloud2, field_names: Iterable[str] | None = None, skip_nans: bool = False
) -> NDArray:
    """Return the points as a plain array (N, fields). All fields must have one type."""
    names = None if field_names is None else list(field_names)
    used = [f.datatype for f in cloud.fields if names is None or f.name in names]
    if any(datatype != used[0] for datatype in used[1:]):
        raise AssertionError("got: fields of several types, expected: one type; use read_points")
    return structured_to_unstructured(read_points(cloud, names, skip_nans))


def create_cloud(
    header: Header,
    fields: Iterable[PointField],
    points: Iterable,
    step: int | None = None,
) -> PointCloud2:
    """Return a PointCloud2 of a structured array (N,) or of an array (N, fields).

    The original also accepts organised clouds, and swaps their width and height.
    """
    fields = list(fields)
    dtype = dtype_from_fields(fields, step)
    array_in = points if isinstance(points, np.ndarray) else np.array(list(points))
    if array_in.dtype.names is None:
        if array_in.size == 0:
            array_in = array_in.reshape(0, len(dtype.names or ()))
        array_in = unstructured_to_structured(array_in, dtype=dtype)
    elif array_in.dtype != dtype:
        raise AssertionError(f"got: points of {array_in.dtype}, expected: {dtype} (the fields)")
    if array_in.ndim != 1:
        raise NotImplementedError("the stand-in makes unorganised clouds only")
    array_in = np.ascontiguousarray(array_in)
    # Filling an array.array is tens of times faster than assigning bytes to the message.
    data = array.array("B")
    data.frombytes(memoryview(array_in.view(np.uint8)))
    return PointCloud2(
        header=header,
        height=1,
        width=len(array_in),
        is_dense=False,
        is_bigendian=sys.byteorder != "little",
        fields=fields,
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * len(array_in),
        data=data,
    )


def create_cloud_xyz32(header: Header, points: Iterable, step: int | None = None) -> PointCloud2:
    """Return a PointCloud2 with float32 x, y, z of points (N, 3)."""
    fields = [
        PointField(name=name, offset=4 * number, datatype=PointField.FLOAT32, count=1)
        for number, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points, step)
