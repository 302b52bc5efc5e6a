"""Generate and compile a ROS 2 message package with the generators of the wheels.

The package is installed into the venv itself. Every process already searches the venv's `lib/`
and `site-packages`, so `import tf2_msgs.msg` needs no environment variable.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from run_logged import StepFailed, clean_environment, run_logged

INCLUDE = re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+")
NUMPY = re.compile(r"/opt/python/[^;\"]+?/numpy/_?core/include")
PATHS = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"


def patch_exports(prefix: Path) -> int:
    """Point the wheels' CMake exports at this machine's Python and NumPy headers.

    The exports name folders of the machine that built the wheels. Returns the number of changed
    files.
    """
    output = subprocess.check_output([prefix / "bin" / "python", "-c", PATHS], text=True)
    include, numpy_include = output.split("\n")[:2]
    if not (Path(include) / "Python.h").exists():
        raise StepFailed(
            f"got: no Python.h in {include}\n  expected: Python's headers (tf2_msgs is compiled)\n"
            "  do: sudo apt-get install python3-dev"
        )
    changed = 0
    for export in prefix.glob("share/*/cmake/*Export.cmake"):
        text = export.read_text()
        new = INCLUDE.sub(include, NUMPY.sub(numpy_include, text))
        if new != text:
            export.write_text(new)
            changed += 1
    return changed


def generate_messages(source: Path, prefix: Path, log: Path) -> None:
    """Build the interface package in `source` and install it into the venv `prefix`."""
    patch_exports(prefix)
    python = prefix / "bin" / "python"
    environment = {
        "PATH": f"{prefix / 'bin'}{os.pathsep}{clean_environment().get('PATH', '')}",
        "AMENT_PREFIX_PATH": str(prefix),
        "CMAKE_PREFIX_PATH": str(prefix),
        "PYTHONPATH": "",
    }
    build = Path(tempfile.mkdtemp(prefix="e2e_slam_messages_"))
    try:
        configure = [
            *("cmake", "-S", str(source), "-B", str(build), f"-DCMAKE_INSTALL_PREFIX={prefix}"),
            *(f"-DPython3_EXECUTABLE={python}", "-DBUILD_TESTING=OFF"),
            "-DCMAKE_BUILD_TYPE=Release",
        ]
        run_logged(configure, log, environment)
        jobs = str(os.cpu_count() or 1)
        run_logged(["cmake", "--build", str(build), "--parallel", jobs], log, environment)
        run_logged(["cmake", "--install", str(build)], log, environment)
    finally:
        shutil.rmtree(build, ignore_errors=True)
