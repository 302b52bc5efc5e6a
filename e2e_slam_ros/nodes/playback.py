"""The player's loop. It decides when the next frame is sent."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

from tqdm import tqdm

from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.prefetch import prepared_ahead
from e2e_slam_ros.nodes.frame_publisher import FrameMessages, FramePublisher
from e2e_slam_ros.nodes.pace import Pace
from e2e_slam_ros.nodes.player_options import PlayerOptions

# Decoding ahead hides the time of the disk and of the image decoder.
_AHEAD = 4
_TICK_S = 0.1
# A frame is sent again after this multiple of the longest time that an answer has taken.
_PATIENCE = 3.0


@dataclass
class PlaybackReport:
    """Counts of a playback.

    Attributes:
        sent: published frames, each counted once.
        unreadable: frames that the reader could not decode.
        resent: repeated frames, because no answer came.
        seconds: wall time from the first frame.
        last_ns: stamp of the last published frame.
    """

    sent: int = 0
    unreadable: int = 0
    resent: int = 0
    seconds: float = 0.0
    last_ns: int = 0


class Playback:
    """Sends the frames of a reader, in real time or in lock-step. `run` blocks."""

    def __init__(
        self,
        reader: FrameReader,
        publisher: FramePublisher,
        options: PlayerOptions,
        warn: Callable[[str], None],
    ) -> None:
        self.report = PlaybackReport()
        self._reader = reader
        self._publisher = publisher
        self._options = options
        self._warn = warn
        self._condition = threading.Condition()
        self._answered_ns: int | None = None
        self._paused = False
        self._stopping = False
        self._slowest_s = 0.0

    def answer(self, stamp_ns: int) -> None:
        """Record that the frame with that stamp is finished. Any thread may call it."""
        with self._condition:
            self._answered_ns = stamp_ns
            self._condition.notify_all()

    def pause(self, paused: bool) -> None:
        """Pause or continue. Any thread may call it."""
        with self._condition:
            self._paused = paused
            self._condition.notify_all()

    def stop(self) -> None:
        """Make `run` return soon. Any thread or signal handler may call it."""
        # No lock here, because a signal handler may interrupt the thread that holds it.
        self._stopping = True

    def run(self) -> PlaybackReport:
        """Play to the end, or until `stop`.

        Raises:
            E2ESlamError: no frame could be decoded, or lock-step got no answer.
        """
        start = time.monotonic()
        with self._bar() as bar:
            pace = Pace(self._options.rate)
            for messages in self._decoded():
                self._hold(pace)
                if self._stopping:
                    break
                if self._options.lockstep:
                    self._send_and_wait(messages)
                else:
                    self._sleep(pace.due_in(messages.stamp_ns))
                    self._publisher.send(messages)
                self.report.sent += 1
                self.report.last_ns = messages.stamp_ns
                self.report.seconds = time.monotonic() - start
                if bar is not None:
                    bar.update()
        if self.report.sent == 0 and not self._stopping:
            raise DataError.from_parts(
                f"sequence {self._reader.name}", "no readable frame", "at least one", "check it"
            )
        return self.report

    def _bar(self) -> AbstractContextManager[tqdm | None]:
        # A disabled bar would still start tqdm's monitor thread.
        if not self._options.progress or not sys.stderr.isatty():
            return nullcontext()
        return tqdm(total=len(self._reader), unit="frame")

    def _decoded(self) -> Iterator[FrameMessages]:
        """Yield the readable frames as messages. A thread decodes them ahead."""

        def decode(index: int) -> FrameMessages | E2ESlamError:
            try:
                return self._publisher.messages(self._reader[index])
            except E2ESlamError as error:
                return error

        with closing(prepared_ahead(decode, 0, len(self._reader), _AHEAD)) as decoded:
            for _, messages in decoded:
                if not isinstance(messages, E2ESlamError):
                    yield messages
                    continue
                self.report.unreadable += 1
                if self.report.unreadable == 1:
                    self._warn(f"left out: {messages} (more of them are only counted)")

    def _send_and_wait(self, messages: FrameMessages) -> None:
        options = self._options
        first = time.monotonic()
        while not self._stopping:
            self._publisher.send(messages)
            patience_s = max(options.timeout_s, _PATIENCE * self._slowest_s)
            came = self._answer_came(messages.stamp_ns, patience_s)
            waited = time.monotonic() - first
            if came:
                self._slowest_s = max(self._slowest_s, waited)
                return
            if waited > options.give_up_s:
                raise E2ESlamError.from_parts(
                    f"frame at {messages.stamp_ns * 1e-9:.6f} s",
                    f"no answer on `processed` for {waited:.0f} s",
                    "one from slam_node (or keyframe_node and mapper_node)",
                    "look at its log and /diagnostics",
                )
            if not self._stopping:
                self.report.resent += 1
                self._warn(
                    f"still waiting for `processed` after {waited:.0f} s; sending the frame again "
                    "in case it was lost. A keyframe from which the depth network learns may "
                    "take this long; otherwise see whether the SLAM side runs or is paused"
                )

    def _answer_came(self, stamp_ns: int, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._answered_ns != stamp_ns and not self._stopping:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._condition.wait(min(left, _TICK_S))
        return self._answered_ns == stamp_ns

    def _hold(self, pace: Pace) -> None:
        start = time.monotonic()
        with self._condition:
            while self._paused and not self._stopping:
                self._condition.wait(_TICK_S)
        pace.shift(time.monotonic() - start)

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _TICK_S))
