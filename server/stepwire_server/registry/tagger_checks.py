"""What the manifest of a tagger must say."""

from stepwire_server.registry.words import UNKNOWN_WORD
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import Graph, Manifest, Tokenizer
from stepwire_zoo.spelling import PADDING


def check_word_tagging(spec: Manifest) -> tuple[int, Tokenizer]:
    """The same as `check_tagging` for a tagger that reads word by word."""
    graph = spec.graphs["step"]
    _check_labels(spec, graph, ())
    for name in ("chain", "text_labels"):
        if getattr(spec, name):
            raise ManifestInvalid(f"{name}: needs the whole text, so a step graph has none")
    shapes = [tensor.shape for tensor in graph.inputs if tensor.role == "word"]
    shape = shapes[0] if shapes else ()
    if len(shape) != 1 or shape[0] < 2:
        raise ManifestInvalid(f"graphs.step.inputs: word of shape {list(shape)}, not [1 + C]")
    return shape[0] - 1, _checked_tokenizer(spec)


def check_tagging(spec: Manifest) -> tuple[int, Tokenizer]:
    """Raises ManifestInvalid where a manifest promises what a tagger cannot do.

    Returns:
        How many characters the graph reads of a word, and what cuts words into them.
    """
    graph = spec.graphs.get("sequence")
    if graph is None:
        raise ManifestInvalid("graphs: task tagging needs a sequence or a step graph")
    longest = graph.buckets[-1] if graph.buckets else 0
    if longest < spec.limits.max_input_tokens:
        raise ManifestInvalid("graphs.sequence.buckets: must reach limits.max_input_tokens")
    _check_labels(spec, graph, (-1,))
    _check_text_labels(spec, graph)
    return _characters_read(graph), _checked_tokenizer(spec)


def _check_labels(spec: Manifest, graph: Graph, words: tuple[int, ...]) -> None:
    """Every label must have a logit of each word, and a place in the chain if there is one."""
    count = len(spec.labels)
    found = [tensor.shape for tensor in graph.outputs if tensor.role == "logits"]
    if found != [(*words, count)]:
        raise ManifestInvalid(
            f"{graph.file}: logits of shape {list(found[0]) if found else None}, "
            f"not {[*words, count]} for {count} labels"
        )
    if spec.chain is not None and len(spec.chain.starts) != count:
        raise ManifestInvalid(f"chain: of {len(spec.chain.starts)} labels, not of {count}")


def _check_text_labels(spec: Manifest, graph: Graph) -> None:
    """Labels of whole texts and their logits are there together, one for each, or not at all."""
    found = [list(tensor.shape) for tensor in graph.outputs if tensor.role == "text_logits"]
    wanted = [[len(spec.text_labels)]] if spec.text_labels else []
    if found != wanted:
        raise ManifestInvalid(
            f"graphs.sequence.outputs: text_logits of shape {found[0] if found else None} "
            f"for {len(spec.text_labels)} text_labels"
        )


def _characters_read(graph: Graph) -> int:
    """How many characters of a word the graph reads."""
    found = [tensor.shape for tensor in graph.inputs if tensor.role == "characters"]
    shape = found[0] if found else ()
    if len(shape) != 2 or shape[1] < 1:
        raise ManifestInvalid(f"graphs.sequence.inputs: characters of shape {list(shape)}")
    return shape[1]


def _checked_tokenizer(spec: Manifest) -> Tokenizer:
    """What cuts words into characters."""
    characters = spec.characters
    if characters is None:
        raise ManifestInvalid("characters: task tagging needs a tokenizer of words' characters")
    if (characters.pad, spec.tokenizer.unknown) != (PADDING, UNKNOWN_WORD):
        raise ManifestInvalid("characters.pad and tokenizer.unknown: must be 0 for task tagging")
    if characters.unknown is None:
        raise ManifestInvalid("characters.unknown: is missing, words may hold any characters")
    return characters
