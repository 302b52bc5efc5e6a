"""The map as messages and as a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.mapping.map_checkpoint import MapCheckpoint, read_checkpoint
from e2e_slam_ros.mapping.map_files import CHECKPOINT, check_suffix, save
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.cloud_messages import cloud_message
from e2e_slam_ros.nodes.qos import latched, reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from e2e_slam_ros.slam.loaded_map import read_loaded, restore
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.worker import KeyframeWorker

_CHECK_PERIOD_S = 0.1


class MapOutput:
    """Publishes ``map`` and ``map/active``.

    The map topic is latched and thinned. A message goes out when the map has changed and the topic
    has a subscriber. A thread of its own takes the snapshot of the map. It may wait until the
    fusion of a keyframe ends, and the executor must not wait for that.

    Args:
        config: ``publish.*`` and frame names; may be replaced while running.
        lock: held by every reader and writer of ``surfels``.
        on_problem: called with (kind, error) from any thread.
        pipeline: its learned state and its tracker's keyframes are saved and loaded with the
            map; or None.
        on_loaded: called when another map is there, with the lock held.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        surfels: SurfelMap,
        lock: threading.Lock,
        on_problem: Callable[[str, Exception | str], None],
        pipeline: SlamPipeline | None = None,
        on_loaded: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_loaded = on_loaded
        self.config = config
        self._surfels = surfels
        self._lock = lock
        self._on_problem = on_problem
        self._pipeline = pipeline
        self._map = node.create_publisher(PointCloud2, "map", latched())
        self._active = node.create_publisher(PointCloud2, "map/active", reliable(1))
        self._changes = self._published = 0
        self._stamp_ns = 0
        self._last_s = -1e9
        self._worker: KeyframeWorker[int] = KeyframeWorker(
            self._publish_map, False, lambda _, error: on_problem("publish", error)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_CHECK_PERIOD_S, self.check, clock=steady)

    def changed(self, stamp_ns: int) -> None:
        """Record that the keyframe with that stamp changed the map."""
        self._stamp_ns = stamp_ns
        self._changes += 1

    def publish_active(self, keyframe: Keyframe) -> None:
        """Publish the part of the map in a keyframe's view. The caller must hold the lock."""
        if self._active.get_subscription_count() == 0:
            return
        index = self._surfels.active(keyframe.camera, keyframe.T_map_camera)
        limits = self.config.publish
        cloud = self._surfels.snapshot(limits.max_points, limits.min_confidence, index)
        self._active.publish(self._message(cloud, keyframe.stamp_ns))

    def save(self) -> Path:
        """Write the map and a checkpoint into ``runtime.output``. Return the map's path.

        Raises:
            MapError: the map is empty, or a file cannot be written.
        """
        runtime = self.config.runtime
        target = self._folder / runtime.map_file
        check_suffix(target)
        content = self._content()
        path = self._write(target, content)
        if path.suffix != CHECKPOINT:
            self._write(path.with_suffix(CHECKPOINT), content)
        return path

    def save_checkpoint(self, path: Path) -> Path:
        """Write the checkpoint alone; return its path. Errors are those of `save`."""
        return self._write(path, self._content())

    def _write(self, path: Path, content: MapCheckpoint) -> Path:
        return save(
            path,
            content.surfels,
            content.fusions,
            outlier_sigma=self.config.map.outlier_sigma,
            learned=content.learned,
            tracking=content.tracking,
        )

    def _content(self) -> MapCheckpoint:
        """Return what goes into a file."""
        with self._lock:
            surfels, fusions = self._surfels.surfels, self._surfels.keyframes
            if self._pipeline is None:
                return MapCheckpoint(surfels, fusions)
            learned = self._pipeline.state_dict()
        # Encoding images takes long. The tracker has a lock of its own, held for milliseconds.
        tracking = self._pipeline.tracking
        kept = {} if tracking is None else tracking.state_dict()
        return MapCheckpoint(surfels, fusions, learned, kept)

    def load(self, path: Path | None = None) -> Path:
        """Replace the map by a checkpoint. Return the checkpoint's path.

        The learned state of the refinement and the tracker's keyframes are loaded with the map.
        After an error, all is unchanged.

        Args:
            path: the checkpoint; None: the one that `save` writes into ``runtime.output``.

        Raises:
            MapError: there is no checkpoint, or it cannot be used.
            DepthError: the adapted weights of the checkpoint do not fit the network.
        """
        source = path or (self._folder / self.config.runtime.map_file).with_suffix(CHECKPOINT)
        # Mapping goes on while the file is read and checked.
        if self._pipeline is None:
            target = self._surfels
            checkpoint = read_checkpoint(source, target.config.max_surfels, target.device)
            with self._lock:
                target.restore(checkpoint.surfels, checkpoint.fusions)
                self._on_loaded()
        else:
            loaded = read_loaded(source, self._pipeline)
            with self._lock:
                notice = restore(self._pipeline, loaded)
                self._on_loaded()
            if notice:
                self._on_problem("load", notice)
        self.changed(self._stamp_ns)
        return source

    @property
    def _folder(self) -> Path:
        return Path(self.config.runtime.output or ".").expanduser().absolute()

    def close(self) -> None:
        """End the thread."""
        self._worker.stop()

    def check(self) -> None:
        """Start publishing the map if it is due.

        It runs in the executor thread and takes microseconds.
        """
        due = time.monotonic() - self._last_s >= self.config.publish.period_s
        idle = self._worker.pending == 0
        if due and idle and self._changes != self._published:
            if self._map.get_subscription_count() > 0:
                self._worker.submit(self._changes)

    def _publish_map(self, changes: int) -> None:
        limits = self.config.publish
        with self._lock:
            cloud = self._surfels.snapshot(limits.max_points, limits.min_confidence)
            stamp_ns = self._stamp_ns
        self._last_s = time.monotonic()
        self._map.publish(self._message(cloud, stamp_ns))
        self._published = changes

    def _message(self, cloud: SurfelCloud, stamp_ns: int) -> PointCloud2:
        frame = self.config.frames.map
        return cloud_message(cloud.positions, cloud.colors, ns_to_stamp(stamp_ns), frame)
