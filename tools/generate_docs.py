"""Write the pages and files that are generated from the code. `make docs` runs this script."""

from __future__ import annotations

from pathlib import Path

from e2e_slam_ros.commands.parameters import markdown_table
from e2e_slam_ros.config import Config

REPO = Path(__file__).resolve().parent.parent

PARAMETERS = """# Parameters

Generated from `e2e_slam_ros/config/` by `make docs`. The dotted name is the ROS parameter, the
place in the YAML file (`config/slam.yaml`) and the key of `e2e-slam replay --set key=value`.
A live parameter may change while a node runs (`ros2 param set`); all others are fixed at start.

"""


def main() -> None:
    """Write docs/parameters.md. In config/slam.yaml, replace all but the leading comment."""
    (REPO / "docs" / "parameters.md").write_text(PARAMETERS + markdown_table())
    target = REPO / "config" / "slam.yaml"
    header = target.read_text().partition("/**:")[0]
    target.write_text(header + Config().to_yaml(documented=True))


if __name__ == "__main__":
    main()
