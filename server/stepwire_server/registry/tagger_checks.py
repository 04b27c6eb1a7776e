"""What the manifest of a tagger must say."""

from stepwire_server.registry.words import UNKNOWN_WORD
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import Manifest, Tokenizer
from stepwire_zoo.spelling import PADDING


def check_tagging(spec: Manifest) -> tuple[int, Tokenizer]:
    """Raises ManifestInvalid where a manifest promises what a tagger cannot do.

    Returns:
        How many characters the graph reads of a word, and what cuts words into them.
    """
    graph = spec.graphs.get("sequence")
    if graph is None:
        raise ManifestInvalid("graphs: task tagging needs a sequence graph")
    if spec.characters is None:
        raise ManifestInvalid("characters: task tagging needs a tokenizer of words' characters")
    if (spec.characters.pad, spec.tokenizer.unknown) != (PADDING, UNKNOWN_WORD):
        raise ManifestInvalid("characters.pad and tokenizer.unknown: must be 0 for task tagging")
    if spec.characters.unknown is None:
        raise ManifestInvalid("characters.unknown: is missing, words may hold any characters")
    longest = graph.buckets[-1] if graph.buckets else 0
    if longest < spec.limits.max_input_tokens:
        raise ManifestInvalid("graphs.sequence.buckets: must reach limits.max_input_tokens")
    shapes = {tensor.role: tensor.shape for tensor in (*graph.inputs, *graph.outputs)}
    if shapes.get("logits") != (-1, len(spec.labels)):
        raise ManifestInvalid(
            f"graphs.sequence.outputs: logits of shape {list(shapes.get('logits', ()))}, "
            f"not [-1, {len(spec.labels)}] for {len(spec.labels)} labels"
        )
    read = shapes.get("characters", ())
    if len(read) != 2 or read[1] < 1:
        raise ManifestInvalid(f"graphs.sequence.inputs: characters of shape {list(read)}")
    return read[1], spec.characters
