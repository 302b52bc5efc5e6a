"""A recording on disk: rosbag2 (sqlite3 or mcap) or a ROS 1 bag, read through `rosbags`."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from e2e_slam_ros.config.errors import DataError

_SUFFIXES = (".bag", ".mcap", ".db3")
# A stamped message starts with four bytes: the CDR encapsulation, or the sequence number in
# ROS 1. Seconds and nanoseconds follow.
_STAMP_OFFSET = 4


@dataclass(frozen=True)
class Topic:
    """A topic of the recording: name, type ("sensor_msgs/msg/Image") and message count.

    >>> Topic("/camera/image_raw", "sensor_msgs/msg/Image", 300).count
    300
    """

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class MessageKey:
    """Key of a stamped message: its stamp and its time of recording, nanoseconds.

    >>> MessageKey(stamp_ns=1_000, recorded_ns=1_500).stamp_ns
    1000
    """

    stamp_ns: int
    recorded_ns: int


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a recording (a file, or a rosbag2 folder)."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or len(_storage_files(path)) > 0
    return path.suffix in _SUFFIXES


class BagFile:
    """An open recording. Messages are read on demand.

    Call `messages` and `keys` first, while the recording is indexed by one thread. After that,
    `message` may be called from several threads.

    Raises:
        DataError: not a recording, damaged, or of a kind that `rosbags` does not support.

    >>> import tempfile
    >>> from rosbags.rosbag2 import Writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(Path(folder) / "run", version=9):  # a recording without topics
    ...         pass
    ...     bag = BagFile(Path(folder) / "run")
    ...     topics = bag.topics()
    ...     bag.close()
    >>> topics
    []
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._open = False
        try:
            # Recordings of Humble and older hold no message definitions. The standard types
            # used here are the same in every ROS 2 distribution.
            self._reader = AnyReader(
                [_resolved(self.path)], default_typestore=get_typestore(Stores.ROS2_HUMBLE)
            )
            self._reader.open()
            self._open = True
        except DataError:
            raise
        except Exception as problem:  # a parser of damaged bytes may raise anything
            raise DataError.from_parts(
                f"recording {self.path}",
                f"{type(problem).__name__}: {problem}",
                "a rosbag2 folder (sqlite3 or mcap), an .mcap, .db3 or ROS 1 .bag file",
                "check the path; 'ros2 bag reindex' repairs recordings that were cut off",
            ) from problem

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        with self._lock:
            if self._open:
                self._open = False
                self._reader.close()

    def topics(self) -> list[Topic]:
        """Return the topics with at least one message, sorted by name."""
        counts: dict[tuple[str, str], int] = {}
        for connection in self._reader.connections:
            key = (connection.topic, connection.msgtype)
            counts[key] = counts.get(key, 0) + connection.msgcount
        return [
            Topic(name, kind, count) for (name, kind), count in sorted(counts.items()) if count
        ]

    def messages(self, topic: str) -> Iterator[tuple[int, Any]]:
        """Yield (recorded_ns, message) of a topic in the order of recording."""
        for connection, recorded_ns, raw in self._raw(topic):
            yield recorded_ns, self._deserialize(raw, connection.msgtype, topic)

    def keys(self, topic: str) -> list[MessageKey]:
        """Return the keys of a topic's stamped messages. Contents are not decoded.

        A stamp of zero comes from a driver that never sets it. It is replaced by the time of
        recording.
        """
        keys = []
        for _, recorded_ns, raw in self._raw(topic):
            stamp_ns = self._stamp(raw) or recorded_ns
            keys.append(MessageKey(stamp_ns, recorded_ns))
        return keys

    def message(self, topic: str, key: MessageKey) -> Any:
        """Return the message of a ``key`` from `keys`.

        Raises:
            DataError: the message cannot be read or decoded.
        """
        with self._lock:
            if not self._open:
                raise DataError.from_parts(
                    f"recording {self.path}", "closed", "an open one", "open it again"
                )
            # Read to the end, because an unfinished query would share the file with the next one.
            found = list(self._raw(topic, key.recorded_ns, key.recorded_ns + 1))
        for connection, recorded_ns, raw in found:
            if (self._stamp(raw) or recorded_ns) == key.stamp_ns:
                return self._deserialize(raw, connection.msgtype, topic)
        raise DataError.from_parts(
            f"message of {topic}", f"none at {key.recorded_ns} ns", "the one listed", "reopen it"
        )

    def _raw(
        self, topic: str, start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, recorded_ns, bytes). Errors of `rosbags` become `DataError`."""
        connections = [c for c in self._reader.connections if c.topic == topic]
        # For `rosbags` an empty selection means every topic.
        if not connections:
            return
        try:
            yield from self._reader.messages(connections, start, stop)
        except Exception as problem:
            raise self._damaged(topic, problem) from problem

    def _deserialize(self, raw: bytes, kind: str, topic: str) -> Any:
        try:
            return self._reader.deserialize(raw, kind)
        except Exception as problem:
            raise self._damaged(topic, problem) from problem

    def _stamp(self, raw: bytes) -> int:
        little = not self._reader.is2 or (len(raw) > 1 and raw[1] & 1)
        if len(raw) < _STAMP_OFFSET + 8:
            return 0
        seconds, nanoseconds = struct.unpack_from("<iI" if little else ">iI", raw, _STAMP_OFFSET)
        return int(seconds) * 10**9 + int(nanoseconds)

    def _damaged(self, topic: str, problem: Exception) -> DataError:
        return DataError.from_parts(
            f"topic {topic} in {self.path}",
            f"{type(problem).__name__}: {problem}",
            "a readable message",
            "the recording is damaged; 'ros2 bag reindex' or a new copy may help",
        )


def _storage_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES)


def _resolved(path: Path) -> Path:
    """Return the path that `rosbags` opens. A folder without metadata stands for its only file."""
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        files = _storage_files(path)
        if len(files) != 1:
            raise DataError.from_parts(
                f"recording {path}",
                f"no metadata.yaml and {len(files)} storage files",
                "a rosbag2 folder",
                "run 'ros2 bag reindex' on it, or give one of its files",
            )
        return files[0]
    return path
