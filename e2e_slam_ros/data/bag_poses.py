"""Camera poses of a recording: from a pose topic, from odometry with TF, or from TF alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions, option
from e2e_slam_ros.data.bag_file import BagFile, Topic
from e2e_slam_ros.data.bag_topics import ODOMETRY, POSE_TYPES, TF_TYPES, named
from e2e_slam_ros.data.bag_transforms import read_transforms
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.pose_policy import BODY, OPTICAL, T_BODY_OPTICAL, PoseCandidate
from e2e_slam_ros.data.recorded_poses import RecordedPoses, read_poses

Matrix: TypeAlias = "npt.NDArray[np.float64]"
PoseAt: TypeAlias = Callable[[int], "Matrix | None"]


class BagPoses:
    """Finds the pose source of a recording.

    Args:
        camera_frame: optical frame of the camera (the images' frame_id).
        options: pose topic, its frame, the fixed frame, tolerance and clock.

    Attributes:
        tree: all transforms of the recording.
        stamps_ns: of the poses that were found, for messages.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from rosbags.rosbag2 import Writer
    >>> image, report = Topic("/camera/image_raw", "sensor_msgs/msg/Image", 1), ReaderReport()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(Path(folder) / "run", version=9):  # a recording without poses
    ...         pass
    ...     bag = BagFile(Path(folder) / "run")
    ...     found = BagPoses(bag, [image], image, "camera", InputOptions(), report).find()
    ...     bag.close()
    >>> found is None, report.notes
    (True, ['no pose topic, odometry or moving TF: the frames have no pose'])
    """

    def __init__(
        self,
        bag: BagFile,
        topics: Sequence[Topic],
        image: Topic,
        camera_frame: str,
        options: InputOptions,
        report: ReaderReport,
    ) -> None:
        self._bag = bag
        self._topics = topics
        self._image = image
        self._camera_frame = camera_frame
        self._options = options
        self._map_frame = options.map_frame.lstrip("/")
        self._pose_frame = options.pose_frame.lstrip("/")
        self._tolerance_ns = round(options.pose_tolerance_s * 1e9)
        self._report = report
        self.tree = read_transforms(bag, topics, options.clock, report)
        self.stamps_ns: Sequence[int] = ()

    def find(self) -> PoseAt | None:
        """Return a function from a stamp to the camera's pose, or None if there is no pose source.

        A named topic is used. Otherwise the sources are tried in this order: a pose topic beside
        the image topic (``camera/pose``), TF with motion between the camera and the map,
        odometry, another pose topic if there is no odometry.

        Raises:
            DataError: the pose topic is named and cannot be used.
        """
        if self._options.pose_topic:
            return self._of_named(self._options.pose_topic)
        judged = [PoseCandidate.of(t.name, t.type, self._image.name) for t in self._topics]
        candidates = sorted(
            (c for c in judged if c.rank is not None), key=lambda c: (c.rank, c.name)
        )
        found: PoseAt | None = None
        for candidate in [c for c in candidates if c.rank == 0]:
            found = found or self._of_topic(candidate.name, candidate.kind)
        found = found or self._of_tf()
        for candidate in [c for c in candidates if c.rank != 0]:
            if found is not None:
                self._report.note(f"not taken: {candidate.name} (poses are there already)")
            elif candidate.rank == 1 or not any(c.rank == 1 for c in candidates):
                found = self._of_topic(candidate.name, candidate.kind)
            else:
                self._report.note(
                    f"not taken: {candidate.name} does not say whose pose it is; "
                    f"{option('pose_topic', candidate.name)} takes it, with "
                    f"{option('pose_frame', f'{BODY}|{OPTICAL}|FRAME')}"
                )
        for other in judged:
            if other.kind in POSE_TYPES and other.rank is None:
                self._report.note(f"not taken: {other.name} ({other.reason})")
        if found is None:
            self._report.note("no pose topic, odometry or moving TF: the frames have no pose")
        return found

    def _of_named(self, name: str) -> PoseAt:
        topic = named(self._topics, name, (*POSE_TYPES, *TF_TYPES), "pose_topic")
        before = len(self._report.notes)
        found = self._of_tf() if topic.type in TF_TYPES else self._of_topic(topic.name, topic.type)
        if found is not None:
            return found
        raise DataError.from_parts(
            f"pose topic {topic.name}",
            "; ".join(self._report.notes[before:])
            or f"no transforms that lead to {self._camera_frame!r}",
            "TF between the pose's frame and the camera's optical frame",
            f"record /tf_static, or give {option('camera_frame')} or "
            f"{option('pose_frame', f'{BODY}|{OPTICAL}|FRAME')}",
        )

    def _of_tf(self) -> PoseAt | None:
        frame, tree, tolerance_ns = self._camera_frame, self.tree, self._tolerance_ns
        turn = self._pose_frame == BODY
        if not turn and self._pose_frame not in ("", OPTICAL):
            frame = self._pose_frame
        world = self._map_frame or tree.world_of(frame)
        if world is None or not tree.is_moving(world, frame):
            self._report_tf(frame)
            return None
        self.stamps_ns = tree.moving_stamps(frame)
        self._report.note(f"poses are TF {world} <- {frame}{', x forward' if turn else ''}")

        def at(stamp_ns: int) -> Matrix | None:
            found = tree.lookup(world, frame, stamp_ns, tolerance_ns)
            return found @ T_BODY_OPTICAL if turn and found is not None else found

        return at

    def _report_tf(self, frame: str) -> None:
        """Name both frames if TF moves, but not the camera."""
        moving = self.tree.moving_frames()
        if not moving:
            return
        root = self.tree.ancestors(moving[-1])[-1]
        known = "has no parent there" if frame in self.tree.frames() else "is not in TF"
        target = self._map_frame or root
        self._report.note(
            f"no transforms lead from {frame!r} to {target!r}: {frame!r} {known}; "
            f"TF has {', '.join(sorted(self.tree.frames())[:12])}; record /tf_static, or give "
            f"{option('camera_frame')}"
        )

    def _of_topic(self, name: str, kind: str) -> PoseAt | None:
        """Return the poses of a topic, moved to the camera by TF if they are of another frame."""
        poses = read_poses(self._bag, name, kind, self._options.clock, self._report)
        child = self._pose_frame or poses.child
        frame = self._camera_frame
        if kind == ODOMETRY and not child:
            self._report.note(
                f"not taken: {name} has no child_frame_id: it does not say whose pose it is; give "
                f"{option('pose_frame', f'{BODY}|{OPTICAL}|FRAME')}"
            )
            return None
        if not self._is_fixed(name, poses.frame):
            return None
        base = self._to_map(name, poses)
        if base is None:
            return None
        if child in ("", frame, OPTICAL):
            if not child:
                self._report.note(f"poses are {name}, read as the camera's optical frame")
            else:
                self._report.note(f"poses are {name}, of the camera's optical frame")
            self.stamps_ns = poses.stamps_ns
            return base
        if child == BODY:
            self._report.note(f"poses are {name}, of a body with x forward at the camera")
            self.stamps_ns = poses.stamps_ns
            return lambda stamp_ns: None if (b := base(stamp_ns)) is None else b @ T_BODY_OPTICAL
        if self.tree.between(child, frame, None, self._tolerance_ns) is None:
            self._report.note(
                f"{name} is the pose of {child!r}, and no TF leads from there to {frame!r}: "
                f"record /tf_static, or give {option('pose_frame', f'{BODY}|{OPTICAL}')}"
            )
            return None
        self._report.note(f"poses are {name} with TF {child} <- {frame}")
        self.stamps_ns = poses.stamps_ns
        tree, tolerance_ns = self.tree, self._tolerance_ns

        def at(stamp_ns: int) -> Matrix | None:
            body, mount = base(stamp_ns), tree.between(child, frame, stamp_ns, tolerance_ns)
            return None if body is None or mount is None else body @ mount

        return at

    def _is_fixed(self, name: str, frame: str) -> bool:
        """Return whether poses are given in a frame that does not move with the camera."""
        if frame and (
            frame == self._camera_frame or frame in self.tree.rigid_with(self._camera_frame)
        ):
            self._report.note(
                f"not taken: {name} is given in {frame!r}, which moves with the camera "
                f"({self._camera_frame!r})"
            )
            return False
        return True

    def _to_map(self, name: str, poses: RecordedPoses) -> PoseAt | None:
        """Return the poses in the map frame: as recorded, or moved by TF to a named frame."""
        track, tolerance_ns = poses.track, self._tolerance_ns
        target, frame, tree = self._map_frame, poses.frame, self.tree
        if not target or not frame or target == frame:
            return lambda stamp_ns: track.at(stamp_ns, tolerance_ns)
        if tree.between(target, frame, None, tolerance_ns) is None:
            self._report.note(
                f"not taken: {name} is given in {frame!r}, and no TF leads from there to "
                f"{target!r}"
            )
            return None

        def at(stamp_ns: int) -> Matrix | None:
            pose = track.at(stamp_ns, tolerance_ns)
            moved = tree.between(target, frame, stamp_ns, tolerance_ns)
            return None if pose is None or moved is None else moved @ pose

        return at
