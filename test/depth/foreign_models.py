"""Tiny models as others publish them, with random weights: transformers folders, ONNX files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

NOT_INSTALLED = "{} is not installed (requirements-networks.txt)"
# As the authors of Depth Anything V2 publish it, for smaller images.
PREPARATION = {
    "do_normalize": True,
    "do_pad": False,
    "do_rescale": True,
    "do_resize": True,
    "ensure_multiple_of": 14,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "DPTImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "keep_aspect_ratio": True,
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 70, "width": 70},
    "size_divisor": None,
}


def optional(name: str) -> Any:
    """Return a module that not every machine has, or skip the test with the reason."""
    return pytest.importorskip(name, reason=NOT_INSTALLED.format(name), exc_type=ImportError)


def write_preparation(folder: Path, **changes: object) -> None:
    """Write the image preparation of a folder."""
    text = json.dumps({**PREPARATION, **changes})
    (folder / "preprocessor_config.json").write_text(text)


def save_depth_anything(folder: Path, kind: str, **changes: object) -> Any:
    """Save a small Depth Anything and return it: ``kind`` is "metric" or "relative"."""
    library = optional("transformers")
    backbone = library.Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    settings = {
        "backbone_config": backbone,
        "patch_size": 14,
        "reassemble_hidden_size": 16,
        "neck_hidden_sizes": [8, 8, 16, 16],
        "fusion_hidden_size": 8,
        "head_hidden_size": 4,
        "depth_estimation_type": kind,
        "max_depth": 20 if kind == "metric" else 1,
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = library.DepthAnythingConfig(**(settings | changes))
        model = library.DepthAnythingForDepthEstimation(config).eval()
        for name, parameter in model.named_parameters():
            if not name.startswith("backbone") and parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
        torch.nn.init.constant_(model.head.conv3.bias, 1.0 if kind == "relative" else -2.0)
    model.save_pretrained(folder)
    write_preparation(folder)
    return model


def save_onnx(
    path: Path,
    size: tuple[object, object] = ("height", "width"),
    shape: tuple[int, ...] | None = None,
    factor: float = 1.0,
    offset: float = 2.0,
    outputs: int = 1,
    channels: int = 3,
    reduced: bool = False,
) -> Path:
    """Write a model that gives ``offset + factor * mean over the channels``, (1, h, w).

    Args:
        size: (height, width) of its input; texts are free sizes.
        shape: what its output is reshaped to.
        outputs: how often it gives the same output.
        reduced: halve the output's width alone.
    """
    onnx = optional("onnx")
    optional("onnxruntime")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=int(reduced)),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["moved"]),
    ]
    numbers = [
        helper.make_tensor("factor", kinds.FLOAT, [1], [factor]),
        helper.make_tensor("offset", kinds.FLOAT, [1], [offset]),
    ]
    last = "moved"
    if reduced:
        pool = {"kernel_shape": [1, 2], "strides": [1, 2]}
        nodes.append(helper.make_node("AveragePool", ["moved"], ["pooled"], **pool))
        last = "pooled"
    if shape is not None:
        numbers.append(helper.make_tensor("shape", kinds.INT64, [len(shape)], shape))
        nodes.append(helper.make_node("Reshape", [last, "shape"], ["shaped"]))
        last = "shaped"
    names = [f"depth{i}" for i in range(outputs)]
    nodes += [helper.make_node("Identity", [last], [name]) for name in names]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kinds.FLOAT, [1, channels, *size])],
        [helper.make_tensor_value_info(name, kinds.FLOAT, None) for name in names],
        numbers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def picture(width: int = 96, height: int = 64) -> torch.Tensor:
    """A smooth picture (1, 3, H, W) of whole grey levels, in [0, 1]."""
    v, u = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    waves = [torch.sin(u / 5 + k) * torch.cos(v / 7 - k) for k in range(3)]
    return ((0.5 + 0.4 * torch.stack(waves)[None]) * 255).round() / 255


def as_pillow(image: torch.Tensor) -> Any:
    """The picture for an image processor of the library."""
    from PIL import Image

    levels = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return Image.fromarray(np.ascontiguousarray(levels))
