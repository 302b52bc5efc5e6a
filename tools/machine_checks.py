"""Checks for everything that pip cannot install. Each message names the command that helps."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from run_logged import StepFailed, clean_environment

OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 13)
OLDEST_CMAKE = (3, 16)

# Shared libraries that wheels expect from the system, and the Debian/Ubuntu package of each.
DEBIAN_PACKAGES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libOpenGL.so.0": "libopengl0",
    "libGLX.so.0": "libglx0",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libgomp.so.1": "libgomp1",
    "libatomic.so.1": "libatomic1",
    "libudev.so.1": "libudev1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "libtinyxml2.so.9": "libtinyxml2-9",
    "libsqlite3.so.0": "libsqlite3-0",
    "libstdc++.so.6": "libstdc++6",
}

REQUIRED_IMPORTS = (
    "numpy, scipy, PIL, yaml, matplotlib, torch, rosbags, rich, tqdm, safetensors",
    "rclpy, sensor_msgs.msg, geometry_msgs.msg, nav_msgs.msg, std_msgs.msg, std_srvs.srv",
    "diagnostic_msgs.msg, rosgraph_msgs.msg, tf2_msgs.msg",
    "tf2_ros, sensor_msgs_py.point_cloud2, tf_transformations, message_filters",
    "e2e_slam_ros",
)

# This code loads the C type support and the DDS implementation, not only Python modules.
ROS_CHECK = """
import os
os.environ.setdefault("ROS_DOMAIN_ID", "101")
import rclpy
from tf2_msgs.msg import TFMessage
rclpy.init()
node = rclpy.create_node("make_venv_check")
node.create_publisher(TFMessage, "make_venv_check", 1).publish(TFMessage())
node.destroy_node()
rclpy.shutdown()
"""


def check_python() -> None:
    """Stop if there are no ROS or torch wheels for this version of Python."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        sys.exit(
            f"got: Python {sys.version.split()[0]} ({sys.executable})\n"
            "expected: Python 3.10, 3.11, 3.12 or 3.13\n"
            "do: make PYTHON=/path/to/python3.12 venv"
        )


def cmake_version() -> tuple[int, int] | None:
    """Return the version of the system's CMake, or None."""
    if shutil.which("cmake") is None:
        return None
    text = subprocess.run(["cmake", "--version"], capture_output=True, text=True).stdout
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def cmake_requirement() -> list[str]:
    """Return a requirement for CMake from PyPI if the system has none or an old one."""
    version = cmake_version()
    return [] if version is not None and version >= OLDEST_CMAKE else ["cmake>=3.16,<4"]


def check_build_tools(need_compiler: bool) -> None:
    """Check for a C++ compiler and make, because tf2_msgs is compiled."""
    if not need_compiler:
        return
    missing = [name for name in ("c++", "cc", "make") if shutil.which(name) is None]
    if missing:
        raise StepFailed(
            f"got: no {' and no '.join(missing)} on PATH\n"
            "  expected: a C and C++ compiler and make (tf2_msgs is generated and compiled)\n"
            "  do: sudo apt-get install build-essential"
        )


def check_imports(python: Path) -> None:
    """Import the package's dependencies as a user's process would. Name the missing ones."""
    for modules in REQUIRED_IMPORTS:
        _check(python, f"import {modules}")
    _check(python, ROS_CHECK)


def _check(python: Path, code: str) -> None:
    error = _error_of(python, code)
    if error:
        raise StepFailed(f"{code.strip().splitlines()[0]}\n{advice(error, [])}")


def check_open3d(python: Path) -> None:
    """Warn if Open3D cannot be imported. Only meshes and viewers need it."""
    error = _error_of(python, "import open3d")
    if not error:
        return
    folder = python.parent.parent / "lib"
    libraries = [p for p in folder.glob("python*/site-packages/open3d/**/*.so*") if p.is_file()]
    line = "*" * 78
    print(
        f"{line}\nWARNING: Open3D cannot be imported (meshes and viewers need it; the rest works)"
    )
    print(f"{advice(error, libraries)}\n{line}", flush=True)


def advice(error: str, libraries: list[Path]) -> str:
    """Return advice for an import error: `apt-get install` if a system library is missing."""
    missing = re.findall(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object", error)
    for library in libraries:
        output = subprocess.run(["ldd", str(library)], capture_output=True, text=True).stdout
        missing += re.findall(r"(lib[\w.+-]+\.so[\w.]*) => not found", output)
    packages = sorted({DEBIAN_PACKAGES[name] for name in missing if name in DEBIAN_PACKAGES})
    lines = [f"  got: {error}"]
    if packages:
        lines.append(f"  expected: the system packages {', '.join(packages)}")
        lines.append(f"  do: sudo apt-get install {' '.join(packages)}")
    elif missing:
        lines.append(f"  do: install the system package that holds {missing[0]}")
    return "\n".join(lines)


def _error_of(python: Path, code: str) -> str:
    """Return the last line of the error of `code`, or an empty text."""
    done = subprocess.run(
        [str(python), "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        env=clean_environment(),
    )
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"
