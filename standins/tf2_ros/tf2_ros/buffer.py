"""Buffer of received transforms, with look-up between any two frames at any time."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from scipy.spatial.transform import Rotation

from .errors import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from .history import History, Matrix

LOGGER = logging.getLogger("tf2_ros")
CACHE_SECONDS = 10.0
UNIT_TOLERANCE = 1e-2


class Buffer:
    """Keeps transforms for `cache_time` (10 s) and answers `lookup_transform`.

    One behaviour differs from tf2: when the parent of a frame changes, the frame's history under
    the old parent is dropped.
    """

    def __init__(self, cache_time: Duration | None = None, node: object = None) -> None:
        cache_time = cache_time or Duration(seconds=CACHE_SECONDS)
        self._keep_ns = int(cache_time.nanoseconds)
        self._histories: dict[str, History] = {}
        self._changed = threading.Condition()

    def set_transform(self, transform: TransformStamped, authority: str) -> bool:
        """Add one transform. Return False, with a log line, if it cannot be used."""
        return self._set(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> bool:
        """Add one transform that is valid at all times."""
        return self._set(transform, authority, static=True)

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration = Duration(),  # noqa: B008  (tf2's own default)
    ) -> TransformStamped:
        """Return T_target_source at `time`, waiting at most `timeout` for it.

        Time 0 means the newest time that both frames have. Raises LookupException,
        ConnectivityException or ExtrapolationException.
        """
        stamp_ns = _nanoseconds(time)
        self._wait(target_frame, source_frame, stamp_ns, timeout)
        with self._changed:
            matrix, found_ns = self._lookup(target_frame, source_frame, stamp_ns)
        return _message(matrix, found_ns, target_frame, source_frame)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration = Duration(),  # noqa: B008
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Return whether `lookup_transform` would succeed, with its error text on request."""
        error = self._wait(target_frame, source_frame, _nanoseconds(time), timeout)
        return (not error, error) if return_debug_tuple else not error

    def clear(self) -> None:
        """Forget everything but the static transforms."""
        with self._changed:
            self._histories = {name: h for name, h in self._histories.items() if h.static}

    def _set(self, transform: TransformStamped, authority: str, static: bool) -> bool:
        child, parent = transform.child_frame_id.strip("/"), transform.header.frame_id.strip("/")
        move, turn = transform.transform.translation, transform.transform.rotation
        translation = np.array([move.x, move.y, move.z])
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        reason = _refusal(child, parent, translation, quaternion)
        if reason:
            LOGGER.error("transform %r -> %r from %s: %s", parent, child, authority, reason)
            return False
        with self._changed:
            history = self._histories.get(child)
            if history is None or history.parent != parent or history.static != static:
                history = self._histories[child] = History(parent, static, self._keep_ns)
            stamp_ns = _nanoseconds(transform.header.stamp)
            used = history.add(stamp_ns, translation, Rotation.from_quat(quaternion))
            self._changed.notify_all()
        if not used:
            LOGGER.warning("transform of %r from %s is older than the cache", child, authority)
        return used

    def _wait(self, target: str, source: str, stamp_ns: int, timeout: Duration) -> str:
        """Wait until the look-up works or `timeout` (wall time) is over. Return its error text."""
        error = ""

        def answered() -> bool:
            nonlocal error
            error = ""
            try:
                self._lookup(target, source, stamp_ns)
            except TransformException as problem:
                error = str(problem)
            return not error

        with self._changed:
            self._changed.wait_for(answered, timeout.nanoseconds * 1e-9)
        return error

    def _lookup(self, target: str, source: str, stamp_ns: int) -> tuple[Matrix, int]:
        """Return T_target_source and its stamp."""
        from_target, from_source = self._ancestors(target), self._ancestors(source)
        shared = next((name for name in from_source if name in from_target), None)
        if shared is None:
            raise ConnectivityException(
                f"got: {target!r} and {source!r} in different trees (roots "
                f"{from_target[-1]!r}, {from_source[-1]!r}), expected: one tree"
            )
        down = from_target[: from_target.index(shared)]
        up = from_source[: from_source.index(shared)]
        moving = [h for h in map(self._histories.__getitem__, up + down) if not h.static]
        if stamp_ns == 0:
            stamp_ns = min((history.last_ns for history in moving), default=0)
        T_shared_target = self._compose(down, stamp_ns)
        T_shared_source = self._compose(up, stamp_ns)
        return np.linalg.inv(T_shared_target) @ T_shared_source, stamp_ns

    def _compose(self, frames: list[str], stamp_ns: int) -> Matrix:
        matrix = np.eye(4)
        for name in frames:
            history = self._histories[name]
            if not history.covers(stamp_ns):
                raise ExtrapolationException(
                    f"got: {name!r} in {history.parent!r} asked for {stamp_ns * 1e-9:.6f} s, "
                    f"expected: extrapolation into the "
                    f"{'past' if stamp_ns < history.first_ns else 'future'} is not done; known "
                    f"from {history.first_ns * 1e-9:.6f} to {history.last_ns * 1e-9:.6f} s"
                )
            matrix = history.at(stamp_ns) @ matrix
        return matrix

    def _ancestors(self, frame: str) -> list[str]:
        """Return `frame`, its parent, and so on up to the root."""
        if not frame or frame.startswith("/"):
            raise InvalidArgumentException(f"got: frame {frame!r}, expected: a name without '/'")
        chain = [frame]
        while chain[-1] in self._histories:
            parent = self._histories[chain[-1]].parent
            if parent in chain:
                raise LookupException(f"the transforms form a loop: {' > '.join(chain)}")
            chain.append(parent)
        known = len(chain) > 1 or any(h.parent == frame for h in self._histories.values())
        if not known:
            raise LookupException(f"frame {frame!r} does not exist")
        return chain


def _refusal(child: str, parent: str, translation: Matrix, quaternion: Matrix) -> str:
    """Return the reason why tf2 would refuse this transform, or an empty text."""
    if not child or not parent:
        return "a frame name is empty"
    if child == parent:
        return "a frame cannot be its own parent"
    if not np.isfinite(translation).all() or not np.isfinite(quaternion).all():
        return "it holds NaN or infinity"
    if abs(float(quaternion @ quaternion) - 1.0) > UNIT_TOLERANCE:
        return f"its quaternion has length {np.linalg.norm(quaternion):.3f}, not 1"
    return ""


def _nanoseconds(time: Any) -> int:
    """Return the nanoseconds of an rclpy Time or a builtin_interfaces Time."""
    if hasattr(time, "nanoseconds"):
        return int(time.nanoseconds)
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def _message(matrix: Matrix, stamp_ns: int, target: str, source: str) -> TransformStamped:
    message = TransformStamped()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    message.header.frame_id, message.child_frame_id = target, source
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z = (float(value) for value in matrix[:3, 3])
    quaternion = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    turn.x, turn.y, turn.z, turn.w = (float(value) for value in quaternion)
    return message
