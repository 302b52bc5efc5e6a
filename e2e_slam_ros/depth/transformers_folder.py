"""Loads a depth network of the transformers library from a folder: offline, no foreign code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.config.depth import NetworkConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.image_preparation import PREPROCESSOR, ImagePreparation, read_preparation
from e2e_slam_ros.depth.model_files import CONFIG, licence_in, licence_notices, read_json
from e2e_slam_ros.depth.network_output import chosen_output
from e2e_slam_ros.depth.transformers_network import TransformersNetwork
from e2e_slam_ros.depth.weight_checks import require_finite
from e2e_slam_ros.depth.weights_file import listed

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_EXPECTED = "a folder with config.json, preprocessor_config.json and model.safetensors"
_EXAMPLE = "`e2e-slam download-weights depth-anything-v2-metric-indoor-small` gets one"
# Width of the features of Depth Anything's Base network.
_BASE_FEATURES = 768


def load_transformers(config: NetworkConfig, device: torch.device | str) -> TransformersNetwork:
    """Return the network of ``depth.network.checkpoint``, in evaluation mode, in float32.

    Nothing is downloaded and no code of the folder runs: weights are read from safetensors alone.
    The state of torch's random number generator does not change.

    Raises:
        ConfigError: there is no folder, the library is not installed, or
            ``depth.network.output`` has to be set.
        DepthError: the folder lacks a file, or holds another network, weights that do not fit
            or are not finite, or pickled weights alone.
    """
    folder = _folder(config)
    described = read_json(folder / CONFIG)
    _check_task(described, folder)
    _check_weights(folder)
    preparation = read_preparation(folder / PREPROCESSOR)
    output = chosen_output(config.output, described, folder)
    model = _model(folder, preparation)
    backbone = described.get("backbone_config")
    features = backbone.get("hidden_size") if isinstance(backbone, Mapping) else None
    large = isinstance(features, int) and features >= _BASE_FEATURES
    anything = described.get("model_type") == "depth_anything"
    licence = licence_in(folder)
    notices = licence_notices(folder, licence, large and anything)
    network = TransformersNetwork(model, preparation, output, licence, notices)
    return network.to(device).eval()


def _folder(config: NetworkConfig) -> Path:
    folder = Path(config.checkpoint).expanduser()
    if config.checkpoint and folder.is_dir():
        return folder
    got = "no folder" if not config.checkpoint else repr(config.checkpoint)
    if config.checkpoint:
        got += ", a file" if folder.exists() else ", which does not exist"
    raise ConfigError.from_parts(
        "depth.network.checkpoint", got, _EXPECTED, f"give the folder; {_EXAMPLE}"
    )


def _check_task(described: Mapping[str, object], folder: Path) -> None:
    """Refuse models of another task, and models that bring code or fetch weights."""
    names = described.get("architectures")
    named = [str(name) for name in names] if isinstance(names, list) else []
    # Older files name none. The library then knows the model by its type.
    others = bool(named) and not any(name.endswith("ForDepthEstimation") for name in named)
    got = ", ".join(named) if others else ""
    if "auto_map" in described:
        got = "a model that needs code of its own (auto_map), which is never run"
    elif described.get("use_pretrained_backbone"):
        got = "a model that downloads its backbone (use_pretrained_backbone)"
    if got:
        raise DepthError.from_parts(
            f"depth network {folder}",
            got,
            "a model of AutoModelForDepthEstimation, e.g. DepthAnythingForDepthEstimation",
            f"use a depth network; {_EXAMPLE}",
        )


def _check_weights(folder: Path) -> None:
    if any((folder / name).is_file() for name in _WEIGHTS):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    got = f"pickled weights alone ({listed(pickles)}), which can run code" if pickles else "none"
    do = "download model.safetensors from the same page"
    if pickles:
        do += (
            ", or convert them where you trust them: AutoModelForDepthEstimation"
            ".from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)"
        )
    raise DepthError.from_parts(f"weights in {folder}", got, _WEIGHTS[0], do)


def _model(folder: Path, preparation: ImagePreparation) -> torch.nn.Module:
    """Return the model with all of its weights from the folder."""
    library = _library()
    with torch.random.fork_rng(devices=[]), _Quiet(library):
        try:
            model, said = library.AutoModelForDepthEstimation.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as problem:  # what it raises for other content is not documented
            raise _refused(folder, str(problem) or type(problem).__name__) from problem
    model = model.float().eval()
    missing = _used(model, sorted(map(str, said.get("missing_keys", ()))), preparation)
    other = sorted(map(str, said.get("mismatched_keys", ())))
    if missing or other:
        parts = (("without", missing), ("with other shapes at", other))
        got = ", ".join(f"{words} {listed(keys)}" for words, keys in parts if keys)
        raise _refused(folder, f"weights {got}")
    do = "download them again"
    require_finite(model.state_dict(), f"weights in {folder}", "finite values", do)
    network: torch.nn.Module = model
    return network


def _used(model: torch.nn.Module, names: list[str], preparation: ImagePreparation) -> list[str]:
    """Return those of the named parameters that the depth of an image depends on.

    Published files lack parameters of branches that are never taken, e.g. DPT's.
    """
    parameters = dict(model.named_parameters())
    if not names or not parameters.keys() >= set(names):
        return names
    with torch.inference_mode(False), torch.enable_grad():
        depth = model(pixel_values=preparation.prepare(torch.full((1, 3, 64, 64), 0.5)))
        chosen = [parameters[name] for name in names]
        total = depth.predicted_depth.sum()
        gradients = torch.autograd.grad(total, chosen, allow_unused=True)
    return [name for name, value in zip(names, gradients, strict=True) if value is not None]


def _refused(folder: Path, got: str) -> DepthError:
    lines = [line.strip() for line in got.splitlines() if line.strip()]
    return DepthError.from_parts(
        f"depth network {folder}",
        " ".join(lines)[:300],
        "a depth network that this version of transformers knows, and all of its weights",
        "download the folder again; for a newer network: pip install --upgrade transformers",
    )


class _Quiet:
    """Keeps the library's reports out of the terminal: what matters becomes an error here."""

    def __init__(self, library: Any) -> None:
        self._logging = library.utils.logging

    def __enter__(self) -> None:
        self._level = self._logging.get_verbosity()
        self._bars = self._logging.is_progress_bar_enabled()
        self._logging.set_verbosity(50)
        self._logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        self._logging.set_verbosity(self._level)
        if self._bars:
            self._logging.enable_progress_bar()


def _library() -> Any:
    try:
        import transformers
    except ImportError as problem:
        raise ConfigError.from_parts(
            "depth.network.architecture",
            f"'transformers', which cannot be imported ({problem})",
            "the library transformers",
            "pip install -r requirements-networks.txt (or the extra: e2e_slam_ros[networks])",
        ) from problem
    return transformers
