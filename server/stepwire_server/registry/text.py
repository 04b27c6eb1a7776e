"""Between text and tokens.

Text that streams is never taken back: a piece goes out only when no later token can
change it.
"""

import asyncio
import json
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import tokenizers

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.composing import Composed, composed
from stepwire_server.registry.stops import StopMatcher
from stepwire_zoo import manifest
from stepwire_zoo.errors import FileMismatch

# Texts that are longer together are tokenised in a thread, so that the event loop goes on.
_LONG_CHARACTERS = 2048
_BROKEN = "\ufffd"  # what a decoder gives for bytes that are no character, or not yet
_MOST_BYTES = 4  # of a character in UTF-8, and so of its tokens
Prompt = str | Sequence[int]  # a text, or its tokens

CONTEXT = 4  # tokens of the prompt that may change how the first new one is written
_LONGEST_WINDOW = 64  # tokens that may give no text before they are given up


def are_long(texts: Sequence[str]) -> bool:
    """Whether the event loop should not be kept for them."""
    return sum(map(len, texts)) > _LONG_CHARACTERS


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
        # Every look at the tokenizer's own makes a new one.
        self._normalizer = self._tokenizer.normalizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A caller who writes "<end>" means five characters.
        self._tokenizer.encode_special_tokens = True
        vocabulary = self._tokenizer.get_vocab()
        if sorted(vocabulary.values()) != list(range(spec.vocabulary_size)):
            raise FileMismatch(
                f"{spec.file} has {len(vocabulary)} tokens up to {max(vocabulary.values())}, "
                f"not those from 0 to {spec.vocabulary_size - 1}"
            )
        self._spec = spec
        self._max_tokens = max_tokens
        # Some characters are composed from up to four before they are looked up.
        self._max_characters = max_tokens * max(map(len, vocabulary)) * 4

    def texts(self) -> list[str]:
        """What each token is by itself, in their order."""
        return [self.decode([token]) for token in range(self._spec.vocabulary_size)]

    def vocabulary(self) -> list[str]:
        """Every token as the file writes it, by its number."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    @property
    def nothing(self) -> list[int] | None:
        """What stands for a text without tokens: the unknown one, if there is one."""
        return None if self._spec.unknown is None else [self._spec.unknown]

    async def encode(self, field: str, text: str) -> list[int]:
        """Turns one text into tokens; the rest is as in `encode_all`."""
        [(tokens, _)] = await self.encode_all([field], [text])
        return tokens

    async def encode_all(
        self, fields: Sequence[str], texts: Sequence[str]
    ) -> list[tuple[list[int], bool]]:
        """Does what `encode_now` does, beside the event loop if it takes long."""
        if are_long(texts):
            return await asyncio.to_thread(self.encode_now, fields, texts)
        return self.encode_now(fields, texts)

    def encode_now(
        self, fields: Sequence[str], texts: Sequence[str], *, truncate: bool = False
    ) -> list[tuple[list[int], bool]]:
        """Turns texts into tokens, and says of each whether it was cut.

        Args:
            fields: what the caller calls each text, for messages.
            texts: any texts.
            truncate: cut them to the limit instead of refusing them.

        Raises:
            InvalidRequest: one is over the limit, or holds a character that the model does
                not know and does not accept.
        """
        if not truncate:
            for field, text in zip(fields, texts, strict=True):
                self._check_length(field, len(text), self._max_characters, "characters")
        cut = [text[: self._max_characters] for text in texts]
        all_tokens = self._encode(cut)
        for field, text, tokens in zip(fields, cut, all_tokens, strict=True):
            self._check_known(field, text, tokens)
            if not truncate:
                self._check_length(field, len(tokens), self._max_tokens, "tokens")
        return [
            (tokens[: self._max_tokens], len(tokens) > self._max_tokens or part != text)
            for text, part, tokens in zip(texts, cut, all_tokens, strict=True)
        ]

    async def read_all(
        self,
        collection: str,
        prompts: Sequence[Prompt],
        names: tuple[str, str] = ("text", "tokens"),
        indices: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """Turns texts into tokens, and checks tokens.

        Args:
            collection: what the caller calls the list that they stand in, for messages.
            prompts: texts or tokens.
            names: what the caller calls either.
            indices: where each stands in that list, if not in order.

        Raises:
            InvalidRequest: as `encode_all` and `check` say.
        """
        places = list(range(len(prompts)) if indices is None else indices)
        texts = {i: prompt for i, prompt in enumerate(prompts) if isinstance(prompt, str)}
        fields = [f"{collection}[{places[index]}].{names[0]}" for index in texts]
        encoded = await self.encode_all(fields, list(texts.values()))
        tokens_of = dict(zip(texts, (tokens for tokens, _ in encoded), strict=True))
        return [
            tokens_of[index]
            if isinstance(prompt, str)
            else self.check(f"{collection}[{places[index]}].{names[1]}.ids", prompt)
            for index, prompt in enumerate(prompts)
        ]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the tokens of a text begin and end in it, in code points."""
        return self._tokenizer.encode(text, add_special_tokens=False).offsets

    def spans_of(self, text: str, tokens: Sequence[int]) -> list[tuple[int, int]]:
        """Where the tokens stand that `encode_now` made of a text, in its code points.

        White space at the ends of a token is left out, unless it is nothing else.
        """
        # The library loses its place in decomposed Hangul. Composed text has other tokens only
        # where a tokenizer tells spellings apart, and then it decomposes nothing either.
        read = text[: self._max_characters]
        whole = composed(read)
        encoding = self._tokenizer.encode(whole.text, add_special_tokens=False)
        if encoding.ids[: len(tokens)] != tokens:
            whole = Composed(read, range(len(read) + 1))
            encoding = self._tokenizer.encode(read, add_special_tokens=False)
        places = whole.places
        return [
            _trimmed(text, places[first], places[last])
            for first, last in encoding.offsets[: len(tokens)]
        ]

    def look_up(self, word: str) -> int | None:
        """The token that a whole word is, if there is one."""
        return self.number(self.normalized(word))

    def normalized(self, text: str) -> str:
        """A text as the tokens write it."""
        return self._normalizer.normalize_str(text) if self._normalizer is not None else text

    def number(self, token: str) -> int | None:
        """The number of a token, if there is one that is written so."""
        return self._tokenizer.token_to_id(token)

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are."""
        return self._spec.vocabulary_size

    def check(self, field: str, tokens: Sequence[int]) -> list[int]:
        """Returns tokens that a caller gave, or raises InvalidRequest."""
        self._check_length(field, len(tokens), self._max_tokens, "tokens")
        tokens, size = list(tokens), self._spec.vocabulary_size
        if max(tokens, default=0) >= size:
            place = next(place for place, token in enumerate(tokens) if token >= size)
            raise InvalidRequest.of(f"{field}[{place}]", f"be in [0, {size - 1}]", tokens[place])
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Turns tokens into text, special ones included."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False)

    def composed(self, text: str) -> str:
        """Decoded text of a complete sequence, its characters put together."""
        return unicodedata.normalize("NFC", text) if self.composes else text

    def settled(self, text: str) -> str:
        """Decoded text of a sequence that goes on, less what a later token may change."""
        text = self.composed(text.rstrip(_BROKEN))
        return _settle(text) if self.composes else text

    def _encode(self, texts: list[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _check_length(self, field: str, length: int, most: int, unit: str) -> None:
        if length > most:
            allowed = f"have at most {self._max_tokens} tokens"
            raise InvalidRequest.of(field, allowed, f"{length} {unit}")

    def _check_known(self, field: str, text: str, tokens: list[int]) -> None:
        unknown = self._spec.unknown
        if self._spec.accepts_unknown or unknown not in tokens:
            return
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        start, end = encoding.offsets[encoding.ids.index(unknown)]
        name = " ".join(f"U+{ord(character):04X}" for character in text[start:end])
        raise InvalidRequest.of(
            field,
            "hold only characters that the model knows",
            f"{text[start:end]!r} ({name}) at character {start}",
        )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A part of a text without the white space at its ends."""
    part = text[start:end]
    if not part.strip():
        return start, end
    return end - len(part.lstrip()), start + len(part.rstrip())


