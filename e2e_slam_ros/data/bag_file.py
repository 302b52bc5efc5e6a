"""A recording on disk: rosbag2 (sqlite3 or mcap) or a ROS 1 bag, read through `rosbags`."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.bag_storage import BagStorage, is_storage, storage_files
from e2e_slam_ros.data.frame import ReaderReport

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

    ``is_unset``: its stamp is zero, so that the time of recording takes its place.

    >>> MessageKey(stamp_ns=1_000, recorded_ns=1_500).stamp_ns
    1000
    """

    stamp_ns: int
    recorded_ns: int
    is_unset: bool = field(default=False, compare=False)


class RecordedMessage(NamedTuple):
    """A message as its bytes, in CDR.

    >>> RecordedMessage("/chatter", "std_msgs/msg/String", 1_000, b"").recorded_ns
    1000
    """

    topic: str
    type: str
    recorded_ns: int
    data: bytes

    @property
    def stamp_ns(self) -> int:
        """The stamp of a message that begins with a header, nanoseconds; 0 if there is none."""
        return _stamp(self.data, len(self.data) > 1 and bool(self.data[1] & 1))


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a recording (a file, or a rosbag2 folder)."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or len(storage_files(path)) > 0
    return is_storage(path)


class BagFile:
    """An open recording. Messages are read on demand.

    Call `messages` and `keys` first, while the recording is indexed by one thread. After that,
    `message` may be called from several threads.

    Args:
        clock: "header": stamps are those of the messages; "recording": the times of recording.
        report: takes notes of what cannot be used.

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

    def __init__(
        self, path: Path | str, clock: str = "header", report: ReaderReport | None = None
    ) -> None:
        self.path = Path(path)
        self._report = report if report is not None else ReaderReport()
        self._by_header = clock == "header"
        self._lock = threading.Lock()
        if not self.path.exists():
            raise DataError.from_parts(
                f"recording {self.path}",
                "nothing there",
                "a rosbag2 folder (sqlite3 or mcap), an .mcap, .db3 or ROS 1 .bag file",
                "check the path",
            )
        self._storage = BagStorage(self.path, self._report)
        self._open = True
        self._topics = self._list()

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        with self._lock:
            if self._open:
                self._open = False
                self._storage.close()

    @property
    def seconds(self) -> float:
        """Time from the first message to the last, by the times of recording."""
        try:
            return self._storage.seconds
        except Exception as problem:
            raise self._damaged("times", problem) from problem

    def topics(self) -> list[Topic]:
        """Return the topics with at least one message, sorted by name."""
        return list(self._topics)

    def _list(self) -> list[Topic]:
        counts: dict[str, dict[str, int]] = {}
        for connection in self._storage.connections:
            kinds = counts.setdefault(connection.topic, {})
            kinds[connection.msgtype] = kinds.get(connection.msgtype, 0) + connection.msgcount
        topics = []
        for name, kinds in sorted(counts.items()):
            kind = max(kinds, key=lambda k: kinds[k])
            if kinds[kind]:
                topics.append(Topic(name, kind, kinds[kind]))
            if len(kinds) > 1:
                others = ", ".join(k for k in kinds if k != kind)
                self._report.note(f"{name} has several types; {kind} is used, not {others}")
        return topics

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
            header_ns = self._stamp(raw)
            stamp_ns = (header_ns if self._by_header else 0) or recorded_ns
            keys.append(MessageKey(stamp_ns, recorded_ns, header_ns == 0 and self._by_header))
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
            header_ns = self._stamp(raw) if self._by_header else 0
            if (header_ns or recorded_ns) == key.stamp_ns:
                return self._deserialize(raw, connection.msgtype, topic)
        raise DataError.from_parts(
            f"message of {topic}", f"none at {key.recorded_ns} ns", "the one listed", "reopen it"
        )

    def recorded(self) -> Iterator[RecordedMessage]:
        """Yield every message as it was recorded, not decoded, in the order of recording.

        Raises:
            DataError: a ROS 1 recording, or one that is damaged.
        """
        if not self._storage.is_ros2:
            raise DataError.from_parts(
                f"recording {self.path}", "ROS 1", "rosbag2", "convert it with rosbags-convert"
            )
        topic = "/"
        try:
            for connection, recorded_ns, raw in self._storage.messages(self._storage.connections):
                topic = connection.topic
                yield RecordedMessage(topic, connection.msgtype, recorded_ns, bytes(raw))
        except Exception as problem:
            raise self._damaged(topic, problem) from problem

    def _raw(
        self, topic: str, start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, recorded_ns, bytes). Errors of `rosbags` become `DataError`."""
        kinds = {t.type for t in self._topics if t.name == topic}
        connections = [
            c for c in self._storage.connections if c.topic == topic and c.msgtype in kinds
        ]
        try:
            yield from self._storage.messages(connections, start, stop)
        except Exception as problem:
            raise self._damaged(topic, problem) from problem

    def _deserialize(self, raw: bytes, kind: str, topic: str) -> Any:
        try:
            return self._storage.deserialize(raw, kind)
        except Exception as problem:
            raise self._damaged(topic, problem) from problem

    def _stamp(self, raw: bytes) -> int:
        return _stamp(raw, not self._storage.is_ros2 or (len(raw) > 1 and bool(raw[1] & 1)))

    def _damaged(self, topic: str, problem: Exception) -> DataError:
        return DataError.from_parts(
            f"topic {topic} in {self.path}",
            f"{type(problem).__name__}: {problem}",
            "a readable message",
            "the recording is damaged; 'ros2 bag reindex' or a new copy may help",
        )


def _stamp(raw: bytes, little: bool) -> int:
    if len(raw) < _STAMP_OFFSET + 8:
        return 0
    seconds, nanoseconds = struct.unpack_from("<iI" if little else ">iI", raw, _STAMP_OFFSET)
    return int(seconds) * 10**9 + int(nanoseconds)
