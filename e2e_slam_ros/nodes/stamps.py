"""ROS time stamps as integer nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time

_NS_PER_S = 1_000_000_000
_MAX_S = 2**31 - 1


def stamp_to_ns(stamp: Time) -> int:
    """Return a message stamp in nanoseconds."""
    return int(stamp.sec) * _NS_PER_S + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """Return nanoseconds as a message stamp, clipped to its range (before 1970 becomes 0)."""
    sec, nanosec = divmod(max(0, stamp_ns), _NS_PER_S)
    if sec > _MAX_S:
        sec, nanosec = _MAX_S, _NS_PER_S - 1
    return Time(sec=sec, nanosec=nanosec)
