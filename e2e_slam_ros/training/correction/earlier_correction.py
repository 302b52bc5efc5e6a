"""A learned correction of an earlier run, read once in a process."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.refine.learned_correction.learned_correction import LearnedCorrection
from e2e_slam_ros.refine.learned_correction.weights_file import load_correction


def earlier_correction(path: str) -> LearnedCorrection:
    """Return the correction with weights from a file.

    Raises:
        DepthError: the file is missing, damaged, or holds other weights.
    """
    return _loaded(path, weights_digest(path))


def weights_digest(path: str) -> str:
    """Return the SHA-256 of a file of weights in hexadecimal digits; "" for no path.

    Raises:
        DepthError: the file cannot be read.

    >>> weights_digest("")
    ''
    """
    if not path:
        return ""
    file = Path(path).expanduser()
    try:
        return _digest(file, file.stat().st_mtime_ns)
    except OSError as problem:
        raise DepthError.from_parts(
            f"weights {file}",
            problem.strerror or problem,
            "weights of the learned correction (.safetensors)",
            "correct the path",
        ) from problem


@lru_cache(maxsize=2)
def _digest(path: Path, stamp: int) -> str:
    del stamp
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=2)
def _loaded(path: str, digest: str) -> LearnedCorrection:
    del digest
    return LearnedCorrection(load_correction(path))