class SavedText(NamedTuple):
    """A text between two tokens: what was not sent, and what may change how it goes on."""

    tokens: list[int]
    read: int  # of these have become text
    open: str  # text that a later token may still compose with
    matched: list[int]  # characters of each stop
    held: str  # what may be the beginning of a stop


class TextStream:
    """Turns the tokens of one sequence into text as they come."""

    def __init__(
        self, tokenizer: Tokenizer, stops: Sequence[str], prompt: Sequence[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._matcher = StopMatcher(stops)
        self._tokens = list(prompt[-CONTEXT:])
        self._begin = 0  # tokens before this one no longer matter
        self._read = len(self._tokens)  # tokens before this one have become text
        self._open = ""  # text that a later token may still compose with

    def save(self) -> SavedText:
        """What it takes to go on, while nothing has stopped."""
        window = self._tokens[self._begin :]
        return SavedText(window, self._read - self._begin, self._open, *self._matcher.save())

    def restore(self, saved: SavedText) -> None:
        """Goes on where another with the same stops was saved."""
        self._tokens, self._begin, self._read = list(saved.tokens), 0, saved.read
        self._open = saved.open
        self._matcher.restore((saved.matched, saved.held))

    @property
    def stopped(self) -> bool:
        """Whether a stop appeared; nothing comes after it."""
        return self._matcher.stopped

    def push(self, tokens: Sequence[int]) -> str:
        """Takes tokens; returns the new text that no later token can change."""
        self._tokens += tokens
        text, end = self._whole_characters()
        before = self._tokenizer.decode(self._tokens[self._begin : self._read])
        if len(text) <= len(before):
            if end - self._begin > _LONGEST_WINDOW:
                self._begin = self._read = end
            return ""
        # A chunk of context: decoders treat the first token of a text specially.
        self._begin, self._read = self._read, end
        return self._matcher.push(self._compose(text[len(before) :]))

    def finish(self) -> str:
        """Returns what was held back; nothing comes any more."""
        before = self._tokenizer.decode(self._tokens[self._begin : self._read])
        text = self._tokenizer.decode(self._tokens[self._begin :])
        rest = self._open + text[len(before) :]
        if self._tokenizer.composes:
            rest = unicodedata.normalize("NFC", rest)
        return self._matcher.push(rest) + self._matcher.finish()

    def _whole_characters(self) -> tuple[str, int]:
        """Decodes up to the last token that ends a character; returns where that is."""
        end = len(self._tokens)
        most = min(_MOST_BYTES - 1, end - self._read)  # the last character has one more
        for held in range(most + 1):
            text = self._tokenizer.decode(self._tokens[self._begin : end - held])
            if not text.endswith(_BROKEN):
                break
        # If none does, what lies further back than any character reaches will never be one.
        return text, end - held

    def _compose(self, text: str) -> str:
        """Puts decomposed characters together; keeps the last one, it may go on."""
        if not self._tokenizer.composes:
            return text
        text = unicodedata.normalize("NFC", self._open + text)
        settled = _settle(text)
        self._open = text[len(settled) :]
        return settled


def _settle(text: str) -> str:
    """Drops the last character of composed text, which may go on to compose."""
    last = len(text) - 1
    while last > 0 and (unicodedata.combining(text[last]) or _is_medial(text[last])):
        last -= 1
    return text[: max(0, last)]


def _is_medial(character: str) -> bool:
    """Whether it is a Hangul vowel or final consonant that goes on a syllable."""
    return "\u1160" <= character <= "\u11ff"
