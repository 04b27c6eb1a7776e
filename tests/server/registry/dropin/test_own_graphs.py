"""The zoo's own graphs without their manifests: what is found must be what those say."""

from pathlib import Path

import pytest

from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.errors import FileMismatch
from stepwire_zoo.index import find_bundles

BUNDLES = Path(__file__).parents[4] / "model_zoo/bundles"
READS_WORDS = "pos-en-stream"  # its one input numbers a word and its characters
# Find contexts, or the classes of words, by arithmetic, where others look tokens up.
COMPUTE = ("shakespeare-ngram", "wikitext2-lstm")
GRAPHS = [
    pytest.param(place, role, id=f"{place.name}-{role}")
    for place in find_bundles(BUNDLES)
    for role in open_bundle(place.folder).manifest.graphs
    if place.name != READS_WORDS
]


@pytest.mark.parametrize(("place", "role"), GRAPHS)
def test_what_is_found_is_what_the_manifest_says(opened, place, role):
    bundle = open_bundle(place.folder)
    described = bundle.manifest.graphs[role]
    proved = opened(bundle.read(described.file), most=32)
    states = {pair.input.name: pair.output.name for pair in proved.wiring.states}
    if any(tensor.role == "places" for tensor in described.inputs):
        # Rows of a search are named by number in another input: they are no rows by themselves.
        assert not proved.wiring.batched
        return
    assert states == {state.input: state.output for state in described.states}
    assert proved.wiring.merges
    wires = (*proved.wiring.inputs, *(pair.input for pair in proved.wiring.states))
    assert {wire.batch_axis for wire in wires} == {0}
    lengths = [tensor.name for tensor in described.inputs if tensor.role == "lengths"]
    assert [proved.wiring.lengths] == (lengths or [None])
    for tensor in described.inputs:
        if tensor.role in ("token", "tokens"):
            tokenizer = bundle.manifest.source_tokenizer or bundle.manifest.tokenizer
            if place.name in COMPUTE:
                assert not proved.inspected.ranges
                continue
            parts = bundle.manifest.subwords  # words are read as parts of words too
            known = tokenizer.vocabulary_size + (parts.tokenizer.vocabulary_size if parts else 0)
            assert proved.inspected.ranges[tensor.name] == known


def test_an_input_whose_numbers_are_of_several_tables_is_refused_without_its_manifest(opened):
    bundle = open_bundle(BUNDLES / READS_WORDS / "1")
    with pytest.raises(FileMismatch, match="does not run on any inputs that were made up"):
        opened(bundle.read(bundle.manifest.graphs["step"].file), most=32)
