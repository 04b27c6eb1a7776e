"""A linear-chain conditional random field over the tags of a sentence.

Which tag may follow which is learned beside what each word says (Lafferty et al., 2001).
B rows, T positions, L labels.
"""

import torch
from torch import Tensor, nn


class Chain(nn.Module):
    """What it is worth to begin with a tag, to go from one to the next, and to end with one."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.starts = nn.Parameter(torch.zeros(labels))
        self.steps = nn.Parameter(torch.zeros(labels, labels))  # from, to
        self.ends = nn.Parameter(torch.zeros(labels))

    def nats(self, logits: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """What the right tags of each sentence cost.

        Args:
            logits: [B, T, L].
            tags: int64 [B, T], anything in [0, L) behind a row's length.
            lengths: int64 [B].

        Returns:
            [B], at least 0.
        """
        return self._all(logits, lengths) - self._given(logits, tags, lengths)

    def _given(self, logits: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """What one sequence of tags is worth, [B]."""
        inside = torch.arange(logits.shape[1]) < lengths.unsqueeze(1)  # [B, T]
        words = logits.gather(2, tags.unsqueeze(2)).squeeze(2)
        steps = self.steps[tags[:, :-1], tags[:, 1:]]
        last = tags.gather(1, lengths.unsqueeze(1) - 1).squeeze(1)
        total = (words * inside).sum(dim=1) + (steps * inside[:, 1:]).sum(dim=1)
        return total + self.starts[tags[:, 0]] + self.ends[last]

    def _all(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """What all sequences together are worth: the logarithm of the sum, [B]."""
        reached = self.starts + logits[:, 0]  # [B, L]
        for place in range(1, logits.shape[1]):
            following = (reached.unsqueeze(2) + self.steps).logsumexp(dim=1) + logits[:, place]
            reached = torch.where((place < lengths).unsqueeze(1), following, reached)
        return (reached + self.ends).logsumexp(dim=1)

    def best(self, logits: Tensor) -> list[int]:
        """The likeliest tags of one sentence of logits [T, L]: Viterbi's algorithm."""
        reached, came_from = self.starts + logits[0], []
        for scores in logits[1:]:
            values, places = (reached.unsqueeze(1) + self.steps).max(dim=0)
            came_from.append(places)
            reached = values + scores
        path = [int((reached + self.ends).argmax())]
        for places in reversed(came_from):
            path.append(int(places[path[-1]]))
        return path[::-1]
