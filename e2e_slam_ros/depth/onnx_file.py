"""Loads a depth network from an ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.config.depth import NetworkConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.image_preparation import PREPROCESSOR, ImagePreparation, read_preparation
from e2e_slam_ros.depth.model_files import CONFIG, licence_in, licence_notices, read_json
from e2e_slam_ros.depth.network_output import chosen_output
from e2e_slam_ros.depth.onnx_network import OnnxNetwork, RunModel

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# Grey level of the image that a model is tried with.
_GREY = 0.5


def load_onnx(config: NetworkConfig, device: torch.device | str) -> OnnxNetwork:
    """Return the network of ``depth.network.checkpoint``; it has predicted once.

    A ``preprocessor_config.json`` beside the file (or above its folder ``onnx``) says how images
    are prepared; without it they are resized to the model's input size, or to
    ``depth.network.width`` and ``height`` where it takes any, and normalised as for ImageNet. A
    ``config.json`` there gives the meaning of the output.

    Raises:
        ConfigError: there is no file, onnxruntime is not installed, or ``depth.network.output``
            has to be set.
        DepthError: no ONNX model, other inputs than one image, or another output than one
            number a pixel.
    """
    path = _file(config)
    beside = _with(path, CONFIG)
    described = {} if beside is None else read_json(beside)
    output = chosen_output(config.output, described, path)
    session = _session(path, torch.device(device))
    inputs, outputs = session.get_inputs(), session.get_outputs()
    _check_ends(path, inputs, outputs)
    fixed = tuple(inputs[0].shape[2:])
    preparation = _preparation(path, fixed, (config.height, config.width))
    folder = path.parent if beside is None else beside.parent
    licence = licence_in(folder)
    notices = licence_notices(folder, licence)
    network = OnnxNetwork(_runner(session, inputs[0]), preparation, output, licence, notices)
    with torch.inference_mode():
        network.predict(torch.full((1, 3, config.height, config.width), _GREY))
    return network.to(device).eval()


def _file(config: NetworkConfig) -> Path:
    path = Path(config.checkpoint).expanduser()
    if config.checkpoint and path.is_file():
        return path
    got = repr(config.checkpoint) if config.checkpoint else "no file"
    if config.checkpoint:
        got += ", a folder" if path.is_dir() else ", which does not exist"
    raise ConfigError.from_parts(
        "depth.network.checkpoint", got, "the path of a model.onnx", "give the ONNX file"
    )


def _with(path: Path, name: str) -> Path | None:
    """Return the file of that name that belongs to the model; None: there is none."""
    folders = [path.parent, *([path.parent.parent] if path.parent.name == "onnx" else [])]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _session(path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ImportError as problem:
        raise ConfigError.from_parts(
            "depth.network.architecture",
            f"'onnx', and onnxruntime cannot be imported ({problem})",
            "the library onnxruntime",
            "pip install -r requirements-networks.txt (or the extra: e2e_slam_ros[networks]); "
            "onnxruntime-gpu where there is an NVIDIA GPU",
        ) from problem
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    on_gpu = device.type == "cuda" and _CUDA in onnxruntime.get_available_providers()
    providers = [_CUDA, _CPU] if on_gpu else [_CPU]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as problem:  # the runtime's exceptions have no common class
        first = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise DepthError.from_parts(
            f"depth network {path}",
            f"a file that onnxruntime refuses ({first[:200]})",
            "an ONNX model, with its external data beside it",
            "download or export it again, or pip install --upgrade onnxruntime",
        ) from problem


def _check_ends(path: Path, inputs: list[Any], outputs: list[Any]) -> None:
    """Refuse models that do not go from one image to one map of numbers."""
    sound = len(inputs) == 1 and _is_image(inputs[0])
    if sound and len(outputs) == 1:
        return
    word, ends = ("outputs", outputs) if sound else ("inputs", inputs)
    told = ", ".join(f"{end.name} {end.type} {end.shape}" for end in ends[:6])
    raise DepthError.from_parts(
        f"depth network {path}",
        f"{word} {told}",
        "one input, a float image (1, 3, height, width), and one output, its depth",
        "export the depth network so; where it has several outputs, with the depth alone",
    )


def _is_image(end: Any) -> bool:
    """Return whether an input takes one image; a size that is no number is free."""
    shape = list(end.shape or ())
    sizes = [side if isinstance(side, int) else None for side in shape]
    fits = len(sizes) == 4 and sizes[0] in (1, None) and sizes[1] in (3, None)
    return fits and end.type in ("tensor(float)", "tensor(float16)")


def _preparation(
    path: Path, fixed: tuple[object, ...], configured: tuple[int, int]
) -> ImagePreparation:
    """Return how images are prepared; a fixed input size goes before everything else."""
    settings = _with(path, PREPROCESSOR)
    preparation = (
        ImagePreparation(size=configured) if settings is None else read_preparation(settings)
    )
    height, width = fixed
    if isinstance(height, int) and isinstance(width, int):
        return replace(preparation, size=(height, width), keep_aspect_ratio=False, multiple=1)
    return preparation


def _runner(session: Any, given: Any) -> RunModel:
    half = given.type == "tensor(float16)"

    def run_model(image: Any) -> Any:
        (answer,) = session.run(None, {given.name: image.astype("float16") if half else image})
        return answer

    return run_model
