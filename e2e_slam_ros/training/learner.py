"""One optimiser step, and everything that changes in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.schedule import TrainingStage
from e2e_slam_ros.training.state import TrainingState
from e2e_slam_ros.training.task import Batch, RunContext, Task, TaskModules
from e2e_slam_ros.training.weight_average import WeightAverage

# Steps in a row without a finite gradient that mean the training has diverged.
MAX_SKIPPED = 20
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class StepResult:
    """The result of one step, over all processes.

    Attributes:
        finite: the weights were changed; else the step was left out.
        loss: mean over the processes.
        terms: the parts of the loss that were calculated, unweighted.
        rate: learning rate.
        samples: how many samples were learnt from.
        stop: a process was asked to stop.

    >>> StepResult(True, 0.5, {"metric": 0.5}, 1e-4, samples=8, stop=False).finite
    True
    """

    finite: bool
    loss: float
    terms: dict[str, float]
    rate: float
    samples: int
    stop: bool


class Learner:
    """The networks of a task, their optimiser and their running mean.

    Args:
        modules: with their first weights, equal in all processes.

    >>> Learner.step.__name__  # one optimiser step; `run.train` makes the learner of a task
    'step'
    """

    def __init__(self, task: Task[Any], modules: TaskModules, context: RunContext) -> None:
        self._task, self._group, self._device = task, context.group, context.device
        self._settings = task.config.optimiser
        self._trained = modules.trained.to(context.device)
        self._result = modules.result
        self.average = WeightAverage(modules.result, self._settings.ema)
        self._named = {n: p for n, p in self._trained.named_parameters() if p.requires_grad}
        self._optimiser = self._new_optimiser(modules.encoder)
        self._scaler = context.precision.gradient_scaler()
        # Norm statistics that change: also forwards of skipped steps touch them.
        self._statistics = [b for b in self._trained.buffers() if b.is_floating_point()]
        self._loss: nn.Module = _Loss(task, self._trained)
        if self._group.world > 1:
            self._loss = DistributedDataParallel(self._loss, find_unused_parameters=True)
        self.skipped = self.skipped_in_row = 0

    def step(self, step: int, stage: TrainingStage, batch: Batch, stop: bool) -> StepResult:
        """Learn from one batch.

        A step whose loss or gradient is not finite, in any process, changes nothing.

        Args:
            step: number of the step in the run, from 0.
            batch: on any device.
            stop: this process was asked to stop.

        Raises:
            TrainingError: that was the 20th such step in a row.
        """
        batch = batch.to(self._device)
        rate = stage.learning_rate(step)
        for settings in self._optimiser.param_groups:
            settings["lr"] = rate * settings["scale"]
        before = [statistic.clone() for statistic in self._statistics]
        loss, parts, counts = self._loss(batch, stage.name)
        norm = self._backward(loss)
        head = torch.stack([loss.detach(), loss.new_tensor(float(stop))])
        sums = self._group.sum_(torch.cat([head, norm[None], parts * counts, counts]))
        finite = bool(torch.isfinite(sums).all())
        self._apply(finite, before, step)
        return self._report(finite, sums.tolist(), rate, len(batch))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything a later process needs to go on, by name."""
        found = {f"objective.{n}": v for n, v in self._trained.state_dict().items()}
        found |= {f"average.{n}": v for n, v in self.average.module.state_dict().items()}
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
            self._trained.load_state_dict(_below(state.tensors, "objective."))
            self.average.module.load_state_dict(_below(state.tensors, "average."))
            for name, parameter in self._named.items():
                self._restore_moments(parameter, state, f"optimiser.{name}.")
        except (RuntimeError, KeyError) as error:
            raise TrainingError.from_parts(
                "training state",
                f"tensors of other networks ({str(error).splitlines()[-1].strip()[:120]})",
                f"those of {self._task.name}",
                "start again in another --out",
            ) from error
        if self._scaler is not None and state.scaler:
            self._scaler.load_state_dict(dict(state.scaler))
        self.skipped, self.skipped_in_row = state.skipped, state.skipped_in_row

    def _restore_moments(self, parameter: nn.Parameter, state: TrainingState, prefix: str) -> None:
        saved = _below(state.tensors, prefix)
        if not saved:  # never had a gradient
            return
        moments = {name: torch.empty_like(parameter).copy_(saved[name]) for name in _MOMENTS}
        self._optimiser.state[parameter] = {"step": saved["step"].clone(), **moments}

    def _backward(self, loss: torch.Tensor) -> torch.Tensor:
        """Calculate the gradients, shorten them, and return the length they had."""
        self._optimiser.zero_grad(set_to_none=True)
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.unscale_(self._optimiser)
        return nn.utils.clip_grad_norm_(list(self._named.values()), self._settings.clip_norm)

    @torch.no_grad()
    def _apply(self, finite: bool, before: list[torch.Tensor], step: int) -> None:
        """Change the weights, or put back the norm statistics that the forward changed."""
        if finite:
            if self._scaler is None:
                self._optimiser.step()
            else:
                self._scaler.step(self._optimiser)
            self._group.mean_(self._statistics)
            self.average.update(self._result, step)
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

    def _report(self, finite: bool, sums: list[float], rate: float, samples: int) -> StepResult:
        loss, stop, _, *rest = sums
        names = self._task.terms
        terms = {
            name: part / count
            for name, part, count in zip(names, rest, rest[len(names) :], strict=False)
            if count > 0
        }
        world = self._group.world
        return StepResult(finite, loss / world, terms, rate, samples * world, stop > 0)

    def _new_optimiser(self, encoder: nn.Module | None) -> torch.optim.AdamW:
        settings = self._settings
        slow = set() if encoder is None else {id(p) for p in encoder.parameters()}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self._named.values() if (id(p) in slow) == is_slow], "scale": s}
            for is_slow, s in ((True, settings.encoder_rate), (False, 1.0))
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=0.0,
            betas=(settings.beta_1, settings.beta_2),
            weight_decay=settings.weight_decay,
        )


class _Loss(nn.Module):
    """The loss of a task as a module, so that `DistributedDataParallel` can wrap it."""

    def __init__(self, task: Task[Any], trained: nn.Module) -> None:
        super().__init__()
        self._task, self.trained = task, trained

    def forward(self, batch: Batch, stage: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss, and (T,) parts and (T,) sample counts in the order of the terms."""
        terms, names = self._task.forward(self.trained, batch, stage), self._task.terms
        zero = terms.total.detach() * 0.0
        parts = torch.stack([terms.parts.get(name, zero) for name in names])
        counts = [float(terms.counts.get(name, 0)) for name in names]
        return terms.total, parts, torch.tensor(counts, device=zero.device)


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names start with ``prefix``, without it."""
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
