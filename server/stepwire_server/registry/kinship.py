"""Whether a state that one model gave means the same to another."""

from stepwire_zoo.bundle import Bundle
from stepwire_zoo.manifest import NO_TOKENIZER, Tokenizer


def are_kin(one: Bundle, other: Bundle) -> bool:
    """Whether sequences of one model can go on with the other.

    What they read, keep and tell is called the same and has the same shape and type, and
    tokens, labels and columns stand for the same things. The weights may differ.
    """
    return _meaning(one) == _meaning(other)


def _meaning(bundle: Bundle) -> tuple[object, ...]:
    spec = bundle.manifest
    step = spec.graphs.get("step")
    parts = (step.inputs, step.outputs, step.states) if step else None
    source = _vocabulary(bundle, spec.source_tokenizer or spec.tokenizer)
    target = _vocabulary(bundle, spec.tokenizer)
    letters = _vocabulary(bundle, spec.characters or NO_TOKENIZER)
    return (spec.task, parts, target, source, letters, spec.labels, spec.series)


def _vocabulary(bundle: Bundle, tokenizer: Tokenizer) -> tuple[object, ...]:
    if tokenizer == NO_TOKENIZER:
        return ()
    # The same file under another name is the same vocabulary.
    return (
        bundle.manifest.files[tokenizer.file].sha256,
        *(value for name, value in vars(tokenizer).items() if name != "file"),
    )
