"""The import contracts of pyproject.toml cover the whole package, and they can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest.importorskip("importlinter", reason="import-linter is not installed")

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "e2e_slam_ros"
CONTRACTS: list[dict[str, Any]] = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]
# Of package.xml: programs, which nothing imports.
PROGRAMS = {"ros2bag", "ros2launch", "rviz2"}


def contract(name: str) -> dict[str, Any]:
    (found,) = [one for one in CONTRACTS if one["name"].startswith(name)]
    return found


def layers() -> set[str]:
    names = [re.sub(r"[()]", "", line) for line in contract("A module imports only")["layers"]]
    return {name.strip() for line in names for name in line.split("|")}


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A package of empty layers with the contracts of this one, and the imports they ignore."""
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    root = tmp_path / "e2e_slam_ros"
    for layer in sorted(layers()):
        write(root / layer / "thing.py", "")
    for ignored in {line for one in CONTRACTS for line in one.get("ignore_imports", [])}:
        importer, imported = ignored.split(" -> ")
        for module, text in ((imported, ""), (importer, f"import {imported}\n")):
            write(tmp_path / (module.replace(".", "/") + ".py"), text)
    return root


def write(file: Path, text: str) -> None:
    """Write a module, and make packages of its folder and the folder above."""
    for package in (file.parent.parent, file.parent):
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
    file.write_text(text)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_package_is_a_layer() -> None:
    packages = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert packages | {"cli"} <= layers()


def test_every_package_but_nodes_is_forbidden_ros() -> None:
    packages = {f"e2e_slam_ros.{file.parent.name}" for file in PACKAGE.glob("*/__init__.py")}
    core, commands = contract("Only nodes"), contract("Commands know")
    covered = {*core["source_modules"], *commands["source_modules"]}
    assert packages - {"e2e_slam_ros.nodes"} <= covered
    assert core["forbidden_modules"] == commands["forbidden_modules"]


def test_every_ros_package_is_named() -> None:
    root = ElementTree.parse(REPO / "package.xml").getroot()
    needed = {e.text or "" for e in root if e.tag == "exec_depend"}
    ros = {name for name in needed if not name.startswith("python3-")} - PROGRAMS
    assert ros <= set(contract("Only nodes")["forbidden_modules"])


def test_an_allowed_import_passes(skeleton: Path) -> None:
    write(skeleton / "slam" / "thing.py", "import e2e_slam_ros.depth.thing\n")
    write(skeleton / "nodes" / "thing.py", "import rclpy\n")
    write(skeleton / "commands" / "thing.py", "import e2e_slam_ros.nodes.thing\n")
    done = lint(skeleton.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("depth", "e2e_slam_ros.slam.thing"),
        ("geometry", "e2e_slam_ros.data.thing"),
        ("training", "e2e_slam_ros.viewers.thing"),
        ("slam", "sensor_msgs.msg"),
        ("commands", "rclpy"),
    ],
)
def test_a_forbidden_import_is_named(skeleton: Path, importer: str, imported: str) -> None:
    write(skeleton / importer / "thing.py", f"import {imported}\n")
    done = lint(skeleton.parent)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"e2e_slam_ros.{importer}.thing -> {imported.removesuffix('.msg')}" in done.stdout


def test_a_package_without_a_layer_is_named(skeleton: Path) -> None:
    write(skeleton / "unplaced" / "thing.py", "")
    done = lint(skeleton.parent)
    assert done.returncode == 1
    assert "unplaced" in done.stdout
