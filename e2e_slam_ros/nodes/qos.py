"""QoS profiles of all topics."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from e2e_slam_ros.config import RuntimeConfig

# A third of a second at 30 Hz bridges a busy moment. Older images would be out of date.
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
    """QoS of an image subscription.

    Best effort matches every publisher. Reliable is used where no frame may be lost.
    """
    return _profile(_IMAGE_DEPTH, wants_reliable(config))


def small_subscription(config: RuntimeConfig) -> QoSProfile:
    """QoS of a small topic: the reliability of the images, and a longer queue.

    Small messages may have to wait for their image.
    """
    return _profile(_SMALL_DEPTH, wants_reliable(config))


def image_publisher() -> QoSProfile:
    """QoS of an image publisher: reliable, so that every subscriber matches."""
    return _profile(_IMAGE_DEPTH, reliable=True)


def reliable(depth: int = 10) -> QoSProfile:
    """QoS of keyframes, odometry, path, diagnostics and `processed`: reliable and volatile."""
    return _profile(depth, reliable=True)


def latched(depth: int = 1) -> QoSProfile:
    """QoS of the map: reliable and transient local, only the last message."""
    return _profile(depth, reliable=True, latched=True)


def latched_small() -> QoSProfile:
    """QoS of a subscription that also receives messages sent before it was made."""
    return _profile(_SMALL_DEPTH, reliable=True, latched=True)


def moving_transforms() -> QoSProfile:
    """QoS of a subscription to ``/tf``, as tf2 has it."""
    return _profile(_SMALL_DEPTH, reliable=True)
