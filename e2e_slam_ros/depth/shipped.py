"""Weights that are part of the package."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.checkpoint import load_weights

if TYPE_CHECKING:  # elsewhere in Python 3.10
    from importlib.resources.abc import Traversable

SHIPPED = ("efficientnet_lite2", "efficientnet_lite0")
_SUMS = "SHA256SUMS"


def weights_folder() -> Traversable:
    """Return the package's folder of weights."""
    return resources.files("e2e_slam_ros.depth") / "weights"


def load_shipped(architecture: str, device: torch.device | str = "cpu") -> DepthNetwork:
    """Return the network with the package's weights; see `load_weights`.

    Raises:
        DepthError: the package has no weights of this architecture, or the installed file is
            missing or differs from the shipped file.
    """
    if architecture not in SHIPPED:
        raise DepthError.from_parts(
            "depth.network.checkpoint",
            "no weights",
            f"the path of {architecture} weights (.safetensors or .pth.tar)",
            "run `e2e-slam download-weights` to see where the authors' are and set the path, "
            f"set depth.network.architecture to {SHIPPED[0]}, whose weights are in the package, "
            "or use measured depth with depth.source: sensor",
        )
    file = weights_folder() / f"{architecture}.safetensors"
    _check_installed(file)
    with resources.as_file(file) as path:
        return load_weights(path, architecture, device)


def _check_installed(file: Traversable) -> None:
    """Refuse a file that differs from the shipped file, before any parser reads it."""
    expected = _sums().get(file.name)
    if not file.is_file() or expected is None:
        got = f"no SHA-256 for it in {_SUMS}" if file.is_file() else "no such file"
        what = "the file that comes with the package"
    else:
        digest = hashlib.sha256(content := file.read_bytes()).hexdigest()
        if digest == expected:
            return
        got = f"{len(content)} bytes with SHA-256 {digest}"
        what = f"SHA-256 {expected}: the installed file is truncated or was changed"
    raise DepthError.from_parts(
        f"weights of the package {file}",
        got,
        what,
        "install the package again, or set depth.network.checkpoint to other weights",
    )


def _sums() -> dict[str, str]:
    """Return a map from file name to SHA-256, as ``sha256sum`` lists them."""
    file = weights_folder() / _SUMS
    if not file.is_file():
        return {}
    lines = (line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines())
    return {words[1].lstrip("*"): words[0] for words in lines if len(words) == 2}
