"""Frames at the pace of a camera: who is too slow misses some."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.video_stream import VideoStream


class PacedFrames:
    """Frames of a stream as they become due; a newer one replaces one that nobody took.

    A video file plays at its own rate. A camera's images are due when they arrive.

    Args:
        stream: read by a thread of its own.
        rate: speed of a file relative to its own.

    Attributes:
        missed: number of frames that were replaced.

    Example:
        >>> from pathlib import Path
        >>> from e2e_slam_ros.data.video_stream import camera_of_view
        >>> def play(path: str) -> None:
        ...     for frame in PacedFrames(VideoStream(Path(path), camera_of_view(65.0))):
        ...         print(frame.stamp_ns)
    """

    def __init__(self, stream: VideoStream, rate: float = 1.0) -> None:
        self._rate = rate
        self._stream = stream
        self.missed = 0
        self._condition = threading.Condition()
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._ended = self._closing = False
        self._thread = threading.Thread(target=self._read, name="video", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame each time.

        Raises:
            DataError: the stream raised it. Frames before it were yielded.
        """
        self._thread.start()
        while True:
            with self._condition:
                # Python handles Ctrl-C between waits.
                while self._newest is None and not self._ended:
                    self._condition.wait(0.2)
                frame, self._newest = self._newest, None
            if frame is None:
                break
            yield frame
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _read(self) -> None:
        """Read on, at the pace of the stamps (own thread)."""
        try:
            start_s: float | None = None
            for frame in self._stream:
                if not self._stream.live:
                    now, due = time.monotonic(), frame.stamp_ns * 1e-9 / self._rate
                    start_s = now - due if start_s is None else start_s
                    self._sleep(start_s + due - now)
                with self._condition:
                    if self._closing:
                        return
                    self.missed += int(self._newest is not None)
                    self._newest = frame
                    self._condition.notify_all()
        except Exception as error:  # noqa: BLE001 - raised again where the frames are used
            self._error = error
        finally:
            with self._condition:
                self._ended = True
                self._condition.notify_all()

    def _sleep(self, seconds: float) -> None:
        if seconds > 0.0:
            with self._condition:
                self._condition.wait_for(lambda: self._closing, seconds)
