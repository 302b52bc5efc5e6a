"""A node that plays a recorded or rendered sequence like a camera driver."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.config.input import in_ros
from e2e_slam_ros.config.leaf import leaves
from e2e_slam_ros.data.frame import FrameReader, ReaderReport
from e2e_slam_ros.nodes.frame_publisher import FramePublisher
from e2e_slam_ros.nodes.last_answer import LastAnswer
from e2e_slam_ros.nodes.playback import Playback, PlaybackReport
from e2e_slam_ros.nodes.player_options import PlayerOptions
from e2e_slam_ros.nodes.spinning import run_player

_TICK_S = 0.05
_FLUSH_S = 2.0
_CONNECT_S = 1.0
_SETTLE_S = 0.2
_MAP_FRAME, _CAMERA_FRAME = "map", "camera_optical_frame"


class DatasetPlayer(Node):  # type: ignore[misc]
    """Publishes the frames of a sequence. `play` blocks until the end.

    Args:
        reader: the frames. None opens the sequence of the parameter ``data``.

    Raises:
        E2ESlamError: a parameter or a sequence that cannot be used.
    """

    def __init__(
        self,
        reader: FrameReader | None = None,
        context: Context | None = None,
        parameter_overrides: Sequence[Parameter] = (),
    ) -> None:
        super().__init__(
            "dataset_player", context=context, parameter_overrides=list(parameter_overrides)
        )
        self.options = PlayerOptions.declared_on(self)
        # The command line opens the reader itself and is told its own spelling of options.
        self._spelled = in_ros if reader is None else str
        self.reader = reader if reader is not None else _open(self.options)
        self._report_reader()
        self._frames = FramePublisher(
            self,
            self.options.map_frame or _MAP_FRAME,
            self.options.camera_frame or _CAMERA_FRAME,
        )
        self.playback = Playback(
            self.reader, self._frames, self.options, self.get_logger().warning
        )
        self._answers = LastAnswer(self, self.playback.answer)
        self._pause = self.create_service(SetBool, "~/pause", self._on_pause)
        self._stopping = False

    def play(self) -> PlaybackReport:
        """Wait for subscribers, then send every frame.

        Raises:
            E2ESlamError: no answer in lock-step, or no frame can be decoded.
        """
        self._wait_for_listeners()
        report = self.playback.run()
        if not self._stopping:
            self._frames.flush(_FLUSH_S)
            self._answers.wait(report.last_ns, lambda: self._stopping)
        self.get_logger().info(
            f"played {report.sent} frames of {self.reader.name} in {report.seconds:.1f} s"
            f" ({report.unreadable} unreadable, {report.resent} sent again)"
        )
        return report

    def stop(self) -> None:
        """Make `play` return soon. Any thread or signal handler may call it."""
        self._stopping = True
        self.playback.stop()

    def _wait_for_listeners(self) -> None:
        deadline = time.monotonic() + self.options.wait_s
        lockstep = self.options.lockstep
        while not self._stopping:
            answered = not lockstep or self.count_publishers("processed") > 0
            if answered and self._frames.has_listener():
                self._settle()
                return
            if time.monotonic() > deadline:
                break
            time.sleep(_TICK_S)
        if self._stopping:
            return
        if lockstep:
            raise E2ESlamError.from_parts(
                "lock-step",
                f"nobody to answer within {self.options.wait_s:g} s",
                "a SLAM node that subscribes to the images and publishes `processed`",
                "start it, in the same ROS_DOMAIN_ID and namespace",
            )
        self.get_logger().warning("nobody subscribes to camera/image_raw; playing all the same")

    def _settle(self) -> None:
        """Give the other topics of the same subscriber time to connect.

        Not every SLAM node subscribes to all topics: it may use odometry instead of poses, or no
        depth.
        """
        deadline = time.monotonic() + _CONNECT_S
        while not self._frames.is_connected() and time.monotonic() < deadline:
            time.sleep(_TICK_S)
        time.sleep(_SETTLE_S)

    def _report_reader(self) -> None:
        report = self.reader.report
        if report.skipped:
            self.get_logger().warning(unused_sentence(report, len(self.reader)))
        for note in report.notes:
            self.get_logger().info(self._spelled(note))

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.playback.pause(request.data)
        response.success = True
        response.message = "paused" if request.data else "playing"
        return response


def unused_sentence(report: ReaderReport, frames: int) -> str:
    """Return a sentence with the number of played frames and the unused parts.

    Reasons count lines of lists, files or frames. They do not add up to one number.
    """
    unused = "; ".join(f"{reason} ({count} times)" for reason, count in report.skipped.items())
    return f"{frames} frames to play; not used: {unused}"


def _open(options: PlayerOptions) -> FrameReader:
    from e2e_slam_ros.data.open import open_reader
    from e2e_slam_ros.data.pose_check import check_poses
    from e2e_slam_ros.data.slice import FrameSlice, parse_frames

    if not options.data:
        raise ConfigError.from_parts(
            "parameter data", "nothing", "a folder or a bag", "set -p data:=PATH"
        )
    reader = open_reader(options.data, options=options.input)
    check_poses(reader, insist=bool(options.pose_frame))
    if not options.frames:
        return reader
    start, stop = parse_frames(options.frames)
    return FrameSlice(reader, start, stop)


def main(args: Sequence[str] | None = None) -> int:
    """Play to the end, or until SIGINT or SIGTERM."""
    return run_player(DatasetPlayer, tuple(leaves(PlayerOptions())), args)


if __name__ == "__main__":
    sys.exit(main())
