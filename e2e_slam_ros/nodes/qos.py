"""The QoS profiles of the topic tables, in one place."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

from e2e_slam_ros.config import RuntimeConfig

# A third of a second at 30 Hz bridges a busy machine; more would be stale.
_IMAGE_DEPTH = 10
# Small messages (poses, camera_info) may wait for their image.
_SMALL_DEPTH = 100


def _profile(depth: int, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def wants_reliable(config: RuntimeConfig) -> bool:
    """Return whether the image topics are subscribed reliably (``runtime.reliability``)."""
    if config.reliability == "auto":
        return config.offline
    return config.reliability == "reliable"


def image_subscription(config: RuntimeConfig) -> QoSProfile:
    """Sensor data: best effort fits every publisher; reliable where no frame may be lost."""
    return _profile(_IMAGE_DEPTH, wants_reliable(config))


def small_subscription(config: RuntimeConfig) -> QoSProfile:
    """The same reliability as the images, with room for messages that wait for theirs."""
    return _profile(_SMALL_DEPTH, wants_reliable(config))


def image_publisher() -> QoSProfile:
    """Reliable, so that every subscriber matches."""
    return _profile(_IMAGE_DEPTH, reliable=True)


def reliable(depth: int = 10) -> QoSProfile:
    """Reliable and volatile: keyframes, odometry, path, diagnostics, `processed`."""
    return _profile(depth, reliable=True)


def latched() -> QoSProfile:
    """Reliable and transient local, the last message only: the map."""
    return _profile(1, reliable=True, latched=True)
