"""The training loop: the only one, for every task. It knows recipes, not what they are about.

A step: zero gradients, forward and backward over the parts of the step, check that the loss is a number, clip, update,
log; then perhaps measure on validation, keep the best weights, save the state. The loss of every part is its sum times
the number of processes over the count of the whole step, because DDP averages gradients over processes: so parts and
processes of uneven size weigh right, and accumulation, one big batch and several processes give the same result.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..pipelines.errors import TrainingError
from .interruption import InterruptedTraining, StopRequest, stop_requests
from .optimization import AverageWeights, build_optimizer, clip_gradients, learning_rate_factor, set_learning_rates
from .plan import Plan
from .precision import lowered_precision
from .processes import keep_freed_memory
from .progress import Progress
from .recipe import Recipe
from .settings import FinetuneSettings
from .step_log import StepLog
from .step_reader import Step, StepReader
from .training_state import Position, SavingClock, StateFolder, seed_step

if TYPE_CHECKING:
    from accelerate import Accelerator

LISTED_SAMPLES = 32


@dataclass
class Loop:
    """One training run in one process.

    Attributes:
        model: on its device; trained in place.
        recipe: of the task.
        reader: of the steps of this process.
        plan: of all processes.
        settings: resolved.
        accelerator: devices and processes.
        state: where states are saved; None saves nothing (dry run).
        progress: what the user sees.
    """

    model: torch.nn.Module
    recipe: Recipe
    reader: StepReader
    plan: Plan
    settings: FinetuneSettings
    accelerator: Accelerator
    state: StateFolder | None
    progress: Progress

    def __post_init__(self) -> None:
        settings, plan = self.settings, self.plan
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        self.wrapped = self.accelerator.prepare_model(self.model)  # before the optimizers: it moves the weights
        self.optimizers = {
            name: build_optimizer(groups, settings.optimizer, self.accelerator.device)
            for name, groups in self.recipe.optimizers(self.model).items()
        }
        self.base_rates = {
            name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in self.optimizers.items()
        }
        self.average = AverageWeights(self.model, settings.ema) if settings.ema else None
        warmup_steps = settings.warmup_steps
        if warmup_steps is None:
            warmup_steps = math.ceil((settings.warmup or 0.0) * plan.total_steps)
        self.rate_factor = learning_rate_factor(settings.schedule, warmup_steps, plan.total_steps)
        self.position = Position()

    def run(self, steps: int | None = None) -> Position:
        """Trains to the end of the plan, or for ``steps`` steps, and returns how far it came.

        The model then holds the last weights; the best are in the state folder.

        Raises:
            TrainingError: the loss or the gradient is not finite, or the saved state does not fit.
            InterruptedTraining: a signal came; the state is saved.
        """
        if self.state and self.settings.resume:
            self._restore()
        writes_log = self.state is not None and self.accelerator.is_main_process
        log = StepLog(self.state.folder.parent, self.position.log_bytes) if self.state and writes_log else None
        self.progress.start(self.plan, self.position)
        try:
            with stop_requests() as request:
                self._run(log, request, self.plan.total_steps if steps is None else steps)
        finally:
            self.progress.stop()
            if log:
                log.close()
        return self.position

    def _run(self, log: StepLog | None, request: StopRequest, last: int) -> None:
        position, settings = self.position, self.settings
        clock = SavingClock(settings.save_interval.steps, settings.save_interval.seconds)
        self.model.train()
        mark = time.monotonic()
        for step in self.reader.steps(position.step) if position.stopped_by is None else ():
            # Train.
            line, signal_number = self._step(step, request)
            line["seconds"] = round(-mark + (mark := time.monotonic()), 4)
            position.step += 1
            position.samples += len(step.rows)
            position.step_seconds += line["seconds"]
            position.seconds += line["seconds"]

            # Measure.
            is_late = settings.max_minutes is not None and position.seconds >= 60 * settings.max_minutes
            is_last = self._any_process(is_late) or position.step == self.plan.total_steps
            if self.state and self.recipe.has_validation and (is_last or self._is_measured(position.step)):
                line["validation"] = self._measure()
            position.stopped_by = self._reason_to_stop(is_last)
            position.seconds += -mark + (mark := time.monotonic())

            # Tell.
            self.accelerator.log(_flat(line), step=position.step)
            self.progress.advance(line, position)
            if log:
                position.log_bytes = log.write(line)

            # Save.
            is_over = bool(position.stopped_by or signal_number or position.step >= last)
            if self.state and (self._any_process(clock.is_due(position.step)) or is_over):
                is_saved = self._save(self.state)
                clock.saved(cost := -mark + (mark := time.monotonic()))
                position.seconds += cost
                if signal_number and not position.stopped_by:
                    raise InterruptedTraining(position.step, signal_number, is_saved)
            if is_over:
                break

    def _step(self, step: Step, request: StopRequest) -> tuple[dict[str, Any], int]:
        """Updates the weights once; returns the line for the log and the number of the signal that came, or 0."""
        seed_step(self.settings.seed, step.number, self.accelerator.process_index)
        factor = self.rate_factor(step.number)
        line: dict[str, Any] = {"step": step.number + 1, "epoch": step.epoch + 1, "rows": len(step.rows)}
        count = self._sum_over_processes([step.count])[0]
        signal_number = 0
        for name, optimizer in self.optimizers.items():
            suffix = "" if len(self.optimizers) == 1 else f"_{name}"
            set_learning_rates(optimizer, self.base_rates[name], factor)
            optimizer.zero_grad(set_to_none=True)
            loss, metrics = self._forward_and_backward(step, count, name)
            sums = self._sum_over_processes([loss, float(request.number), *metrics.values()])
            loss = sums[0]
            signal_number = (request.number or signal.SIGTERM) if sums[1] else 0  # came to any process
            rate = max(group["lr"] for group in optimizer.param_groups)
            self._check_finite(loss, "loss", step, rate)
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            norm = float(clip_gradients(parameters, self.settings.clip))
            self._check_finite(norm, "norm of the gradient", step, rate)
            optimizer.step()
            line |= {f"loss{suffix}": loss, f"learning_rate{suffix}": rate, f"gradient_norm{suffix}": norm}
            line |= {key: value / len(step.rows) for key, value in zip(metrics, sums[2:], strict=True)}
        if self.average:
            self.average.update(step.number)
        return line, signal_number

    def _forward_and_backward(self, step: Step, count: float, name: str) -> tuple[float, dict[str, float]]:
        """This process's share of the step's loss, and sums of its metrics; gradients are added up in the weights."""
        device, processes = self.accelerator.device, self.accelerator.num_processes
        weight = 1.0 if step.count else 0.0  # a step with fewer rows than processes: take part, add nothing
        losses: list[torch.Tensor] = []
        sums: dict[str, torch.Tensor] = {}
        for index, part in enumerate(step.parts):
            batch = {key: tensor.to(device, non_blocking=True) for key, tensor in part.items()}
            is_last = index == len(step.parts) - 1
            # gradients are exchanged between processes once a step, with the last part
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self.wrapped):
                with self._precision():
                    total, metrics = self.recipe.loss(self.wrapped, batch, name)
                (total * (weight * processes / count)).backward()
            losses.append(total.detach() * (weight / count))
            for key, value in metrics.items():
                sums[key] = sums.get(key, 0) + value.detach() * weight
        values = torch.stack([torch.stack(losses).sum(), *(value.float() for value in sums.values())]).tolist()
        return values[0], dict(zip(sums, values[1:], strict=True))

    def _measure(self) -> dict[str, float]:
        """Metrics on validation of the weights that would be kept; keeps them where they are the best so far."""
        self.progress.measuring()
        self.model.eval()
        if self.average:
            self.average.swap()
        with self._precision():
            metrics = dict(
                self.recipe.evaluate(self.model, self.accelerator.process_index, self.accelerator.num_processes)
            )
        value, position = metrics[self.recipe.metric], self.position
        sign = 1 if self.recipe.higher_is_better else -1
        # Of equal metrics the lower loss decides: on a small split many steps, the first included, have the same one.
        loss = metrics.get("loss", 0.0)
        merit = (sign * value, -loss)
        is_best = position.best_metric is None or merit > (sign * position.best_metric, -(position.best_loss or 0.0))
        position.measurements_since_best = 0 if is_best else position.measurements_since_best + 1
        if is_best:
            writes = self.state if self.accelerator.is_main_process else None
            if writes is None or writes.save_best(self._trained_weights(), position.step):
                position.best_metric, position.best_loss, position.best_step = value, loss, position.step
        if self.average:
            self.average.swap()
        self.model.train()
        return metrics

    def _is_measured(self, step: int) -> bool:
        interval = self.settings.eval_interval
        return step % (interval.steps or (interval.epochs or 1) * self.plan.steps_per_epoch) == 0

    def _reason_to_stop(self, is_last: bool) -> str | None:
        if self.position.step == self.plan.total_steps:
            return "max-steps" if self.settings.max_steps is not None else "epochs"
        if is_last:
            return "max-minutes"
        patience = self.settings.patience
        return "early stopping" if patience and self.position.measurements_since_best >= patience else None

    def _check_finite(self, value: float, name: str, step: Step, rate: float) -> None:
        if math.isfinite(value):
            return
        listed = ", ".join(str(row) for row in sorted(step.rows)[:LISTED_SAMPLES])
        more = f" and {len(step.rows) - LISTED_SAMPLES} more" if len(step.rows) > LISTED_SAMPLES else ""
        raise TrainingError(
            f"the {name} is {value} at step {step.number + 1} with learning rate {rate:.3g}, on the training rows "
            f"{listed}{more} (counted from 0); the weights were not changed by it. Look at these rows, or lower "
            "--learning-rate"
        )

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        is_low = self.settings.precision == "bfloat16"
        return lowered_precision(self.accelerator.device) if is_low else contextlib.nullcontext()

    def _sum_over_processes(self, values: list[float]) -> list[float]:
        if self.accelerator.num_processes == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        return self.accelerator.reduce(tensor, reduction="sum").tolist()  # pyright: ignore[reportAttributeAccessIssue]

    def _any_process(self, value: bool) -> bool:
        """Whether ``value`` is true in any process: clocks differ, and all have to do the same."""
        return value if self.accelerator.num_processes == 1 else self._sum_over_processes([float(value)])[0] > 0

    def _trained_weights(self) -> dict[str, torch.Tensor]:
        """Weights and buffers without the frozen weights, which come from the base model again."""
        frozen = {
            name for name, weight in self.model.named_parameters(remove_duplicate=False) if not weight.requires_grad
        }
        return {name: tensor for name, tensor in self.model.state_dict().items() if name not in frozen}

    def _save(self, state: StateFolder) -> bool:
        if not self.accelerator.is_main_process:
            return True
        tensors: dict[str, Any] = {
            "weights": self._trained_weights(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        if self.average:
            tensors["average"] = self.average.state_dict()
        return state.save(tensors, self.position)

    def _restore(self) -> None:
        saved = self.state.load() if self.state else None
        if saved is None:
            return
        self.position, tensors = saved
        self.position.resumes += 1
        self.model.load_state_dict(tensors["weights"], strict=False)
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(tensors["optimizers"][name])
        if self.average:
            self.average.load_state_dict(tensors["average"])


def _flat(line: Mapping[str, Any]) -> dict[str, float]:
    """A line of the log as trackers want it: ``validation/accuracy`` in place of a mapping."""
    nested = line.get("validation", {})
    return {name: value for name, value in line.items() if name != "validation"} | {
        f"validation/{name}": value for name, value in nested.items()
    }
