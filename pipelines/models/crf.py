"""A linear-chain conditional random field: scores of whole tag sequences, not of one tag at a time.

Lafferty, McCallum and Pereira 2001, "Conditional Random Fields"; as the last layer of a network: Lample et al. 2016,
"Neural Architectures for Named Entity Recognition", section 2.2, whose equations these are. Checked against the sum and
the maximum over all sequences, written out, in tests/pipelines/models/test_crf.py.

Axes: batch, words, labels.
"""

from __future__ import annotations

import torch
from torch import nn

from .shapes import check_shape


class ConditionalRandomField(nn.Module):
    """Scores of tags that follow each other.

    Attributes:
        transitions: ``(labels, labels)``, from row to column.
        starts: ``(labels,)`` of the first tag.
        ends: ``(labels,)`` of the last tag.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.empty(num_labels, num_labels))
        self.starts = nn.Parameter(torch.empty(num_labels))
        self.ends = nn.Parameter(torch.empty(num_labels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all scores anew, near zero: at first every sequence is as likely as its words make it."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def losses(self, emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Minus the log-likelihood of each sequence of tags, float32 ``(batch,)``; equation 1 of Lample et al.

        Args:
            emissions: ``(batch, words, labels)``, the network's scores.
            tags: ``(batch, words)`` int64; what stands at the padding is not looked at.
            mask: ``(batch, words)`` bool, True at words; words come first, and there is at least one.
        """
        emissions = self._checked(emissions, mask).float()
        tags = tags.masked_fill(~mask, 0)
        at_words = emissions.gather(2, tags[:, :, None]).squeeze(2).masked_fill(~mask, 0.0).sum(1)  # (batch,)
        steps = self.transitions[tags[:, :-1], tags[:, 1:]].masked_fill(~mask[:, 1:], 0.0).sum(1)  # (batch,)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)  # (batch,)
        score = self.starts[tags[:, 0]] + at_words + steps + self.ends[last]
        return self._log_sum(emissions, mask) - score

    def decode(self, emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The best sequence of tags (Viterbi 1967), ``(batch, words)`` int64; 0 at the padding."""
        emissions = self._checked(emissions, mask).float()
        scores = self.starts + emissions[:, 0]  # (batch, labels): of the best sequence that ends in each label
        origins = []
        for word in range(1, emissions.shape[1]):
            longer = scores[:, :, None] + self.transitions  # (batch, from, to)
            best, origin = longer.max(1)  # (batch, labels)
            is_word = mask[:, word, None]
            scores = torch.where(is_word, best + emissions[:, word], scores)
            # Behind the last word every tag comes from itself, so that the way back arrives there unchanged.
            stay = torch.arange(origin.shape[1], device=origin.device).expand_as(origin)
            origins.append(torch.where(is_word, origin, stay))
        tag = (scores + self.ends).argmax(1)  # (batch,)
        tags = [tag]
        for origin in reversed(origins):
            tag = origin.gather(1, tag[:, None]).squeeze(1)
            tags.append(tag)
        return torch.stack(tags[::-1], dim=1).masked_fill(~mask, 0)

    def marginals(self, emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The probability of each tag at each word, over all sequences, float32 ``(batch, words, labels)``.

        They are the gradient of the logarithm of the sum over all sequences, which a word's scores enter linearly.
        """
        with torch.inference_mode(False), torch.enable_grad():
            leaf = self._checked(emissions, mask).detach().float().clone().requires_grad_()
            (probabilities,) = torch.autograd.grad(self._log_sum(leaf, mask.clone()).sum(), leaf)
        return probabilities

    def _log_sum(self, emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The logarithm of the summed exponentiated scores of all sequences, ``(batch,)``."""
        scores = self.starts + emissions[:, 0]  # (batch, labels)
        for word in range(1, emissions.shape[1]):
            longer = torch.logsumexp(scores[:, :, None] + self.transitions, dim=1) + emissions[:, word]
            scores = torch.where(mask[:, word, None], longer, scores)
        return torch.logsumexp(scores + self.ends, dim=1)

    def _checked(self, emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``emissions``, once it is known that the shapes fit.

        Raises:
            ValueError: they do not, or a sequence has no word.
        """
        check_shape(emissions, ("batch", "words", len(self.starts)), name="emissions")
        check_shape(mask, tuple(emissions.shape[:2]), name="mask")
        if not bool(mask[:, 0].all()):
            raise ValueError("a sequence has no word, expected at least one; words come first, padding after them.")
        return emissions
