"""The two tokenizers of a tagger: one cuts texts into words, one words into characters.

How a text is cut is written into the tokenizer's file, so that whoever serves the bundle
cuts alike. Words are looked up in lower case with zeros for digits; how they were really
written is told by their characters.
"""

from collections.abc import Sequence
from typing import Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from stepwire_training.data.tokens import SPACE, UNKNOWN

Cutting = Literal["english", "tweets", "korean", "commands", "characters"]

PAD = "<pad>"  # number 0 among the characters

_MARKS = "'\u2019"  # an apostrophe, straight or curled
_QUOTES = "``|''|[\u201c\u201d]"  # written as two marks, or curled
_ENDINGS = r"(?:s|m|d|re|ve|ll)\b"  # written with their word: it's, I'd, they'll

# As the English Web Treebank cuts: the first that fits.
_ENGLISH = "|".join(
    (
        r"(?:https?://|www\.)[^\s<>]*[^\s<>.,;:!?'\")\]]",
        r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
        r"[:;=]['-]?[()dp/]+(?!\w)",  # faces
        r"(?:[a-z]\.){2,}",  # U.S.
        r"\b(?:mr|mrs|ms|dr|st|jr|sr|inc|co|corp|ltd|vs|etc|prof|gen|sen|rep|gov)\.",
        r"0+(?:[.,:/]0+)*(?:st|nd|rd|th|s)?(?![a-z])",
        r"0+(?:[.,:]0+)*",
        r"can(?=not\b)",
        rf"[^\W_]+?(?=n[{_MARKS}]t\b)",
        rf"n[{_MARKS}]t\b",
        rf"[{_MARKS}]{_ENDINGS}",
        rf"[^\W_]+(?:[{_MARKS}](?!{_ENDINGS})[^\W_]+)*",
        r"([^\w\s])\1+",  # "...", "!!!"
        r"_+",
        r"[^\w\s]",
    )
)
# Names and topics keep their marks.
_TWEETS = rf"[@#]\w+|{_ENGLISH}"
# Korean is cut at spaces; what is neither letter nor digit stands alone.
_KOREAN = r"[^\W_]+(?:[.,:-][^\W_]+)*|([^\w\s])\1+|_+|[^\w\s]"
# Commands are cut at spaces and apostrophes; marks around words, which nobody says, are left out.
_UNSAID = rf"^[^\w&#@$+-]+|[^\w&+%$-]+$|[{_MARKS}]"
_ANY = r"[\s\S]"

_LETTERS = "0abcdefghijklmnopqrstuvwxyz',?!\"àáâäçèéêëíïñóôöüœæ"  # of reviews
# Words as in English; of what is no word only these marks are read, the rest is left out.
_REVIEWS = "|".join(
    (
        r"0+(?:[.,:]0+)*(?:st|nd|rd|th|s)?(?![a-z])",
        r"can(?=not\b)",
        rf"[^\W_]+?(?=n[{_MARKS}]t\b)",
        rf"n[{_MARKS}]t\b",
        rf"[{_MARKS}]{_ENDINGS}",
        rf"[^\W_]+(?:[{_MARKS}](?!{_ENDINGS})[^\W_]+)*",
        r'[,?!"]',
    )
)


def word_tokenizer(
    words: Sequence[str], cutting: Cutting, *, keeps_digits: bool = False
) -> Tokenizer:
    """A tokenizer of known words; the unknown word is number 0, the first known number 1."""
    vocabulary = {word: number for number, word in enumerate([UNKNOWN, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    steps = [normalizers.NFC(), normalizers.Lowercase()]
    if not keeps_digits:
        steps.append(normalizers.Replace(Regex(r"\d"), "0"))
    tokenizer.normalizer = normalizers.Sequence(steps)
    if cutting == "characters":
        return _of_characters(tokenizer)
    splits = {
        "english": pre_tokenizers.Split(Regex(_ENGLISH), "isolated"),
        "tweets": pre_tokenizers.Split(Regex(_TWEETS), "isolated"),
        "korean": pre_tokenizers.Split(Regex(_KOREAN), "isolated"),
        "commands": pre_tokenizers.Split(Regex(_UNSAID), "removed"),
    }
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), splits[cutting]]
    )
    return tokenizer


def review_tokenizer(texts: Sequence[str], size: int) -> Tokenizer:
    """A tokenizer of reviews, whose corpora have few marks: those are read, others are left out.

    Words that are common are one token, others are cut into pieces that more words have
    (Sennrich et al., 2016); the first piece of a word is marked as such.

    Args:
        texts: that say what is common.
        size: how many tokens there are, the unknown with them; it is number 0.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.NFC(), normalizers.Lowercase()),
            normalizers.Replace(Regex(r"\d"), "0"),
            normalizers.Replace(Regex(_QUOTES), '"'),
            normalizers.Replace("\u2019", "'"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(_REVIEWS), "removed", invert=True),
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[UNKNOWN],
        # The trainer's own choice among equally rare characters changes from run to run.
        initial_alphabet=[SPACE, *_LETTERS],
        limit_alphabet=1 + len(_LETTERS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _of_characters(tokenizer: Tokenizer) -> Tokenizer:
    """Lets each character be a word, white space with them."""
    # The one letter whose lower case is two code points, which would be two words.
    alone = normalizers.Replace("\u0130", "i")
    tokenizer.normalizer = normalizers.Sequence(
        [alone, tokenizer.normalizer, normalizers.Replace(Regex(r"\s"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_ANY), "isolated")
    return tokenizer


def character_tokenizer(characters: Sequence[str], cutting: Cutting) -> Tokenizer:
    """One token a character; number 0 pads, the last is the unknown.

    Letters of commands are read in lower case: who speaks has no others.
    """
    vocabulary = {char: number for number, char in enumerate([PAD, *characters, UNKNOWN])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFC()
    if cutting == "commands":
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_ANY), "isolated")
    return tokenizer
