from __future__ import annotations

import threading
import time

import numpy as np
import pytest

PACKAGE = "tf2_ros"
SECOND = 10**9


@pytest.fixture
def tf2(load):
    return load("tf2_ros")


@pytest.fixture
def buffer(tf2):
    return tf2.Buffer()


def at(seconds):
    from rclpy.time import Time

    return Time(nanoseconds=round(seconds * SECOND))


def transform(parent, child, seconds=0.0, move=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0, 1.0)):
    from geometry_msgs.msg import TransformStamped

    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = at(seconds).to_msg()
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, move)
    r.x, r.y, r.z, r.w = map(float, turn)
    return message


def numbers(message):
    t, r = message.transform.translation, message.transform.rotation
    return np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w])


def test_composes_moving_and_static(buffer):
    half = np.sqrt(0.5)
    buffer.set_transform(transform("map", "base", 1.0, (1, 2, 3), (0, 0, half, half)), "test")
    buffer.set_transform_static(transform("base", "camera", 0.0, (1, 0, 0)), "test")
    found = buffer.lookup_transform("map", "camera", at(1.0))
    assert (found.header.frame_id, found.child_frame_id) == ("map", "camera")
    assert found.header.stamp == at(1.0).to_msg()
    translation, rotation = numbers(found)
    # The camera is 1 m ahead of a base that looks along the map's y.
    np.testing.assert_allclose(translation, [1, 3, 3], atol=1e-12)
    np.testing.assert_allclose(np.abs(rotation), [0, 0, half, half], atol=1e-12)
    back, _ = numbers(buffer.lookup_transform("camera", "map", at(1.0)))
    np.testing.assert_allclose(back, [-3, 1, -3], atol=1e-12)


def test_siblings(buffer):
    buffer.set_transform_static(transform("base", "left", move=(0, 1, 0)), "test")
    buffer.set_transform_static(transform("base", "right", move=(0, -1, 0)), "test")
    translation, _ = numbers(buffer.lookup_transform("left", "right", at(12.0)))
    np.testing.assert_allclose(translation, [0, -2, 0])


def test_interpolates(buffer):
    half = np.sqrt(0.5)
    buffer.set_transform(transform("map", "base", 1.0), "test")
    buffer.set_transform(transform("map", "base", 2.0, (4, 0, 0), (0, 0, half, half)), "test")
    translation, rotation = numbers(buffer.lookup_transform("map", "base", at(1.25)))
    np.testing.assert_allclose(translation, [1, 0, 0], atol=1e-9)
    angle = 2 * np.arccos(abs(rotation[3]))
    np.testing.assert_allclose(angle, np.pi / 8, atol=1e-9)


def test_time_zero_is_the_newest_that_all_have(buffer):
    for seconds in (1.0, 2.0):
        buffer.set_transform(transform("map", "odom", seconds, (seconds, 0, 0)), "test")
    for seconds in (1.0, 3.0):
        buffer.set_transform(transform("odom", "base", seconds, (0, seconds, 0)), "test")
    found = buffer.lookup_transform("map", "base", at(0))
    assert found.header.stamp == at(2.0).to_msg()
    np.testing.assert_allclose(numbers(found)[0], [2, 2, 0], atol=1e-9)


def test_messages_out_of_order(buffer):
    for seconds in (3.0, 1.0, 2.0):
        buffer.set_transform(transform("map", "base", seconds, (seconds, 0, 0)), "test")
    translation, _ = numbers(buffer.lookup_transform("map", "base", at(1.5)))
    np.testing.assert_allclose(translation, [1.5, 0, 0], atol=1e-9)


def test_errors_have_their_own_class(tf2, buffer):
    buffer.set_transform(transform("map", "base", 1.0), "test")
    buffer.set_transform(transform("map", "base", 2.0), "test")
    buffer.set_transform(transform("other", "thing", 1.0), "test")
    with pytest.raises(tf2.LookupException):
        buffer.lookup_transform("map", "nowhere", at(1.0))
    with pytest.raises(tf2.ConnectivityException):
        buffer.lookup_transform("map", "thing", at(1.0))
    for seconds in (0.5, 2.5):
        with pytest.raises(tf2.ExtrapolationException):
            buffer.lookup_transform("map", "base", at(seconds))
        assert not buffer.can_transform("map", "base", at(seconds))
    assert buffer.can_transform("map", "base", at(1.5))
    assert issubclass(tf2.LookupException, tf2.TransformException)


def test_debug_text_says_why(buffer):
    buffer.set_transform(transform("map", "base", 1.0), "test")
    good, text = buffer.can_transform("map", "nowhere", at(0), return_debug_tuple=True)
    assert not good
    assert "nowhere" in text


def test_forgets_after_the_cache_time(tf2):
    from rclpy.duration import Duration

    buffer = tf2.Buffer(cache_time=Duration(seconds=2.0))
    for seconds in range(1, 6):
        buffer.set_transform(transform("map", "base", float(seconds)), "test")
    assert buffer.can_transform("map", "base", at(3.5))
    assert not buffer.can_transform("map", "base", at(1.5))


def test_clear_keeps_static(buffer):
    buffer.set_transform(transform("map", "base", 1.0), "test")
    buffer.set_transform_static(transform("base", "camera"), "test")
    buffer.clear()
    assert buffer.can_transform("base", "camera", at(0))
    assert not buffer.can_transform("map", "base", at(0))


@pytest.mark.parametrize(
    "bad",
    [
        {"move": (float("nan"), 0.0, 0.0)},
        {"turn": (0.0, 0.0, 0.0, 0.0)},
        {"child": "map"},
        {"child": ""},
    ],
)
def test_unusable_transforms_are_not_stored(tf2, buffer, bad):
    buffer.set_transform(transform("map", **{"child": "base", "seconds": 1.0, **bad}), "test")
    with pytest.raises(tf2.TransformException):
        buffer.lookup_transform("map", "base", at(0))


def test_waits_for_a_transform(buffer):
    from rclpy.duration import Duration

    late = threading.Timer(0.1, buffer.set_transform, [transform("map", "base", 1.0), "test"])
    late.start()
    buffer.lookup_transform("map", "base", at(1.0), timeout=Duration(seconds=10.0))
    late.join()


def test_gives_up_waiting(tf2, buffer):
    from rclpy.duration import Duration

    began = time.monotonic()
    with pytest.raises(tf2.LookupException):
        buffer.lookup_transform("map", "base", at(1.0), timeout=Duration(seconds=0.1))
    assert time.monotonic() - began >= 0.1


def test_broadcasters_reach_a_listener(tf2, buffer, node, spin_until):
    listener = tf2.TransformListener(buffer, node)
    moving, static = tf2.TransformBroadcaster(node), tf2.StaticTransformBroadcaster(node)
    # Two calls: what was sent first must not be lost to late listeners.
    static.sendTransform(transform("base", "left", move=(0, 1, 0)))
    static.sendTransform([transform("base", "right", move=(0, -1, 0))])
    spin_until(lambda: node.count_subscribers("/tf"))

    def arrived():
        moving.sendTransform(transform("map", "base", 5.0, (1, 0, 0)))
        return all(buffer.can_transform("map", side, at(5.0)) for side in ("left", "right"))

    spin_until(arrived)
    translation, _ = numbers(buffer.lookup_transform("map", "left", at(5.0)))
    np.testing.assert_allclose(translation, [1, 1, 0], atol=1e-12)
    listener.unregister()
