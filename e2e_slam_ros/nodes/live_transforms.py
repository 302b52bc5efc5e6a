"""The transforms that others publish: look-up between frames, and the shape of their tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tf2_ros
from rclpy.node import Node
from rclpy.time import Time as RclpyTime
from tf2_msgs.msg import TFMessage

from e2e_slam_ros.nodes.pose_messages import transform_to_matrix
from e2e_slam_ros.nodes.qos import latched_small, moving_transforms
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.nodes.whole_queue import subscribe_whole_queue

Matrix = npt.NDArray[np.float64]
Edge = tuple[str, str]


def live_transforms(node: Node) -> LiveTransforms:
    """Return the node's tree; all its users share one, because TF may come at a high rate."""
    tree: LiveTransforms | None = getattr(node, "live_transforms", None)
    if tree is None:
        tree = node.live_transforms = LiveTransforms(node)
    return tree


class LiveTransforms:
    """Listens to TF (executor thread). Transforms named in `ours` are left out.

    Attributes:
        ours: (parent, child) of what this node publishes itself.
        parents: child -> its newest parent.
        changes: grows when a frame gets another parent.
    """

    def __init__(self, node: Node) -> None:
        self.ours: set[Edge] = set()
        self.parents: dict[str, str] = {}
        self.changes = 0
        self._newest_ns: dict[str, int] = {}
        self._buffer = tf2_ros.Buffer()
        self._subscriptions = [
            subscribe_whole_queue(node, TFMessage, "/tf", self._on_moving, moving_transforms()),
            subscribe_whole_queue(node, TFMessage, "/tf_static", self._on_fixed, latched_small()),
        ]

    def _on_moving(self, msg: TFMessage) -> None:
        for transform in msg.transforms:
            if self._is_new(transform):
                self._buffer.set_transform(transform, "")
                child = transform.child_frame_id.lstrip("/")
                self._newest_ns[child] = stamp_to_ns(transform.header.stamp)

    def _on_fixed(self, msg: TFMessage) -> None:
        for transform in msg.transforms:
            if self._is_new(transform):
                self._buffer.set_transform_static(transform, "")

    def _is_new(self, transform: Any) -> bool:
        """Record the parent; return whether the transform is somebody else's."""
        parent = transform.header.frame_id.lstrip("/")
        child = transform.child_frame_id.lstrip("/")
        if (parent, child) in self.ours:
            return False
        if self.parents.get(child) != parent:
            self.parents[child] = parent
            self.changes += 1
        return True

    def matrix(self, target: str, source: str, stamp_ns: int) -> Matrix | None:
        """Return ``T_target_source`` at a stamp, or None. Stamp 0 means the latest."""
        time = RclpyTime(nanoseconds=stamp_ns)
        try:
            msg: Any = self._buffer.lookup_transform(target, source, time)
        except tf2_ros.TransformException:
            return None
        return transform_to_matrix(msg.transform)

    def ancestors(self, frame: str) -> list[str]:
        """Return a frame, its parent, and so on up to the root."""
        chain = [frame]
        while (parent := self.parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def newest_below(self, parent: str) -> int | None:
        """Return the newest stamp (ns) of a moving child of a frame; None: there is none."""
        stamps = [ns for child, ns in self._newest_ns.items() if self.parents[child] == parent]
        return max(stamps, default=None)

    def clear(self) -> None:
        """Forget the moving transforms; who is whose parent stays."""
        self._buffer.clear()
