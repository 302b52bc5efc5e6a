"""Bundle the report's interactive map with three.js into one file of the package.

Needs node, npm and their registry; the bundle is committed, so nobody else does. The first line
of the bundle holds the hash of its sources: a test compares it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
SOURCE = REPO / "tools" / "map_view"
FILES = ("map_view.js", "package.json", "package-lock.json")
TARGET = REPO / "e2e_slam_ros" / "evaluation" / "run" / "map_view.min.js"
LICENCE = TARGET.with_name("map_view.LICENSE")


def source_hash() -> str:
    """Return the hash of everything that the bundle is made of."""
    sha = hashlib.sha256()
    for name in FILES:
        sha.update((SOURCE / name).read_bytes())
    return sha.hexdigest()


def build() -> None:
    """Write the bundle and the licence of three.js beside it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            shutil.copy(SOURCE / file, folder)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)
        esbuild = folder / "node_modules" / ".bin" / "esbuild"
        options = ["--bundle", "--minify", "--format=iife", "--legal-comments=inline"]
        bundle = subprocess.run(
            [str(esbuild), "map_view.js", *options],
            cwd=folder,
            check=True,
            capture_output=True,
            encoding="utf-8",
        ).stdout
        TARGET.write_text(f"// sources: {source_hash()}\n{bundle}", encoding="utf-8")
        shutil.copy(folder / "node_modules" / "three" / "LICENSE", LICENCE)


if __name__ == "__main__":
    try:
        build()
    except FileNotFoundError as error:
        sys.exit(f"{error.filename}: not found; install node and npm to bundle the map view")
