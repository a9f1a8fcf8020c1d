"""How well a language model foretells text: per token and, to compare models of other tokens, per character."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cards.facts import MetricFact
from ..pipelines.errors import DataError
from . import bootstrap as resampling

DIRECTIONS = {"perplexity": False, "bits_per_character": False, "accuracy": True, "loss": False}
"""Names of the metrics, the main one first → whether higher is better; ``loss`` is in nats per token."""


def language_metrics(
    sums: np.ndarray,
    characters: np.ndarray | Sequence[int],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    leave_out: Sequence[str] = (),
) -> tuple[MetricFact, ...]:
    """The metrics with 95 % bootstrap percentile intervals; whole rows are drawn.

    Args:
        sums: of each row, float64 (rows, 3), as `next_tokens.add_up` gives them.
        characters: of each row.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.
        leave_out: names of metrics.

    Raises:
        DataError: there are no tokens to foretell.
    """
    if not sums[:, 1].sum():
        raise DataError("the split has no text to foretell, so nothing can be measured; choose another with --split")
    values_of_row = np.column_stack([sums, np.asarray(characters, dtype=np.float64)])  # (rows, 4)

    def statistics(counts: resampling.Counts) -> dict[str, np.ndarray]:
        losses, tokens, right, length = values_of_row.T @ counts  # each (resamples,)
        loss = resampling.ratio(losses, tokens)
        return {
            "perplexity": np.exp(loss),
            "bits_per_character": resampling.ratio(losses / np.log(2), length),
            "accuracy": resampling.ratio(right, tokens),
            "loss": loss,
        }

    values = {name: float(value[0]) for name, value in statistics(np.ones((len(sums), 1))).items()}
    ends = resampling.intervals(statistics, len(sums), resamples=bootstrap, seed=seed)
    return tuple(
        MetricFact(name, values[name], *resampling.end(ends, name), higher_is_better=DIRECTIONS[name])
        for name in DIRECTIONS
        if name not in leave_out
    )
