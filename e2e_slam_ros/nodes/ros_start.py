"""The start of ROS in a process, with a reason where that is impossible."""

from __future__ import annotations

import os
from collections.abc import Sequence

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

from e2e_slam_ros.config.errors import E2ESlamError


def start_ros(args: Sequence[str] | None, context: Context | None = None) -> None:
    """Initialise rclpy without its signal handlers.

    rclpy's own signal handlers invalidate the context at once, while threads still use it.

    Args:
        args: as of `rclpy.init`; None: those of the process.
        context: to be initialised; None: the process's own.

    Raises:
        E2ESlamError: arguments, security files or a domain that ROS refuses.
    """
    try:
        rclpy.init(args=args, context=context, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy's classes for this differ between distributions.
        raise not_started(error) from error


def not_started(error: Exception) -> E2ESlamError:
    """Return why ROS could not start, from rclpy's exception."""
    text = str(error).replace("failed to initialize rcl: ", "").replace("\n", " ")
    # Where rcl looked in its own source helps nobody.
    text = text.partition(", at /")[0].rstrip(".")
    if os.environ.get("ROS_SECURITY_ENABLE", "").lower() == "true":
        keystore = os.environ.get("ROS_SECURITY_KEYSTORE", "")
        got = text if text != "error not set" else f"no keystore ({keystore or 'none is named'})"
        return E2ESlamError.from_parts(
            "ROS security",
            got,
            "a keystore with an enclave for this node",
            "set ROS_SECURITY_KEYSTORE and --ros-args --enclave, or set ROS_SECURITY_ENABLE=false",
        )
    return E2ESlamError.from_parts(
        "start of ROS",
        text or type(error).__name__,
        "arguments and an environment that ROS takes",
        "check the words behind --ros-args, ROS_DOMAIN_ID and RMW_IMPLEMENTATION",
    )
