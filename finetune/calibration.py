"""Temperature scaling: confidence that equals accuracy (Guo et al. 2017, "On Calibration of Modern Neural Networks").

One number divides all logits. It changes no answer, only how sure the model says it is. Folded into the last linear
layer it travels with the weights, so that every loader gives the same probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy import optimize, special
from torch import Tensor, nn

from ..pipelines.errors import DataError, ShapeError

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of the temperature. On separable data the likelihood grows without end as it falls, so it must stop."""


def fit_temperature(logits: np.ndarray | Tensor, labels: np.ndarray | Tensor) -> float:
    """The temperature in [0.05, 20] that gives the labels the highest likelihood.

    Fit it on validation rows, never on those that are reported.

    Args:
        logits: (rows, classes), before softmax or sigmoid.
        labels: class ids (rows,), or 0 and 1 (rows, classes) for multi-label.

    Raises:
        DataError: no rows.
        ShapeError: the shapes do not fit, or a logit is not finite.
    """
    logits, labels = (
        np.asarray(torch.as_tensor(values).detach().float().cpu(), np.float64) for values in (logits, labels)
    )
    if not len(logits):
        raise DataError("there are no rows to fit a temperature on; give a validation split")
    if logits.ndim != 2 or labels.shape not in {logits.shape[:1], logits.shape} or not np.isfinite(logits).all():
        raise ShapeError(
            f"logits {logits.shape} and labels {labels.shape} do not fit: expected finite logits (rows, classes) "
            "and labels (rows,) or (rows, classes)"
        )
    if labels.ndim == 1:
        own = logits[np.arange(len(logits)), labels.astype(np.int64)]

        def loss(log_temperature: float) -> float:
            scale = np.exp(-log_temperature)
            return float(np.mean(special.logsumexp(logits * scale, axis=1) - own * scale))
    else:
        signed = logits * (2 * labels - 1)

        def loss(log_temperature: float) -> float:
            return float(np.mean(np.logaddexp(0, -signed * np.exp(-log_temperature))))

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    # where nothing can be gained (equal logits, one class) the model keeps its own scale
    best = float(found.x) if loss(float(found.x)) < loss(0.0) - 1e-9 else 0.0
    return float(np.clip(np.exp(best), LOWEST, HIGHEST))


def fold_temperature(
    model: nn.Module, temperature: float, num_labels: int, *, batch: Mapping[str, Tensor] | None = None
) -> bool:
    """Whether the last linear layer now divides all logits by ``temperature``; if not, the weights are as before.

    Own networks keep that layer as ``classifier``, transformers' models as the last ``Linear`` with one output a label.
    Each candidate is tried on a batch, and taken back unless exactly the division is seen.

    Args:
        model: a plain network, its adapter or a model of transformers; changed in place.
        temperature: greater than 0.
        num_labels: number of outputs.
        batch: arguments of the model's forward; None makes one of arbitrary tokens.
    """
    if not temperature > 0:
        raise ShapeError(f"the temperature is {temperature}, expected a number greater than 0")
    if temperature == 1:
        return True
    was_training = model.training
    model.eval()
    try:
        batch = _token_batch(model) if batch is None else batch
        before = _logits(model, batch)
        return any(_try_layer(model, layer, temperature, batch, before) for layer in _candidates(model, num_labels))
    finally:
        model.train(was_training)


def _candidates(model: nn.Module, num_labels: int) -> list[nn.Linear]:
    """Linear layers with one output a label, the most likely one first."""
    own = getattr(getattr(model, "network", model), "classifier", None)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and layer.out_features == num_labels]
    layers.reverse()  # the head comes after the body
    return sorted(layers, key=lambda layer: layer is not own)


@torch.no_grad()
def _try_layer(
    model: nn.Module, layer: nn.Linear, temperature: float, batch: Mapping[str, Tensor], before: Tensor
) -> bool:
    parameters = [parameter for parameter in (layer.weight, layer.bias) if parameter is not None]
    saved = [parameter.clone() for parameter in parameters]
    for parameter in parameters:
        parameter.div_(temperature)
    expected = before / temperature
    # rounding of the layer's own type; the sum over hidden units rounds a few times more
    tolerance = 16 * torch.finfo(layer.weight.dtype).eps * (1 + expected.abs().max().item())
    if torch.allclose(_logits(model, batch), expected, rtol=0, atol=tolerance):
        return True
    for parameter, value in zip(parameters, saved, strict=True):
        parameter.copy_(value)
    return False


@torch.no_grad()
def _logits(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    output = model(**batch)
    return (output if isinstance(output, Tensor) else output.logits).float()


def _token_batch(model: nn.Module) -> dict[str, Tensor]:
    """Two rows of twelve arbitrary tokens, (2, 12) int64; spread over the vocabulary so that the rows differ."""
    embedding = next((layer for layer in model.modules() if isinstance(layer, nn.Embedding)), None)
    vocab = 2 if embedding is None else embedding.num_embeddings
    device = next(model.parameters()).device
    tokens = (torch.arange(24, device=device) * 7919 % max(vocab - 1, 1) + min(1, vocab - 1)).reshape(2, 12)
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
