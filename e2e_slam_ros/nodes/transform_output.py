"""The camera's place on TF: the map becomes the root of the tree that is there already."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from tf2_ros import TransformBroadcaster

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.live_transforms import live_transforms
from e2e_slam_ros.nodes.pose_messages import transform_message
from e2e_slam_ros.nodes.stamps import ns_to_stamp

Matrix = npt.NDArray[np.float64]

KIND = "tf"
_PERIOD_S = 0.05
# Static transforms of running nodes arrive within this time of the first callback. What is
# published before could give a frame a second parent.
_SETTLE_S = 1.0
# Poses that wait for the tree, or for the robot's transform at their stamp.
_WAITING = 200
# Longest time that a pose waits for the robot's transform at its stamp.
_PATIENCE_S = 1.0
# Stamps farther from the node's clock than this are of another clock (a recording without
# use_sim_time). Nothing can then be dated by the node's clock.
_OTHER_CLOCK_NS = 5_000_000_000


@dataclass(frozen=True, eq=False)
class _Pose:
    stamp_ns: int
    camera_frame: str
    T_map_camera: Matrix
    arrived_s: float


class TransformOutput:
    """Publishes the transform from the map to the tree that the camera is in.

    * A tree whose root is the odometry frame gets ``map -> odom``, 20 times a second and dated
      ``publish.transform_tolerance_s`` into the future, as AMCL does: it changes slowly, and is
      valid until the next one.
    * A tree with another root, such as the base, gets ``map -> root``, and a camera without a
      parent ``map -> camera``: at each image, dated as the image, because it moves.
    * A tree that somebody else connects to the map gets nothing, and ``on_problem`` is told.

    The executor thread owns it.

    Args:
        config: may be replaced while running.
        on_problem: called with the kind ``tf`` and a sentence.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        on_problem: Callable[[str, str], None] = lambda kind, sentence: None,
    ) -> None:
        self.config = config
        self._node = node
        self._on_problem = on_problem
        self._tree = live_transforms(node)
        self._broadcaster = TransformBroadcaster(node)
        self._started_s: float | None = None
        self._waiting: deque[_Pose] = deque(maxlen=_WAITING)
        # None: not known before the first image.
        self._T_map_odom: Matrix | None = self._first_correction()
        self._same_clock: bool | None = None
        self._sent_ns = 0
        self._said: tuple[int, str] | None = None
        self._placed = ""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, self._tick, clock=steady)

    def publish(
        self,
        stamp_ns: int,
        camera_frame: str,
        T_map_camera: Matrix,
        T_odom_camera: Matrix | None = None,
    ) -> None:
        """Publish a frame's pose.

        Args:
            stamp_ns: image time.
            camera_frame: TF frame of the camera.
            T_map_camera: (4, 4).
            T_odom_camera: (4, 4) the pose as it was given in the odometry frame; or None.
        """
        if not self.config.publish.tf:
            return
        self._compare_clocks(stamp_ns)
        if T_odom_camera is not None:
            self._correct(stamp_ns, T_map_camera, T_odom_camera)
            if self._is_alone:
                self._place_in_odom(stamp_ns, camera_frame, T_odom_camera)
        elif self._is_alone:
            self._waiting.append(_Pose(stamp_ns, camera_frame, T_map_camera, time.monotonic()))
            if self._settled:
                self._place_waiting()

    def clear(self) -> None:
        """Forget the correction and what waits: the map begins anew."""
        self._waiting.clear()
        self._T_map_odom = self._first_correction()

    @property
    def _is_alone(self) -> bool:
        """Whether poses come without the robot's tree (odometry and TF come with it)."""
        source, prior = self.config.pose.source, self.config.tracking.prior
        return source == "topic" or (self.config.pose.is_tracked and prior == "none")

    @property
    def _settled(self) -> bool:
        started = self._started_s
        return started is not None and time.monotonic() - started >= _SETTLE_S

    def _first_correction(self) -> Matrix | None:
        given_in_odom = self.config.pose.source in ("odometry", "tf")
        return np.eye(4) if given_in_odom else None

    def _tick(self) -> None:
        if self._started_s is None:
            self._started_s = time.monotonic()
        if not self.config.publish.tf or not self._settled or not is_active(self._node):
            return
        self._place_waiting()
        if self._T_map_odom is None or not self._dates_by_clock():
            return
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns > 0:
            self._send_correction(now_ns)

    def _dates_by_clock(self) -> bool:
        """Return whether the node's clock is that of the images, or else of the robot's tree."""
        if self._same_clock is None:
            heard_ns = self._tree.newest_below(self.config.frames.odom)
            return heard_ns is not None and self._is_now(heard_ns)
        return self._same_clock

    def _compare_clocks(self, stamp_ns: int) -> None:
        self._same_clock = self._is_now(stamp_ns)

    def _is_now(self, stamp_ns: int) -> bool:
        return abs(self._node.get_clock().now().nanoseconds - stamp_ns) < _OTHER_CLOCK_NS

    def _correct(self, stamp_ns: int, T_map_camera: Matrix, T_odom_camera: Matrix) -> None:
        self._T_map_odom = np.eye(4)
        if not np.array_equal(T_map_camera, T_odom_camera):
            self._T_map_odom = T_map_camera @ np.linalg.inv(T_odom_camera)
        self._send_correction(stamp_ns)

    def _send_correction(self, stamp_ns: int) -> None:
        """Send ``map -> odom`` for a stamp; what is not newer than the last one is left out."""
        assert self._T_map_odom is not None
        dated_ns = stamp_ns + round(self.config.publish.transform_tolerance_s * 1e9)
        if dated_ns < self._sent_ns - _OTHER_CLOCK_NS:  # time jumped back
            self._sent_ns = 0
        if dated_ns <= self._sent_ns:
            return
        self._sent_ns = dated_ns
        frames = self.config.frames
        self._send(self._T_map_odom, dated_ns, frames.map, frames.odom)

    def _place_waiting(self) -> None:
        """Publish the poses whose tree is known; the others wait."""
        for _ in range(len(self._waiting)):
            pose = self._waiting.popleft()
            if not self._place(pose):
                self._waiting.append(pose)

    def _place(self, pose: _Pose) -> bool:
        """Publish a pose in the tree as it is; return whether that is possible yet."""
        frames, camera = self.config.frames, pose.camera_frame
        *_, root = self._tree.ancestors(camera)
        if root == frames.map:
            self._refuse_second_parent(camera)
            return True
        self._note_root(root)
        if root == frames.odom:
            return self._place_odom(pose)
        T_root_camera = self._below(root, camera, pose.stamp_ns)
        if T_root_camera is not None:
            T_map_root = pose.T_map_camera @ np.linalg.inv(T_root_camera)
            self._send(T_map_root, pose.stamp_ns, frames.map, root)
        return True

    def _place_odom(self, pose: _Pose) -> bool:
        """Correct the odometry by a pose; return false while TF may still have its stamp."""
        odom, camera = self.config.frames.odom, pose.camera_frame
        T_odom_camera = self._tree.matrix(odom, camera, pose.stamp_ns)
        if T_odom_camera is not None:
            self._correct(pose.stamp_ns, pose.T_map_camera, T_odom_camera)
            return True
        if time.monotonic() - pose.arrived_s < _PATIENCE_S:
            return False
        self._say(
            f"TF at the image's stamp: got no transform from {odom} to {camera}, expected one; "
            f"{self.config.frames.map} -> {odom} is not corrected; check the clocks of "
            "the robot's odometry and of the camera"
        )
        return True

    def _place_in_odom(self, stamp_ns: int, camera: str, T_odom_camera: Matrix) -> None:
        """Publish a pose given in the odometry frame, unless the robot's tree has it."""
        frames = self.config.frames
        *_, root = self._tree.ancestors(camera)
        if root in (frames.odom, frames.map):
            return
        T_root_camera = self._below(root, camera, stamp_ns)
        if T_root_camera is not None:
            T_odom_root = T_odom_camera @ np.linalg.inv(T_root_camera)
            self._send(T_odom_root, stamp_ns, frames.odom, root)

    def _below(self, root: str, camera: str, stamp_ns: int) -> Matrix | None:
        """Return ``T_root_camera``; the newest where the tree has none at the stamp yet."""
        if root == camera:
            return np.eye(4)
        at_stamp = self._tree.matrix(root, camera, stamp_ns)
        return at_stamp if at_stamp is not None else self._tree.matrix(root, camera, 0)

    def _send(self, matrix: Matrix, stamp_ns: int, parent: str, child: str) -> None:
        self._tree.ours.add((parent, child))
        message: TransformStamped = transform_message(matrix, ns_to_stamp(stamp_ns), parent, child)
        self._broadcaster.sendTransform(message)

    def _note_root(self, root: str) -> None:
        """Say that the tree got another root: listeners may have to be started anew."""
        if self._placed not in ("", root):
            self._say(
                f"the camera's tree has the root {root!r} now, and had {self._placed!r} before; "
                f"TF gets {self.config.frames.map} -> {root} from here on"
            )
        self._placed = root

    def _refuse_second_parent(self, camera: str) -> None:
        chain = self._tree.ancestors(camera)
        self._say(
            f"frame {camera!r} on TF: got a way to {chain[-1]!r} from somebody else "
            f"({' <- '.join(reversed(chain))}), expected this node to be the only one; stop the "
            "other publisher, or set publish.tf to false"
        )

    def _say(self, sentence: str) -> None:
        """Tell of a problem once for each shape of the tree."""
        if self._said != (self._tree.changes, sentence):
            self._said = (self._tree.changes, sentence)
            self._on_problem(KIND, sentence)
