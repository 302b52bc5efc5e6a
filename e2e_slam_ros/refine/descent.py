"""Steps of Adam with early stopping. The best step is kept; a worse result is rolled back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from e2e_slam_ros.config.refine import GuardConfig
from e2e_slam_ros.refine.objective import Evaluation
from e2e_slam_ros.refine.result import Refusal, StopReason

# Steps between two looks at the loss: each look waits for the device.
_LOOK_EVERY = 5


@dataclass(frozen=True, eq=False)
class Descent:
    """The course of a minimisation; fields as in `RefineOutcome`.

    Attributes:
        refused: the first evaluation spoke for too few pixels, or was not finite.

    Example:
        >>> trace, held_back = torch.tensor([[3.0], [1.0]]), torch.zeros(2)
        >>> course = Descent(trace, held_back, best=1, steps_done=1, stopped=StopReason.STEPS_DONE)
        >>> float(course.trace[course.best].sum())
        1.0
    """

    trace: torch.Tensor
    held_back: torch.Tensor
    best: int
    steps_done: int
    stopped: StopReason
    refused: Refusal | None = None


def descend(
    parameters: Sequence[torch.Tensor],
    evaluate: Callable[[], Evaluation],
    optimiser: torch.optim.Optimizer,
    steps: int,
    guard: GuardConfig,
    before_step: Callable[[int], None] | None = None,
) -> Descent:
    """Minimise a loss; leave ``parameters`` at the best step.

    The best step has the lowest loss among those whose held-back pixels are no worse than at the
    start. If no step is better than the start, parameters and the optimiser's state are restored.
    They are also restored when a value is not finite, or when an exception passes through.

    Args:
        parameters: leaves that require gradients, all in ``optimiser``.
        evaluate: the loss of their present values.
        optimiser: takes the steps.
        steps: largest number of steps.
        guard: smallest share of pixels, patience, gain.
        before_step: called with the number of each step.
    """
    keeper = _Keeper(parameters, optimiser)
    rows: list[torch.Tensor] = []
    try:
        stopped, done = StopReason.STEPS_DONE, 0
        for step in range(steps + 1):
            last = step == steps
            with torch.set_grad_enabled(not last):
                now = evaluate()
            rows.append(torch.cat([now.terms, now.held_back[None], now.valid_share[None]]))
            keeper.offer(step, now.total.detach(), now.held_back)
            if step == 0 and _refused(rows[0], guard) is not None:
                return _course(rows, 0, 0, StopReason.REFUSED, _refused(rows[0], guard))
            if step % _LOOK_EVERY == 0 and step > 0 and not last:
                verdict = _verdict(rows, guard)
                if verdict is not None:
                    stopped = verdict
                    break
            if last:
                break
            if before_step is not None:
                before_step(step)
            optimiser.zero_grad(set_to_none=True)
            now.total.backward()
            optimiser.step()
            done += 1
        optimiser.zero_grad(set_to_none=True)
    except BaseException:
        keeper.back_to_start()
        raise
    return _finish(rows, keeper, done, stopped)


class _Keeper:
    """Holds the first and the best values of parameters, without waiting for the device."""

    def __init__(
        self, parameters: Sequence[torch.Tensor], optimiser: torch.optim.Optimizer
    ) -> None:
        self._parameters = list(parameters)
        self._optimiser = optimiser
        self._state: dict[str, Any] = copy.deepcopy(optimiser.state_dict())
        self._start = [p.detach().clone() for p in self._parameters]
        self._best = [p.clone() for p in self._start]
        device = self._parameters[0].device
        self._lowest = torch.tensor(torch.inf, device=device)
        self._held_at_start = torch.tensor(torch.inf, device=device)
        self.step = torch.zeros((), dtype=torch.int64, device=device)

    @torch.no_grad()
    def offer(self, step: int, total: torch.Tensor, held_back: torch.Tensor) -> None:
        """Keep the present values if their loss is the lowest so far. NaN is never lower."""
        if step == 0:
            self._lowest, self._held_at_start = total.clone(), held_back.clone()
            return
        better = (total < self._lowest) & (held_back <= self._held_at_start)
        self._lowest = torch.where(better, total, self._lowest)
        self.step = torch.where(better, torch.full_like(self.step, step), self.step)
        for kept, now in zip(self._best, self._parameters, strict=True):
            kept.copy_(torch.where(better, now, kept))

    @torch.no_grad()
    def take_best(self) -> None:
        for now, kept in zip(self._parameters, self._best, strict=True):
            now.copy_(kept)

    @torch.no_grad()
    def back_to_start(self) -> None:
        for now, kept in zip(self._parameters, self._start, strict=True):
            now.copy_(kept)
            now.grad = None
        self._optimiser.load_state_dict(self._state)


def _finish(rows: list[torch.Tensor], keeper: _Keeper, done: int, stopped: StopReason) -> Descent:
    table = torch.stack(rows).cpu()
    best = int(keeper.step)
    totals, held = table[:, :-2].sum(1), table[:, -2]
    finite = bool(torch.isfinite(table).all())
    if not finite:
        # The steps before it cannot be trusted either: all of them are undone.
        keeper.back_to_start()
        best, stopped = 0, StopReason.NOT_FINITE
    elif best == 0 and done > 0:
        keeper.back_to_start()
        fell = bool((totals[1:] < totals[0]).any())
        stopped = StopReason.HELD_BACK_ROSE if fell else StopReason.LOSS_ROSE
    else:
        keeper.take_best()
    return Descent(table[:, :-2], held, best, done, stopped)


def _refused(row: torch.Tensor, guard: GuardConfig) -> Refusal | None:
    if not bool(torch.isfinite(row).all()):
        return Refusal.NO_NETWORK_DEPTH
    return Refusal.FEW_PIXELS if float(row[-1]) < guard.min_valid else None


def _verdict(rows: list[torch.Tensor], guard: GuardConfig) -> StopReason | None:
    """Return the reason to stop now, or None to go on."""
    totals = torch.stack(rows)[:, :-2].sum(1).tolist()
    if not all(abs(total) < float("inf") for total in totals):
        return StopReason.NOT_FINITE
    if guard.patience == 0 or len(totals) <= guard.patience:
        return None
    earlier = min(totals[: -guard.patience])
    recent = min(totals[-guard.patience :])
    return None if recent < earlier - guard.min_gain * abs(earlier) else StopReason.CONVERGED


def _course(
    rows: list[torch.Tensor], best: int, done: int, stopped: StopReason, refused: Refusal | None
) -> Descent:
    table = torch.stack(rows).cpu()
    return Descent(table[:, :-2], table[:, -2], best, done, stopped, refused)
