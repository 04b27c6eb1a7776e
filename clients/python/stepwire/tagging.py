"""What tagging texts gives."""

from collections.abc import Sequence
from dataclasses import dataclass

from stepwire.messages import ScoredLabel

Taggable = str | Sequence[str]  # a text, or the words that it was cut into


@dataclass(frozen=True, kw_only=True)
class TaggedToken:
    """A word and what it was tagged as."""

    text: str  # as it stands in the text
    start: int  # where it begins in the text, in code points
    end: int  # the place behind its last
    tags: tuple[ScoredLabel, ...]  # what was chosen, then the likeliest others

    @property
    def tag(self) -> str:
        """The tag that was chosen."""
        return self.tags[0].label

    @property
    def score(self) -> float:
        """The probability of that tag."""
        return self.tags[0].score


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """The words of one text with their tags, and what the text is where the model says it."""

    tokens: tuple[TaggedToken, ...]  # none where the text is white space
    truncated: bool  # whether words over the model's limit were left out
    # Of the whole text, likeliest first; none where the model has none, or it has no words.
    labels: tuple[ScoredLabel, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag of each word."""
        return tuple(token.tag for token in self.tokens)
