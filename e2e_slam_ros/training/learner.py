"""One optimiser step, and everything that changes in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from e2e_slam_ros.config.errors import ConfigError, TrainingError
from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.training.average import WeightAverage
from e2e_slam_ros.training.batch import TrainingBatch
from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.distributed import Group
from e2e_slam_ros.training.encoder_weights import encoder_of, frozen_modules
from e2e_slam_ros.training.objective import TERM_NAMES, Objective, Precision
from e2e_slam_ros.training.pose_net import PoseNet
from e2e_slam_ros.training.schedule import Stage
from e2e_slam_ros.training.state import TrainingState

# Steps in a row without a finite gradient that mean the training has diverged.
MAX_SKIPPED = 20
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class StepResult:
    """What one step did, over all processes.

    Attributes:
        finite: the weights were changed; else the step was left out.
        loss: mean over the processes.
        terms: the parts of the loss that were calculated, unweighted.
        rate: learning rate.
        images: how many target images.
        stop: a process was asked to stop.
    """

    finite: bool
    loss: float
    terms: dict[str, float]
    rate: float
    images: int
    stop: bool


class Learner:
    """The networks, their optimiser and their running mean.

    Args:
        network: the depth network, with its first weights.
        pose_net: or None.
        config: of the run.
        group: the processes; all must give equal weights.
        device: where everything goes.
    """

    def __init__(
        self,
        network: DepthNetwork,
        pose_net: PoseNet | None,
        config: TrainConfig,
        group: Group,
        device: torch.device,
    ) -> None:
        self._config, self._group, self.device = config, group, device
        self.precision = precision_of(config.amp, device)
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = Objective(network, pose_net, config.objective, self.precision).to(device)
        self._fixed = frozen_modules(network, config.frozen_stages)
        for module in self._fixed:
            module.requires_grad_(False)
        self._learn_mode()
        self.average = WeightAverage(network, config.optimiser.ema)
        self._named = {n: p for n, p in self.objective.named_parameters() if p.requires_grad}
        self._optimiser = self._new_optimiser()
        self._scaler = _scaler(self.precision)
        # Norm statistics that change: also forwards of skipped steps touch them.
        self._statistics = [b for b in self.objective.buffers() if b.is_floating_point()]
        self._model: nn.Module = self.objective
        if group.world > 1:
            self._model = DistributedDataParallel(self.objective, find_unused_parameters=True)
        self.skipped = self.skipped_in_row = 0

    def step(self, step: int, stage: Stage, batch: TrainingBatch, stop: bool) -> StepResult:
        """Learn from one batch.

        A step whose loss or gradient is not finite, in any process, changes nothing.

        Raises:
            TrainingError: that was the 20th in a row.
        """
        batch = batch.to(self.device)
        rate = stage.learning_rate(step)
        for settings in self._optimiser.param_groups:
            settings["lr"] = rate * settings["scale"]
        before = [statistic.clone() for statistic in self._statistics]
        loss, parts, counts = self._model(batch, stage.config.weights)
        norm = self._backward(loss)
        head = torch.stack([loss.detach(), loss.new_tensor(float(stop))])
        sums = self._group.sum_(torch.cat([head, norm[None], parts * counts, counts]))
        finite = bool(torch.isfinite(sums).all())
        self._apply(finite, before, step)
        return self._result(finite, sums.tolist(), rate, len(batch.image))

    @torch.inference_mode()
    def average_depth(self, batch: TrainingBatch, count: int) -> torch.Tensor:
        """Return the running mean's depth of the first ``count`` images of a batch."""
        network = self.average.network
        return depth_from_disparity(
            network(batch.image[:count].to(self.device)),
            batch.intrinsics[:count].to(self.device),
            focal_normalised=network.focal_normalised,
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything a later process needs to go on, by name."""
        found = {f"objective.{n}": v for n, v in self.objective.state_dict().items()}
        found |= {f"average.{n}": v for n, v in self.average.network.state_dict().items()}
        for name, parameter in self._named.items():
            for moment, value in self._optimiser.state.get(parameter, {}).items():
                found[f"optimiser.{name}.{moment}"] = value
        return found

    def scaler_state(self) -> dict[str, float]:
        """Return the state of the gradient scaler; empty without one."""
        return dict(self._scaler.state_dict()) if self._scaler is not None else {}

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state.

        Raises:
            TrainingError: it is not of these networks.
        """
        try:
            self.objective.load_state_dict(_below(state.tensors, "objective."))
            self.average.network.load_state_dict(_below(state.tensors, "average."))
            for name, parameter in self._named.items():
                self._restore_moments(parameter, state, f"optimiser.{name}.")
        except (RuntimeError, KeyError) as error:
            raise TrainingError.from_parts(
                "training state",
                f"tensors of other networks ({str(error).splitlines()[-1].strip()[:120]})",
                f"those of {self._config.architecture}",
                "start again in another --out",
            ) from error
        if self._scaler is not None and state.scaler:
            self._scaler.load_state_dict(dict(state.scaler))
        self.skipped, self.skipped_in_row = state.skipped, state.skipped_in_row

    def _restore_moments(self, parameter: nn.Parameter, state: TrainingState, prefix: str) -> None:
        saved = _below(state.tensors, prefix)
        if not saved:  # never had a gradient
            return
        moments = {name: torch.empty_like(parameter).copy_(saved[name]) for name in _MOMENTS[1:]}
        self._optimiser.state[parameter] = {"step": saved["step"].clone(), **moments}

    def _backward(self, loss: torch.Tensor) -> torch.Tensor:
        """Calculate the gradients, shorten them, and return the length they had."""
        self._optimiser.zero_grad(set_to_none=True)
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.unscale_(self._optimiser)
        return nn.utils.clip_grad_norm_(
            list(self._named.values()), self._config.optimiser.clip_norm
        )

    @torch.no_grad()
    def _apply(self, finite: bool, before: list[torch.Tensor], step: int) -> None:
        """Change the weights, or put back what the forward changed."""
        if finite:
            if self._scaler is None:
                self._optimiser.step()
            else:
                self._scaler.step(self._optimiser)
            self._group.mean_(self._statistics)
            self.average.update(self.objective.network, step)
            self.skipped_in_row = 0
        else:
            for statistic, kept in zip(self._statistics, before, strict=True):
                statistic.copy_(kept)
            self.skipped += 1
            self.skipped_in_row += 1
        if self._scaler is not None:
            self._scaler.update()
        if self.skipped_in_row >= MAX_SKIPPED:
            raise TrainingError.from_parts(
                f"training at step {step}",
                f"{MAX_SKIPPED} steps in a row without a finite gradient",
                "gradients that are finite numbers",
                "lower the learning rate or set amp=off; the last saved state is unharmed",
            )

    def _result(self, finite: bool, sums: list[float], rate: float, images: int) -> StepResult:
        loss, stop, _, *rest = sums
        parts, counts = rest[: len(TERM_NAMES)], rest[len(TERM_NAMES) :]
        terms = {
            name: part / count
            for name, part, count in zip(TERM_NAMES, parts, counts, strict=True)
            if count > 0
        }
        world = self._group.world
        return StepResult(finite, loss / world, terms, rate, images * world, stop > 0)

    def _learn_mode(self) -> None:
        """Let norms learn their statistics, except those that stay fixed."""
        self.objective.train()
        fixed = list(self._fixed)
        if self._config.frozen_norms:
            fixed.append(encoder_of(self.objective.network))
        for module in fixed:
            module.eval()

    def _new_optimiser(self) -> torch.optim.AdamW:
        settings = self._config.optimiser
        slow = {id(p) for p in encoder_of(self.objective.network).parameters()}
        encoder = [p for p in self._named.values() if id(p) in slow]
        rest = [p for p in self._named.values() if id(p) not in slow]
        groups: list[dict[str, Any]] = [
            {"params": encoder, "scale": settings.encoder_rate},
            {"params": rest, "scale": 1.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=0.0,
            betas=(settings.beta_1, settings.beta_2),
            weight_decay=settings.weight_decay,
        )


def precision_of(amp: str, device: torch.device) -> Precision:
    """Return which numbers the networks calculate in.

    Raises:
        ConfigError: fp16 on a CPU.
    """
    if amp == "fp16" and device.type == "cpu":
        raise ConfigError.from_parts(
            "amp", "fp16 on a CPU", "off or bf16 there", "set amp=off, or train on a GPU"
        )
    if amp == "auto":
        on_gpu = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp16"
        amp = on_gpu if device.type == "cuda" else "off"
    dtype = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[amp]
    return Precision(device.type, dtype)


def _scaler(precision: Precision) -> Any | None:
    """Return what keeps fp16 gradients from vanishing; other numbers need none."""
    if precision.dtype is not torch.float16:
        return None
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(precision.device_type)
    return torch.cuda.amp.GradScaler()  # before torch 2.3


def _below(tensors: Any, prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names start with ``prefix``, without it."""
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
