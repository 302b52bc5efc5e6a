"""Write the pages and files that are generated from the code. `make docs` runs this script."""

from __future__ import annotations

import runpy
from pathlib import Path

from e2e_slam_ros.commands.parameters import markdown_table
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.input import InputOptions, flag
from e2e_slam_ros.config.leaf import leaves
from e2e_slam_ros.data.layouts import LAYOUTS

REPO = Path(__file__).resolve().parent.parent

PARAMETERS = """# Parameters

Generated from `e2e_slam_ros/config/` by `make docs`. The dotted name is the ROS parameter, the
place in the YAML file (`config/slam.yaml`) and the key of `e2e-slam replay --set key=value`.
A live parameter may change while a node runs (`ros2 param set`); all others are fixed at start.

"""


def options_table() -> str:
    """Return the options that name the parts of an input."""
    lines = ["| option | default | what |", "|---|---|---|"]
    for info in leaves(InputOptions()):
        default = f"`{info.default}`" if info.default != "" else ""
        lines.append(f"| `{flag(info.name)}` | {default} | {info.doc.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def layouts_table() -> str:
    """Return the layouts of recordings that are read."""
    lines = ["| `--dataset` | files |", "|---|---|"]
    for layout in LAYOUTS:
        what = layout.what.replace("*", "\\*")
        lines.append(f"| `{layout.name}` | {what} |")
    return "\n".join(lines) + "\n"


def inputs_page(text: str) -> str:
    """Return docs/inputs.md with its generated tables written again."""
    table = runpy.run_path(str(REPO / "test" / "inputs_table.py"))["markdown"]()
    tables = {"layouts": layouts_table(), "options": options_table(), "table": table}
    for name, content in tables.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}{opening}{content}{closing}{after}"
    return text


def main() -> None:
    """Write the generated pages. In config/slam.yaml, replace all but the leading comment."""
    page = REPO / "docs" / "inputs.md"
    page.write_text(inputs_page(page.read_text()))
    (REPO / "docs" / "parameters.md").write_text(PARAMETERS + markdown_table())
    target = REPO / "config" / "slam.yaml"
    header = target.read_text().partition("/**:")[0]
    target.write_text(header + Config().to_yaml(documented=True))


if __name__ == "__main__":
    main()
