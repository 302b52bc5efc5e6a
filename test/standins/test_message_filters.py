from __future__ import annotations

import pytest

PACKAGE = "message_filters"


@pytest.fixture
def filters(load):
    return load("message_filters")


def message(seconds):
    from std_msgs.msg import Header

    class Message:
        header = Header()

    result = Message()
    result.header = Header()
    nanoseconds = round(seconds * 1e9)
    result.header.stamp.sec, result.header.stamp.nanosec = divmod(nanoseconds, 10**9)
    return result


def collect(synchronizer):
    sets = []
    synchronizer.registerCallback(lambda *messages: sets.append(messages))
    return sets


def test_exact_stamps_only(filters):
    left, right = filters.SimpleFilter(), filters.SimpleFilter()
    sets = collect(filters.TimeSynchronizer([left, right], 10))
    first, second = message(1.0), message(1.0)
    left.signalMessage(first)
    right.signalMessage(message(1.001))
    assert sets == []
    right.signalMessage(second)
    assert sets == [(first, second)]
    right.signalMessage(message(1.0))
    assert len(sets) == 1, "a message belongs to one set"


def test_queue_forgets_the_oldest(filters):
    left, right = filters.SimpleFilter(), filters.SimpleFilter()
    sets = collect(filters.TimeSynchronizer([left, right], 2))
    for seconds in (1.0, 2.0, 3.0):
        left.signalMessage(message(seconds))
    right.signalMessage(message(1.0))
    assert sets == []
    right.signalMessage(message(2.0))
    assert len(sets) == 1


def test_stamps_within_the_slop(filters):
    left, right = filters.SimpleFilter(), filters.SimpleFilter()
    sets = collect(filters.ApproximateTimeSynchronizer([left, right], 10, 0.02))
    one, near, far = message(1.0), message(1.015), message(1.1)
    left.signalMessage(one)
    right.signalMessage(far)
    assert sets == []
    right.signalMessage(near)
    assert sets == [(one, near)]


def test_the_nearest_is_taken(filters):
    left, right = filters.SimpleFilter(), filters.SimpleFilter()
    sets = collect(filters.ApproximateTimeSynchronizer([left, right], 10, 0.05))
    near, far = message(1.01), message(0.96)
    right.signalMessage(far)
    right.signalMessage(near)
    one = message(1.0)
    left.signalMessage(one)
    assert sets == [(one, near)]


def test_three_inputs_must_all_be_near_each_other(filters):
    inputs = [filters.SimpleFilter() for _ in range(3)]
    sets = collect(filters.ApproximateTimeSynchronizer(inputs, 10, 0.02))
    inputs[0].signalMessage(message(1.0))
    inputs[1].signalMessage(message(1.015))
    inputs[2].signalMessage(message(0.99))  # 0.025 s from the second
    assert sets == []
    inputs[2].signalMessage(message(1.01))
    assert len(sets) == 1


def test_extra_arguments_reach_the_callback(filters):
    source = filters.SimpleFilter()
    seen = []
    source.registerCallback(lambda *arguments: seen.append(arguments), "extra")
    source.signalMessage("message")
    assert seen == [("message", "extra")]


def test_subscribers_over_dds(filters, node, spin_until):
    from sensor_msgs.msg import CameraInfo, Image

    inputs = [
        filters.Subscriber(node, Image, "image", qos_profile=5),
        filters.Subscriber(node, CameraInfo, "info"),
    ]
    sets = collect(filters.TimeSynchronizer(inputs, 5))
    image, info = (
        node.create_publisher(Image, "image", 5),
        node.create_publisher(CameraInfo, "info", 5),
    )
    spin_until(lambda: image.get_subscription_count() and info.get_subscription_count())
    stamp = message(3.25).header.stamp
    sent = Image(width=4), CameraInfo(width=4)
    for publisher, one in zip((image, info), sent, strict=True):
        one.header.stamp = stamp
        publisher.publish(one)
    spin_until(lambda: sets)
    assert sets[0] == sent
