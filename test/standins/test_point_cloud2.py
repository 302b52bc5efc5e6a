from __future__ import annotations

import numpy as np
import pytest

PACKAGE = "sensor_msgs_py"
FLOAT32, UINT16 = 7, 4


@pytest.fixture
def pc2(load):
    return load("sensor_msgs_py.point_cloud2")


def header():
    from std_msgs.msg import Header

    return Header(frame_id="map")


def field(name, offset, datatype=FLOAT32, count=1):
    from sensor_msgs.msg import PointField

    return PointField(name=name, offset=offset, datatype=datatype, count=count)


def structured(count=5):
    """Points with padding between the fields, as PCL writes them."""
    layout = {
        "names": ["x", "y", "z", "ring"],
        "formats": [np.float32, np.float32, np.float32, np.uint16],
        "offsets": [0, 4, 8, 16],
        "itemsize": 20,
    }
    points = np.zeros(count, dtype=layout)
    points["x"], points["z"] = np.arange(count), np.arange(count) * 0.5
    points["ring"] = np.arange(count) + 7
    return points, [field("x", 0), field("y", 4), field("z", 8), field("ring", 16, UINT16)]


def test_xyz_cloud(pc2):
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    cloud = pc2.create_cloud_xyz32(header(), points)
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 4, 12, 48)
    assert cloud.header.frame_id == "map"
    assert [f.name for f in cloud.fields] == ["x", "y", "z"]
    assert cloud.data.tobytes() == points.tobytes()
    np.testing.assert_array_equal(pc2.read_points_numpy(cloud), points)


def test_structured_cloud_keeps_its_padding(pc2):
    points, fields = structured()
    cloud = pc2.create_cloud(header(), fields, points, 20)
    assert (cloud.point_step, len(cloud.data)) == (20, 100)
    back = pc2.read_points(cloud)
    assert back.dtype.names == ("x", "y", "z", "ring")
    np.testing.assert_array_equal(back["ring"], points["ring"])
    np.testing.assert_array_equal(back["z"], points["z"])


def test_reads_only_the_fields_asked_for(pc2):
    points, fields = structured()
    cloud = pc2.create_cloud(header(), fields, points, 20)
    assert pc2.read_points(cloud, field_names=["ring"]).dtype.names == ("ring",)
    xz = pc2.read_points_numpy(cloud, field_names=["x", "z"])
    np.testing.assert_array_equal(xz, np.stack([points["x"], points["z"]], axis=1))
    with pytest.raises(AssertionError):
        pc2.read_points(cloud, field_names=["nothing"])


def test_mixed_types_do_not_make_a_plain_array(pc2):
    points, fields = structured()
    with pytest.raises(AssertionError):
        pc2.read_points_numpy(pc2.create_cloud(header(), fields, points, 20))


def test_nan_points_are_left_out_on_request(pc2):
    points = np.ones((4, 3), dtype=np.float32)
    points[1, 2] = np.nan
    cloud = pc2.create_cloud_xyz32(header(), points)
    assert len(pc2.read_points_numpy(cloud)) == 4
    assert len(pc2.read_points_numpy(cloud, skip_nans=True)) == 3


def test_reads_organised_clouds_row_by_row(pc2):
    points = np.arange(24, dtype=np.float32).reshape(8, 3)
    cloud = pc2.create_cloud_xyz32(header(), points)
    cloud.height, cloud.width, cloud.row_step = 2, 4, 48
    np.testing.assert_array_equal(pc2.read_points_numpy(cloud), points)


def test_empty_cloud(pc2):
    cloud = pc2.create_cloud_xyz32(header(), np.zeros((0, 3), dtype=np.float32))
    assert (cloud.width, len(cloud.data)) == (0, 0)
    assert len(pc2.read_points(cloud)) == 0
