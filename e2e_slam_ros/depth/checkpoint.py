"""Reads and writes the weights of depth networks. An unusable file is refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.architectures import ARCHITECTURES, build_network
from e2e_slam_ros.depth.weight_checks import require_finite
from e2e_slam_ros.depth.weights_file import listed, read_weights, write_weights

# Tensors that do not influence the depth. A file may lack them.
_OPTIONAL = re.compile(r"encoder\.encoder\.fc\.|.*\.num_batches_tracked$")
_EXPECTED = "weights of {architecture} (.safetensors, or .pth/.pth.tar with a state_dict)"
# Other types are quantised. Their numbers have no meaning without their scale.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_SETTING = "depth.network.architecture"
# Where weights of an architecture come from.
_PACKAGED = (
    "leave depth.network.checkpoint empty for the weights of the package, "
    "or give a file that training wrote"
)
_SOURCES = {
    "efficientnet_lite2": _PACKAGED,
    "efficientnet_lite0": _PACKAGED,
    "disp_resnet18": "use an SC-SfMLearner ResNet-18 depth checkpoint, "
    "or give a file that training wrote",
}


def load_weights(
    path: str | Path, architecture: str, device: torch.device | str = "cpu"
) -> DepthNetwork:
    """Return the network with weights from a file, in evaluation mode, in float32.

    Three kinds of files are read: files of `save_weights`, other safetensors files, and files of
    ``torch.save``. The last hold a state dict, or ``{"epoch": ..., "state_dict": ...}`` as the
    published files of SC-SfMLearner do. No code in a file is executed. The state of torch's random
    number generator does not change.

    Args:
        path: the file. Its kind is recognised by its content, not by its name.

    Raises:
        ConfigError: an unknown architecture.
        DepthError: the file is missing, truncated or changed since it was written; it holds no
            weights, weights of another architecture or values that are not finite; or it needs
            code to be run.
    """
    path = Path(path).expanduser()
    content = read_weights(path, _EXPECTED.format(architecture=architecture))
    _check_label(content.metadata, path, architecture)
    with torch.random.fork_rng(devices=[]):
        network = build_network(architecture)
    state, own = content.tensors, network.state_dict()
    _check_keys(state, own, path, architecture)
    do = "take an earlier checkpoint: the training of this one diverged"
    require_finite(state, f"depth weights {path}", "finite values", do)
    network.load_state_dict({**own, **state}, strict=True)
    return network.to(device).eval()


def save_weights(
    network: DepthNetwork, path: str | Path, metadata: Mapping[str, str], half: bool
) -> Path:
    """Write a network as safetensors and return the absolute path of the file.

    The file is written completely or not at all. Equal networks and metadata give equal bytes. The
    file holds ``metadata``, the name of the architecture and a hash of its tensors. `load_weights`
    checks the hash.

    Args:
        network: one of `ARCHITECTURES`, on any device.
        metadata: texts to keep with the weights: recipe, data, commit, figures.
        half: store convolutions in float16. Tensors with one dimension stay float32, because a
            norm's variance can leave the range of float16. They are a twentieth of the file.

    Raises:
        DepthError: a network of no known architecture, values that are not finite or too large
            for float16, or a folder that cannot be written.
    """
    target = Path(path).expanduser().absolute()
    names = [name for name, kind in ARCHITECTURES.items() if type(network) is kind]
    if not names:
        raise DepthError.from_parts(
            f"depth weights {target}",
            type(network).__name__,
            "one of " + ", ".join(ARCHITECTURES),
            "save the depth network itself, not what wraps it",
        )
    state = network.state_dict()
    what = f"depth weights {target}"
    require_finite(state, what, "finite values", "go back to an earlier state")
    if half:
        state = {k: v.half() if _is_halved(v) else v for k, v in state.items()}
        limit = f"values up to {torch.finfo(torch.float16).max:g}, float16's largest"
        require_finite(state, what, limit, "save in full precision")
    write_weights(target, state, {**metadata, "architecture": names[0]})
    return target


def _is_halved(value: torch.Tensor) -> bool:
    return value.is_floating_point() and value.dim() > 1


def _check_label(metadata: Mapping[str, str], path: Path, architecture: str) -> None:
    """Refuse a file whose metadata names another architecture."""
    named = metadata.get("architecture", architecture)
    if named != architecture:
        do = f"set {_SETTING} to {named}" if named in ARCHITECTURES else _SOURCES[architecture]
        raise DepthError.from_parts(
            f"depth weights {path}", f"weights of {named}", f"weights of {architecture}", do
        )


def _check_keys(
    state: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    path: Path,
    architecture: str,
) -> None:
    """Refuse weights of another architecture. The message names the differences."""
    missing = _missing(own, state)
    foreign = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    types = [
        f"{key} {state[key].dtype}"
        for key, value in own.items()
        if key in state and value.is_floating_point() and state[key].dtype not in _FLOATS
    ]
    parts = (
        ("without", missing),
        ("with", foreign),
        ("with the shapes", shapes),
        ("with the types", types),
    )
    differences = [f"{words} {listed(keys)}" for words, keys in parts if keys]
    if differences:
        raise DepthError.from_parts(
            f"depth weights {path}",
            "a network " + ", ".join(differences),
            f"exactly the parameters of {architecture}",
            _other_architecture(state, architecture),
        )


def _missing(own: Iterable[str], state: Mapping[str, torch.Tensor]) -> list[str]:
    return [key for key in own if key not in state and not _OPTIONAL.match(key)]


def _other_architecture(state: Mapping[str, torch.Tensor], architecture: str) -> str:
    """Return advice for weights of another network, recognised by its tensor names."""
    for name in ARCHITECTURES:
        if name != architecture and not _missing(build_network(name).state_dict(), state):
            return f"these are of {name}: set {_SETTING} to {name}"
    if "encoder.encoder.layer1.0.conv3.weight" in state:
        return "these are of a ResNet-50; use the authors' ResNet-18 checkpoint"
    if any("decoder.upconvs0." in key for key in state):
        return (
            "these are of SC-Depth, whose decoder upsamples differently; "
            "use SC-SfMLearner's checkpoint"
        )
    if any(key.startswith("decoder.net.") for key in state):
        return "these are of the pose network; use the depth network's file (dispnet_...)"
    if "fc.weight" in state or "classifier.weight" in state:
        return "these are of an image classifier, which knows no depth; " + _SOURCES[architecture]
    return _SOURCES[architecture]
