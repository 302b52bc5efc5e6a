"""Depth networks of other authors, by the name of what runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from e2e_slam_ros.config.depth import NetworkConfig
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.onnx_file import load_onnx
from e2e_slam_ros.depth.transformers_folder import load_transformers

# Values of depth.network.architecture beside those of `ARCHITECTURES`.
FOREIGN: Mapping[str, Callable[[NetworkConfig, torch.device | str], DepthNetwork]] = {
    "transformers": load_transformers,
    "onnx": load_onnx,
}
