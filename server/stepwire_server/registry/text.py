"""Between text and tokens.

Text that streams is never taken back: a piece goes out only when no later token can
change it.
"""

import asyncio
import json
import unicodedata
from collections.abc import Sequence

import tokenizers

from stepwire_server.errors import InvalidRequest
from stepwire_zoo import manifest
from stepwire_zoo.errors import FileMismatch

# Texts longer than this are tokenised in a thread, so that the event loop goes on.
_LONG_CHARACTERS = 4096
_BROKEN = "\ufffd"  # what a decoder gives for the first bytes of a character
_MOST_BYTES = 4  # of a character in UTF-8


class Tokenizer:
    """A bundle's tokenizer, with its limits."""

    def __init__(self, data: bytes, spec: manifest.Tokenizer, max_tokens: int) -> None:
        """Reads a tokenizer file.

        Raises:
            FileMismatch: it is no such file, or its vocabulary is not the manifest's.
        """
        try:
            text = data.decode()
            self._tokenizer = tokenizers.Tokenizer.from_str(text)
            # Tokens below the syllable (jamo, letters without accents) need composing.
            self.composes = "NFD" in json.dumps(json.loads(text).get("normalizer"))
        except Exception as error:  # the library raises plain Exceptions
            raise FileMismatch(f"{spec.file} cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        size = self._tokenizer.get_vocab_size()
        if size != spec.vocabulary_size:
            raise FileMismatch(f"{spec.file} has {size} tokens, not {spec.vocabulary_size}")
        self._spec = spec
        self._max_tokens = max_tokens
        longest = max(len(token) for token in self._tokenizer.get_vocab())
        self._max_characters = max_tokens * max(longest, 4)

    async def encode(
        self, field: str, text: str, *, truncate: bool = False
    ) -> tuple[list[int], bool]:
        """Turns a text into tokens.

        Args:
            field: what the caller calls the text, for messages.
            text: any text.
            truncate: cut it to the limit instead of refusing it.

        Returns:
            The tokens, and whether the text was cut.

        Raises:
            InvalidRequest: over the limit, or it holds a character that the model does
                not know and does not accept.
        """
        cut = len(text) > self._max_characters
        if cut and not truncate:
            allowed = f"have at most {self._max_tokens} tokens"
            raise InvalidRequest.of(field, allowed, f"{len(text)} characters")
        text = text[: self._max_characters]
        if len(text) > _LONG_CHARACTERS:
            encoding = await asyncio.to_thread(self._encode, text)
        else:
            encoding = self._encode(text)
        self._check_known(field, text, encoding)
        tokens = encoding.ids
        if len(tokens) > self._max_tokens and not truncate:
            allowed = f"have at most {self._max_tokens} tokens"
            raise InvalidRequest.of(field, allowed, len(tokens))
        return tokens[: self._max_tokens], cut or len(tokens) > self._max_tokens

    def check(self, field: str, tokens: Sequence[int]) -> list[int]:
        """Returns tokens that a caller gave, or raises InvalidRequest."""
        if len(tokens) > self._max_tokens:
            raise InvalidRequest.of(field, f"have at most {self._max_tokens} tokens", len(tokens))
        for index, token in enumerate(tokens):
            if not self._spec.holds(token):
                allowed = f"be in [0, {self._spec.vocabulary_size - 1}]"
                raise InvalidRequest.of(f"{field}[{index}]", allowed, token)
        return list(tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """Turns tokens into text, special ones included."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False)

    def _encode(self, text: str) -> tokenizers.Encoding:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _check_known(self, field: str, text: str, encoding: tokenizers.Encoding) -> None:
        if self._spec.accepts_unknown or self._spec.unknown not in encoding.ids:
            return
        start, end = encoding.offsets[encoding.ids.index(self._spec.unknown)]
        name = " ".join(f"U+{ord(character):04X}" for character in text[start:end])
        raise InvalidRequest.of(
            field,
            "hold only characters that the model knows",
            f"{text[start:end]!r} ({name}) at character {start}",
        )


class TextStream:
    """Turns the tokens of one sequence into text as they come."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._tokens: list[int] = []
        self._begin = 0  # tokens before this one no longer matter
        self._read = 0  # tokens before this one have become text
        self._open = ""  # text that a later token may still compose with
        self._held = ""  # text that may be the beginning of a stop
        self.stopped = False  # a stop appeared; nothing comes after it

    def push(self, tokens: Sequence[int]) -> str:
        """Takes tokens; returns the new text that no later token can change."""
        self._tokens += tokens
        before = self._tokenizer.decode(self._tokens[self._begin : self._read])
        text, end = self._whole_characters()
        if len(text) <= len(before):
            return ""
        # A chunk of context: decoders treat the first token of a text specially.
        self._begin, self._read = self._read, end
        return self._release(self._compose(text[len(before) :]))

    def finish(self) -> str:
        """Returns what was held back; nothing comes any more."""
        before = self._tokenizer.decode(self._tokens[self._begin : self._read])
        text = self._tokenizer.decode(self._tokens[self._begin :])
        rest = self._open + text[len(before) :]
        self._open = ""
        if self._tokenizer.composes:
            rest = unicodedata.normalize("NFC", rest)
        released = self._release(rest)
        held, self._held = self._held, ""
        return released if self.stopped else released + held

    def _whole_characters(self) -> tuple[str, int]:
        """Decodes up to the last token that ends a character; returns where that is."""
        end = len(self._tokens)
        for held in range(min(_MOST_BYTES, end - self._read)):
            text = self._tokenizer.decode(self._tokens[self._begin : end - held])
            if not text.endswith(_BROKEN):
                return text, end - held
        # Further back than any character reaches: these bytes will never be one.
        waits = end - self._read < _MOST_BYTES
        return ("", end) if waits else (self._tokenizer.decode(self._tokens[self._begin :]), end)

    def _compose(self, text: str) -> str:
        """Puts decomposed characters together; keeps the last one, it may go on."""
        if not self._tokenizer.composes:
            return text
        text = unicodedata.normalize("NFC", self._open + text)
        last = len(text) - 1
        while last > 0 and (unicodedata.combining(text[last]) or _is_medial(text[last])):
            last -= 1
        self._open = text[last:]
        return text[:last]

    def _release(self, text: str) -> str:
        """Holds back what may be the beginning of a stop, and ends at a whole one."""
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self._held, self.stopped = "", True
            return text[: min(found)]
        hold = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]


def _overlap(text: str, stop: str) -> int:
    """Finds how many characters at the end of a text begin a stop."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)


def _is_medial(character: str) -> bool:
    """Whether it is a Hangul vowel or final consonant that goes on a syllable."""
    return "\u1160" <= character <= "\u11ff"
