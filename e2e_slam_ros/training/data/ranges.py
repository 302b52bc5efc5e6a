"""Settings that are the two ends of a range."""

from __future__ import annotations

from e2e_slam_ros.config.errors import TrainingError


def check_ranges(section: str, config: object, *ranges: tuple[str, str]) -> None:
    """Refuse a smallest value above its largest.

    Args:
        section: where the settings are, e.g. "clips".
        ranges: names of the smallest and the largest value.

    Raises:
        TrainingError: a range is empty.
    """
    for low_name, high_name in ranges:
        low, high = getattr(config, low_name), getattr(config, high_name)
        if low > high:
            raise TrainingError.from_parts(
                f"{section}.{low_name}", low, f"at most {high_name}, {high:g}", "swap the two"
            )
