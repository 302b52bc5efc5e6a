"""package.xml, setup.py and the requirements say the same as the code."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import setuptools

import e2e_slam_ros

REPO = Path(__file__).resolve().parents[2]
NODES = {"dataset_player", "bag_player", "slam_node", "keyframe_node", "depth_node", "mapper_node"}

# Where the rosdep key or the pip name is not the module's.
ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "open3d": "python3-open3d-pip",
    "rosbags": "python3-rosbags-pip",
    "torch": "python3-pytorch-pip",
    "yaml": "python3-yaml",
}
PIP_NAMES = {"PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml"}
# No rosdep key exists; package.xml says so in a comment.
NO_ROSDEP_KEY = {"safetensors"}
# Imported when asked for; the error says what to install.
OPTIONAL = {"av", "onnxruntime", "rerun", "transformers", "viser"}
# `make` installs it by itself: which build is right depends on the machine.
OWN_STEP = {"torch", "open3d"}


def imports_of(*folders: str) -> set[str]:
    """Top-level names of every module imported under the folders, standard library left out."""
    names: set[str] = set()
    for path in (path for folder in folders for path in (REPO / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"e2e_slam_ros"}


@pytest.fixture(scope="module")
def package() -> ElementTree.Element:
    return ElementTree.parse(REPO / "package.xml").getroot()


@pytest.fixture(scope="module")
def dependencies(package) -> list[str]:
    return [e.text for e in package if e.tag.endswith("depend") and e.text]


@pytest.fixture
def setup_arguments(monkeypatch) -> dict[str, object]:
    """What setup.py hands to setuptools."""
    arguments: dict[str, object] = {}
    monkeypatch.setattr(setuptools, "setup", arguments.update)
    monkeypatch.chdir(REPO)
    runpy.run_path("setup.py")
    return arguments


def pip_requirements() -> set[str]:
    lines = (REPO / "requirements.txt").read_text().splitlines()
    return {re.split(r"[<>=;\[ ]", line)[0] for line in lines if line and line[0] != "#"}


def test_package_xml_is_valid():
    catkin_pkg = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed")
    parsed = catkin_pkg.parse_package(str(REPO / "package.xml"))
    assert parsed.package_format == 3
    assert parsed.get_build_type() == "ament_python"
    assert (REPO / parsed.licenses[0].file).is_file()


def test_one_version(package, setup_arguments):
    version = package.findtext("version")
    assert version == setup_arguments["version"] == e2e_slam_ros.__version__
    assert package.findtext("name") == setup_arguments["name"] == "e2e_slam_ros"


def test_package_xml_names_every_import(dependencies):
    assert len(dependencies) == len(set(dependencies))
    used = imports_of("e2e_slam_ros", "launch") - NO_ROSDEP_KEY - OPTIONAL
    keys = {ROSDEP_KEYS.get(name, name) for name in used}
    python_keys = {key for key in dependencies if key.startswith("python3-")}
    missing = {
        key for key in keys if key not in dependencies and f"python3-{key}" not in python_keys
    }
    assert not missing


def test_requirements_name_every_import_that_is_not_ros(dependencies):
    ros = {key for key in dependencies if not key.startswith("python3-")}
    used = imports_of("e2e_slam_ros") - ros - OWN_STEP - OPTIONAL
    assert {PIP_NAMES.get(name, name) for name in used} <= pip_requirements()


def test_every_dependency_is_explained(dependencies):
    text = (REPO / "docs" / "dependencies.md").read_text()
    names = [*dependencies, *pip_requirements()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_viewer_video_and_networks_are_extras(setup_arguments):
    wanted = {}
    for name in ("viewer", "video", "networks"):
        lines = (REPO / f"requirements-{name}.txt").read_text().splitlines()
        wanted[name] = [line for line in lines if line and line[0] != "#"]
    assert setup_arguments["extras_require"] == wanted


def test_entry_points_import(setup_arguments):
    scripts = dict(
        re.split(r"\s*=\s*", line, maxsplit=1)
        for line in setup_arguments["entry_points"]["console_scripts"]
    )
    assert set(scripts) == NODES | {"e2e-slam"}
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_share_holds_launch_config_and_rviz(setup_arguments):
    installed = {file for _, files in setup_arguments["data_files"] for file in files}
    for pattern in ("launch/*.py", "config/*.yaml", "rviz/*.rviz", "package.xml", "resource/*"):
        files = {str(path.relative_to(REPO)) for path in REPO.glob(pattern)}
        assert files, f"nothing matches {pattern}"
        assert files <= installed


def test_every_folder_of_code_is_a_package(setup_arguments):
    code = {path.parent for path in (REPO / "e2e_slam_ros").rglob("*.py")}
    names = {".".join(path.relative_to(REPO).parts) for path in code}
    assert names == set(setup_arguments["packages"])


def test_weights_are_installed_as_files(setup_arguments):
    assert setup_arguments["zip_safe"] is False
    (patterns,) = setup_arguments["package_data"].values()
    package = REPO / "e2e_slam_ros"
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    assert installed >= set(package.glob("**/weights/*"))
    assert "depth/weights/*" in patterns
