"""Assembly of a camera frame from its messages: image, camera_info and pose.

The synchronisers of `message_filters` do not fit here for three reasons. They drop unmatched
messages silently. They keep the depth image in the same set, so TF would wait for depth, and a
frame without depth would be lost. They cannot mix topics with TF.

This assembler answers every image: it hands the frame on, or refuses the image with a reason. The
number of waiting images and their waiting time are bounded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from e2e_slam_ros.config.errors import MessageError
from e2e_slam_ros.nodes.camera_frame import CameraFrame, FrameSink
from e2e_slam_ros.nodes.camera_infos import CameraInfos
from e2e_slam_ros.nodes.conversions import image_to_rgb, size_of
from e2e_slam_ros.nodes.pose_sources import PoseSource
from e2e_slam_ros.nodes.stamped_buffer import LOOP_NS
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.slam.refusals import (
    NoCameraInfoError,
    NoPoseError,
    StampError,
    UnsynchronisedError,
    refusal_kind,
)

# Half a second of images at 30 Hz.
MAX_PENDING = 16
# A longer jump ahead is a stamp that went wrong, unless the next image confirms it.
_AHEAD_NS = 3600 * 10**9


@dataclass(frozen=True, eq=False)
class _Pending:
    stamp_ns: int
    msg: Image | CompressedImage
    size: tuple[int, int] | None
    received_ns: int
    deadline_s: float


class FrameAssembler:
    """Collects the camera_info and the pose of each image. The order of the images is kept.

    Not thread-safe. The executor thread owns it.

    Args:
        poses: pose source, asked at each image's stamp.
        camera_frame: TF frame of the camera; empty takes it from the image header.
        patience_s: longest time that an image waits for camera_info and pose, wall time.
        now: monotonic clock, seconds.
        rectified: the images are rectified: P of camera_info holds.
        places: number of images that may wait.
    """

    def __init__(
        self,
        poses: PoseSource,
        sink: FrameSink,
        camera_frame: str,
        patience_s: float,
        now: Callable[[], float] = time.monotonic,
        rectified: bool = False,
        places: int = MAX_PENDING,
    ) -> None:
        self.patience_s = patience_s
        self._poses = poses
        self._sink = sink
        self._camera_frame = camera_frame
        self._now = now
        self._pending: deque[_Pending] = deque()
        self._places = places
        self._infos = CameraInfos(rectified, lambda text: sink.on_notice("camera_info", text))
        self._doubtful_ns: int | None = None
        self._last_ns: int | None = None
        self._last_size: tuple[int, int] | None = None

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the last accepted image. An image with the same stamp is a duplicate."""
        return self._last_ns

    @property
    def waiting(self) -> int:
        """Number of waiting images."""
        return len(self._pending)

    def add_info(self, msg: CameraInfo) -> None:
        """Add a camera_info message."""
        self._infos.add(msg)
        self.poll()

    def add_image(self, msg: Image | CompressedImage, received_ns: int) -> None:
        """Add an image.

        This method, `add_info` and `poll` send frames and refusals to the sink.
        """
        stamp_ns = stamp_to_ns(msg.header.stamp)
        last = self._last_ns
        wrong = self._wrong_stamp(stamp_ns)
        if wrong is not None:
            self._sink.on_refused(stamp_ns, refusal_kind(wrong), wrong)
            return
        if last is not None and stamp_ns == last:
            # A sequence may begin at zero, but a driver that never sets stamps sends only zeros.
            if stamp_ns == 0:
                self._sink.on_notice("stamp", str(_no_time(stamp_ns)))
            self._sink.on_duplicate(stamp_ns)
            return
        if last is not None and stamp_ns < last:
            error = MessageError.from_parts(
                "image stamp",
                f"{(last - stamp_ns) * 1e-9:.3f} s before the last one",
                "time that goes forward",
                "play a looping recording once, or reset",
            )
            if last - stamp_ns <= LOOP_NS:
                self._sink.on_refused(stamp_ns, "time_backwards", error)
                return
            self._restart(stamp_ns)
            self._sink.on_notice(
                "time_jump", f"{error}; taken as a recording that starts again, the map stays"
            )
            self._sink.on_time_jump(stamp_ns)
        self._last_ns = stamp_ns
        if len(self._pending) >= self._places:
            self._refuse(self._pending.popleft(), _overflow(self._places))
        deadline_s = self._now() + self.patience_s
        self._pending.append(_Pending(stamp_ns, msg, size_of(msg), received_ns, deadline_s))
        self.poll()

    def poll(self) -> None:
        """Hand on or refuse images that are due.

        Call it when a pose arrives and while images wait.
        """
        while self._pending:
            item = self._pending[0]
            last_chance = self._now() >= item.deadline_s
            try:
                frame = self._assemble(item, last_chance)
            except Exception as error:  # whatever it is, it must not block the images behind
                self._pending.popleft()
                self._refuse(item, error)
                continue
            if frame is not None:
                self._pending.popleft()
                self._sink.on_frame(frame)
            else:
                return

    def clear(self) -> None:
        """Forget waiting images and received messages, without any refusal."""
        self._pending.clear()
        self._infos.clear()
        self._poses.clear()
        self._last_ns = None

    def _wrong_stamp(self, stamp_ns: int) -> StampError | None:
        """Return an error if a stamp is negative or hours after the last one, else None."""
        if stamp_ns < 0:
            return _no_time(stamp_ns)
        last, doubtful, self._doubtful_ns = self._last_ns, self._doubtful_ns, None
        if not last or stamp_ns - last <= _AHEAD_NS:
            return None
        if doubtful is not None and 0 < stamp_ns - doubtful <= _AHEAD_NS:
            return None
        self._doubtful_ns = stamp_ns
        return StampError.from_parts(
            "image stamp",
            f"{(stamp_ns - last) * 1e-9:.0f} s after the last one",
            "time that goes on as the images do",
            "check the clock of the camera",
        )

    def _restart(self, stamp_ns: int) -> None:
        """Refuse the waiting images. Poses are kept, because they may belong to the new round."""
        while self._pending:
            self._refuse(self._pending.popleft(), _overflow(self._places))
        self._poses.restart(stamp_ns)

    def _assemble(self, item: _Pending, last_chance: bool) -> CameraFrame | None:
        header_frame = item.msg.header.frame_id
        lens = self._infos.lens(item.stamp_ns, item.size, header_frame, last_chance)
        if lens is None:
            if last_chance:
                raise NoCameraInfoError.from_parts(
                    f"camera_info at {item.stamp_ns * 1e-9:.6f} s",
                    "none yet",
                    "one message, or one beside each image",
                    "publish or remap camera/camera_info",
                )
            return None
        frame_id = self._camera_frame or header_frame
        last_chance = last_chance or self._poses.passed(item.stamp_ns)
        pose = self._poses.pose(item.stamp_ns, frame_id, last_chance)
        if pose is None and not last_chance:
            return None
        if pose is None and self._poses.required:
            raise self._no_pose(item.stamp_ns, frame_id, header_frame)
        image = image_to_rgb(item.msg)
        if lens.rectifier is not None:
            image = lens.rectifier.image(image)
        camera = lens.pinhole
        size = (camera.width, camera.height)
        if self._last_size not in (None, size):
            self._sink.on_notice(
                "size_change", f"images are now {size[0]}x{size[1]}, before {self._last_size}"
            )
        self._last_size = size
        in_odom = self._poses.in_odom and pose is not None
        return CameraFrame(
            item.stamp_ns,
            frame_id,
            image,
            camera,
            pose,
            item.received_ns,
            lens=lens,
            image_frame=header_frame,
            T_odom_camera=pose if in_odom else None,
            pose_sigma=self._poses.sigma,
        )

    def _no_pose(self, stamp_ns: int, frame_id: str, header_frame: str) -> NoPoseError:
        got, do = f"none near enough in time for {frame_id!r}", ""
        if header_frame and header_frame.lstrip("/") != frame_id.lstrip("/"):
            got += f", which is frames.camera; the images are of {header_frame!r}"
            do = ", or set frames.camera to '' for the frame of the images"
        return NoPoseError.from_parts(
            f"pose at {stamp_ns * 1e-9:.6f} s",
            got,
            self._poses.wanted,
            f"check pose.source and pose.tolerance_s{do}",
        )

    def _refuse(self, item: _Pending, error: Exception) -> None:
        self._sink.on_refused(item.stamp_ns, refusal_kind(error), error)


def _no_time(stamp_ns: int) -> StampError:
    return StampError.from_parts(
        "image stamp",
        f"{stamp_ns * 1e-9:g} s",
        "the time at which the image was taken",
        "let the driver set header.stamp; poses and TF are found by it",
    )


def _overflow(places: int) -> MessageError:
    return UnsynchronisedError.from_parts(
        "images waiting for camera_info or pose",
        f"more than {places}",
        "both within a few frames",
        "check that they are published at the images' stamps",
    )
