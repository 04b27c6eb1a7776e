"""What the manifest of word vectors must say."""

from stepwire_server.registry.words import UNKNOWN_WORD
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import Graph, Manifest


def check_embedding(spec: Manifest) -> None:
    """Raises ManifestInvalid where a manifest promises what word vectors cannot do."""
    graph = spec.graphs.get("sequence")
    if graph is None:
        raise ManifestInvalid("graphs: task embedding needs a sequence graph")
    if not graph.buckets:
        raise ManifestInvalid("graphs.sequence.buckets: must hold a length")
    if spec.tokenizer.unknown != UNKNOWN_WORD:
        raise ManifestInvalid("tokenizer.unknown: must be 0 for task embedding")
    _check_outputs(graph, spec.tokenizer.vocabulary_size)


def _check_outputs(graph: Graph, words: int) -> None:
    """There must be one vector of any size, and a cosine with every word."""
    shapes = {
        role: [list(tensor.shape) for tensor in graph.outputs if tensor.role == role]
        for role in ("vector", "cosines")
    }
    if [len(shape) for shape in shapes["vector"]] != [1] or shapes["vector"][0][0] < 1:
        raise ManifestInvalid(f"{graph.file}: a vector of shape {shapes['vector']}, not one [E]")
    if shapes["cosines"] != [[words]]:
        raise ManifestInvalid(
            f"{graph.file}: cosines of shape {shapes['cosines']}, not one [{words}] for {words} "
            "words"
        )
