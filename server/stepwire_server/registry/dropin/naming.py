"""What the names of tensors and axes say.

Names are hints and never proofs: whatever is taken from them is run before it is believed.
"""

import re
from typing import NamedTuple

BATCH = frozenset(
    {"n", "b", "bs", "batch", "batchsize", "batch_size", "nbatch", "rows", "num_seqs"}
)
TIME = frozenset(
    {
        *("t", "l", "time", "times", "timesteps", "seq", "sequence", "seq_len", "seqlen"),
        *(
            "sequence_length",
            "seq_length",
            "steps",
            "num_steps",
            "frames",
            "length",
            "len",
            "tokens",
        ),
    }
)
LENGTHS = re.compile(r"(?i)(^|[._/])(x_|input_|seq_|sequence_|text_|src_|source_)?len(s|gths?)?$")
LENGTHS_TOO = frozenset(
    {"seqlens", "seq_lens", "sequence_lens", "seqlen", "x_lens", "xlen", "xlens"}
)

_IN = frozenset(
    {"in", "input", "inp", "prev", "previous", "past", "old", "init", "initial", "last"}
)
_OUT = frozenset({"out", "output", "next", "new", "present", "final", "updated", "following"})
_SAME = {
    **{"hidden": "h", "hx": "h", "hs": "h", "cell": "c", "cx": "c", "cs": "c"},
    **{
        "mem": "memory",
        "buf": "buffer",
        "caches": "cache",
        "states": "state",
        "hn": "h",
        "cn": "c",
    },
}
_FILLER = frozenset({"state", "0", "n", "t", "1", "tensor"})
STATE_WORDS = frozenset(
    {"h", "c", "state", "cache", "memory", "buffer", "past", "present", "carry", "recurrent"}
)


class Stem(NamedTuple):
    """What a name is about, less the words that say which way it goes."""

    words: tuple[str, ...]
    side: str  # "in", "out", or "" where the name does not say


def words_of(name: str) -> list[str]:
    """Splits a name: `past_key_values.0.key` and `lstmStateH:0` alike."""
    name = re.sub(r":\d+$", "", name)
    name = re.sub(r"(?i)past_key_values", "past", name)
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def stem(name: str, loosely: bool = False) -> Stem:
    """What a name is about.

    Args:
        name: of a tensor.
        loosely: hold `hidden` and `h`, `h0` and `hn` for the same.
    """
    words = words_of(name)
    side = "in" if _IN & {*words} else "out" if _OUT & {*words} else ""
    left = [word for word in words if word not in _IN | _OUT]
    if loosely:
        left = [_SAME.get(word, word) for word in left]
        left = [word for word in left if word not in _FILLER] or left[:1]
    return Stem(tuple(left), side)


def sounds_like_state(name: str) -> bool:
    """Whether a person would take it for a state by its name."""
    words = [_SAME.get(word, word) for word in words_of(name)]
    return bool(STATE_WORDS & {*words}) or name.lower() in {"h0", "c0", "hn", "cn"}


def sounds_like_lengths(name: str) -> bool:
    """Whether a person would take it for the lengths of rows by its name."""
    bare = re.sub(r":\d+$", "", name)
    return bare.lower() in LENGTHS_TOO or bool(LENGTHS.search(bare))


def match_by_name(inputs: list[str], outputs: list[str]) -> dict[str, str]:
    """Finds the outputs that names make the next values of inputs.

    Only what is certain is matched: a stem that one input and one output have, by the
    strictest reading of names that tells them apart.

    Args:
        inputs: names of those that may be states.
        outputs: names of those that may be.

    Returns:
        The output of each input that has one.
    """
    matched: dict[str, str] = {}
    for loosely in (False, True):
        ins = _by_stem([name for name in inputs if name not in matched], loosely)
        outs = _by_stem([name for name in outputs if name not in matched.values()], loosely)
        for words, names in ins.items():
            if len(names) == 1 and len(outs.get(words, [])) == 1:
                matched[names[0]] = outs[words][0]
    return matched


def _by_stem(names: list[str], loosely: bool) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        words = stem(name, loosely).words
        if words:
            found.setdefault(words, []).append(name)
    return found
