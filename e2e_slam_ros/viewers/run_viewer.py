"""The base of viewers."""

from __future__ import annotations

from e2e_slam_ros.slam.observer import RunObserver, TakeSnapshot


class RunViewer(RunObserver):
    """Shows a run to a person while it goes on.

    Example:
        >>> RunViewer().close()
    """

    def show_end(self, text: str, take_snapshot: TakeSnapshot) -> None:
        """Show the final map, and how the run ended."""

    def close(self) -> None:
        """End the view."""
