"""Build the archive of furniture that training rooms are filled with.

    apt-get download sweethome3d-furniture && dpkg -x sweethome3d-furniture_*.deb furniture
    python tools/build_furniture.py furniture/usr/share/sweethome3d/furniture/*.sh3f

It takes models under CC0 and CC BY alone, and writes their authors to furniture.authors.txt.
Needs Open3D (requirements-mesh.txt).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.atomic import write_bytes_atomic
from e2e_slam_ros.simulation.furniture_conversion import authors_text, convert_catalogue
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary, FurnitureModel


def main(arguments: list[str] | None = None) -> int:
    """Convert the catalogues and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("catalogues", nargs="+", type=Path, help=".sh3f files")
    parser.add_argument("-o", "--output", type=Path, default=Path("furniture.npz"))
    parser.add_argument("--triangles", type=int, default=600, help="about the most of a model")
    options = parser.parse_args(arguments)
    models: list[FurnitureModel] = []
    for path in options.catalogues:
        try:
            for result in convert_catalogue(path, options.triangles):
                if isinstance(result, FurnitureModel):
                    models.append(result)
                else:
                    print(f"left out: {result}", file=sys.stderr)
        except DataError as problem:
            print(f"left out: {problem}", file=sys.stderr)
    if not models:
        print("no model is left", file=sys.stderr)
        return 1
    library = FurnitureLibrary.of(models)
    library.save(options.output)
    authors = options.output.with_suffix(".authors.txt")
    write_bytes_atomic(authors, authors_text(library.credits()).encode())
    kinds = Counter(model.kind for model in models)
    print(f"{len(models)} models in {options.output}, authors in {authors}")
    print(", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
