import numpy as np
import pytest

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.registry.opening import Opener
from stepwire_zoo.bundle import open_bundle, write_bundle
from stepwire_zoo.errors import FileMismatch, GoldenMismatch, ManifestInvalid
from stepwire_zoo.golden import GoldenCase, pack, unpack
from support.tiny import (
    BUCKETS,
    TinyCell,
    edit_manifest,
    write_classification,
    write_generation,
)
from support.tiny_attentive import write_attentive
from support.tiny_tagger import write_tagger
from support.tiny_word_tagger import write_word_tagger


@pytest.fixture
def opener():
    return Opener(batching=BatchingConfig(max_rows=4, max_batch=4), runtime=RuntimeConfig())


def republish(folder, **files):
    """Publishes a bundle again with other files, digests and all, as a bad tool would."""
    bundle = open_bundle(folder)
    old = {name: bundle.read(name) for name in bundle.manifest.files}
    write_bundle(folder, bundle.manifest, old | {n.replace("_", "."): f for n, f in files.items()})


def golden_of(folder):
    bundle = open_bundle(folder)
    return unpack(bundle.read("golden.npz"))


def test_a_good_bundle_is_proved(opener, tmp_path):
    opener.open(open_bundle(write_generation(tmp_path)))
    opener.open(open_bundle(write_classification(tmp_path)))
    assert opener.open(open_bundle(write_attentive(tmp_path))).stands_alone


def moved(outputs):
    """What a model would give that looks at another word of the longest text."""
    weights = outputs["attention"].copy()
    weights[2] = np.roll(weights[2], 1)
    return outputs | {"attention": weights}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (moved, GoldenMismatch, "golden attention, 4 rows of 16"),
        (lambda o: {"logits": o["logits"]}, FileMismatch, "no tensor 'attention'"),
        (lambda o: o | {"attention": o["attention"][:, :4]}, FileMismatch, r"shape \(3, 4\)"),
    ],
)
def test_a_classifier_that_looks_elsewhere_than_published_is_refused(
    opener, tmp_path, change, error, message
):
    folder = write_attentive(tmp_path, change=change)
    with pytest.raises(error, match=message):
        opener.open(open_bundle(folder))


def test_attention_of_anything_but_tokens_is_refused(opener, tmp_path):
    folder = write_attentive(tmp_path)
    edit_manifest(folder, lambda m: m["graphs"]["sequence"]["outputs"][1].update(shape=[2]))
    with pytest.raises(ManifestInvalid, match=r"outputs: attention of shape \[2\]"):
        opener.open(open_bundle(folder))


def test_a_model_runs_on_the_provider_that_its_manifest_names(opener, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(providers=["cpu"]))
    assert opener.open(open_bundle(folder)).provider == "CPUExecutionProvider"


def test_a_model_for_a_provider_that_is_not_there_is_refused(opener, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(providers=["cuda"]))
    with pytest.raises(ManifestInvalid, match="providers: provider 'cuda' is not there"):
        opener.open(open_bundle(folder))


def test_a_provider_that_nobody_knows_is_refused(opener, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(providers=["abacus"]))
    with pytest.raises(ManifestInvalid, match="providers: must be among cpu, cuda, got 'abacus'"):
        opener.open(open_bundle(folder))


def test_a_task_without_its_graph_is_refused(opener, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(graphs={"sequence": m["graphs"]["step"]}))
    with pytest.raises(ManifestInvalid, match="task generation needs a step graph"):
        opener.open(open_bundle(folder))


def test_buckets_that_do_not_reach_the_limit_are_refused(opener, tmp_path):
    folder = write_classification(tmp_path)
    edit_manifest(folder, lambda m: m["limits"].update(max_input_tokens=BUCKETS[-1] + 1))
    with pytest.raises(ManifestInvalid, match=r"buckets: must reach limits\.max_input"):
        opener.open(open_bundle(folder))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(decoding={"temperature": 50}), r"temperature must be in \[0, 2\]"),
        (lambda m: m.update(decoding={"bogus": 1}), "option must be one of .*, got bogus"),
        (
            lambda m: m["graphs"]["step"]["states"][0].update(start="context"),
            "start 'context' has no encode graph",
        ),
        (
            lambda m: m["graphs"]["step"]["outputs"][0].update(shape=[28]),
            r"logits of shape \[28\] for 29 tokens",
        ),
        (
            lambda m: m["graphs"]["step"]["inputs"][0].update(role="tokens"),
            "no tensor has the role 'token'",
        ),
        (lambda m: m["limits"].update(max_new_tokens=0), "must be at least 1 to generate"),
    ],
)
def test_a_manifest_that_promises_what_is_not_done_is_refused(opener, tmp_path, edit, message):
    folder = write_generation(tmp_path)
    edit_manifest(folder, edit)
    with pytest.raises(ManifestInvalid, match=message):
        opener.open(open_bundle(folder))


def test_labels_that_are_not_those_of_the_logits_are_refused(opener, tmp_path):
    folder = write_classification(tmp_path)
    edit_manifest(folder, lambda m: m.update(labels=["a", "b", "c"]))
    with pytest.raises(ManifestInvalid, match=r"logits of shape \[2\] for 3 labels"):
        opener.open(open_bundle(folder))


@pytest.mark.parametrize("spoil", ["one", "all"])
def test_a_golden_case_of_nan_proves_nothing_and_is_refused(opener, tmp_path, spoil):
    folder = write_generation(tmp_path)
    case = golden_of(folder)["step"]
    case.outputs["logits"][(0, 0, 0) if spoil == "one" else ...] = np.nan
    republish(folder, golden_npz=pack({"step": case}))
    with pytest.raises(GoldenMismatch, match="not finite"):
        opener.open(open_bundle(folder))


def test_a_golden_case_without_a_step_proves_nothing_and_is_refused(opener, tmp_path):
    folder = write_generation(tmp_path)
    empty = GoldenCase({"token": np.zeros((2, 0), int)}, {"logits": np.zeros((2, 0, 29))})
    republish(folder, golden_npz=pack({"step": empty}))
    with pytest.raises(FileMismatch, match=r"token of shape \(2, 0\)"):
        opener.open(open_bundle(folder))


def test_a_golden_case_that_cannot_be_run_is_the_bundles_fault(opener, tmp_path):
    folder = write_generation(tmp_path)
    case = golden_of(folder)["step"]
    case.inputs["token"][0, 0] = 1000
    republish(folder, golden_npz=pack({"step": case}))
    with pytest.raises(GoldenMismatch, match="cannot be run"):
        opener.open(open_bundle(folder))


def test_numbers_that_are_off_at_one_step_are_found(opener, tmp_path):
    folder = write_generation(tmp_path)
    case = golden_of(folder)["step"]
    case.outputs["logits"][1, 3, 5] += 0.01
    republish(folder, golden_npz=pack({"step": case}))
    with pytest.raises(GoldenMismatch, match=r"golden logits, 2 rows, step 3, \[1, 5\] is"):
        opener.open(open_bundle(folder))


def test_numbers_that_are_off_for_one_text_are_found(opener, tmp_path):
    folder = write_classification(tmp_path)
    case = golden_of(folder)["sequence"]
    case.outputs["logits"][2] += 0.01
    republish(folder, golden_npz=pack({"sequence": case}))
    with pytest.raises(GoldenMismatch, match="golden logits, 4 rows of 16, "):
        opener.open(open_bundle(folder))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (GoldenCase(), "the golden case has no tensor 'token'"),
        (GoldenCase({"token": np.array([[1]])}), "the golden case has no tensor 'logits'"),
    ],
)
def test_a_golden_case_that_proves_nothing_is_refused(opener, tmp_path, case, message):
    folder = write_generation(tmp_path)
    republish(folder, golden_npz=pack({"step": case, "other": GoldenCase({"x": np.zeros(1)})}))
    with pytest.raises(FileMismatch, match=message):
        opener.open(open_bundle(folder))


def test_a_graph_of_another_model_is_found_by_the_golden_case(opener, tmp_path):
    folder = write_generation(tmp_path)
    republish(folder, step_onnx=TinyCell(seed=9).graph())
    with pytest.raises(GoldenMismatch):
        opener.open(open_bundle(folder))


def test_a_good_tagger_is_proved(opener, tmp_path):
    opener.open(open_bundle(write_tagger(tmp_path)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("characters"), "characters: task tagging needs a tokenizer"),
        (
            lambda m: m["characters"].update(pad=1),
            "characters.pad and tokenizer.unknown: must be 0",
        ),
        (lambda m: m["tokenizer"].update(unknown=1), "characters.pad and tokenizer.unknown"),
        (lambda m: m["characters"].pop("unknown"), "characters.unknown: is missing"),
        (lambda m: m["characters"].update(file="no.json"), "'no.json' is used but not listed"),
        (lambda m: m["limits"].update(max_input_tokens=17), "must reach limits.max_input_tokens"),
        (lambda m: m["labels"].append("MORE"), r"logits of shape \[-1, 3\], not \[-1, 4\]"),
        (lambda m: m["graphs"].pop("sequence"), "task tagging needs a sequence or a step graph"),
        (
            lambda m: m.update(chain={"starts": [0.0], "steps": [[0.0]], "ends": [0.0]}),
            "chain: of 1 labels, not of 3",
        ),
        (
            lambda m: m["graphs"]["sequence"]["inputs"].pop(1),
            r"characters of shape \[\]|must have one tensor",
        ),
    ],
)
def test_a_tagger_that_promises_what_is_not_done_is_refused(opener, tmp_path, edit, message):
    folder = write_tagger(tmp_path)
    edit_manifest(folder, edit)
    with pytest.raises(ManifestInvalid, match=message):
        opener.open(open_bundle(folder))


def test_a_tagger_that_judges_texts_is_proved(opener, tmp_path):
    assert opener.open(open_bundle(write_tagger(tmp_path, judges=True))).graph.graph.judges


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m["text_labels"].append("MORE"), r"shape \[2\] for 3 text_labels"),
        (lambda m: m.pop("text_labels"), r"shape \[2\] for 0 text_labels"),
        (lambda m: m["graphs"]["sequence"]["outputs"].pop(), "shape None for 2 text_labels"),
    ],
)
def test_labels_of_texts_without_their_logits_are_refused(opener, tmp_path, edit, message):
    folder = write_tagger(tmp_path, judges=True)
    edit_manifest(folder, edit)
    with pytest.raises(ManifestInvalid, match=f"text_logits of {message}"):
        opener.open(open_bundle(folder))


def test_what_is_said_of_texts_must_come_out_as_published(opener, tmp_path):
    folder = write_tagger(tmp_path, judges=True)
    cases = golden_of(folder)
    cases["sequence"].outputs["text_logits"][2, 1] += 0.01
    republish(folder, golden_npz=pack(cases))
    with pytest.raises(GoldenMismatch, match=r"golden text_logits, \d rows of 16, row 2, \[1\]"):
        opener.open(open_bundle(folder))
    del cases["sequence"].outputs["text_logits"]
    republish(folder, golden_npz=pack(cases))
    with pytest.raises(FileMismatch, match="no tensor 'text_logits'"):
        opener.open(open_bundle(folder))


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (3,)])
def test_a_golden_case_that_judges_other_texts_is_refused(opener, tmp_path, shape):
    folder = write_tagger(tmp_path, judges=True)
    cases = golden_of(folder)
    cases["sequence"].outputs["text_logits"] = np.zeros(shape, np.float32)
    republish(folder, golden_npz=pack(cases))
    with pytest.raises((FileMismatch, GoldenMismatch), match="text_logits"):
        opener.open(open_bundle(folder))


def _spoil_logits(case):
    case.outputs["logits"][1, 6, 2] += 0.01


def _spoil_silence(case):
    case.outputs["logits"][1, 7:] = 99.0  # behind the text, where nothing is promised


def test_a_taggers_numbers_that_are_off_are_found_but_not_behind_its_text(opener, tmp_path):
    folder = write_tagger(tmp_path)
    cases = golden_of(folder)
    _spoil_silence(cases["sequence"])
    republish(folder, golden_npz=pack(cases))
    opener.open(open_bundle(folder))
    _spoil_logits(cases["sequence"])
    republish(folder, golden_npz=pack(cases))
    with pytest.raises(GoldenMismatch, match=r"golden logits, \d rows of 8, row 1, \[6, 2\]"):
        opener.open(open_bundle(folder))


@pytest.mark.parametrize("absent", ["tokens", "characters", "lengths"])
def test_a_taggers_golden_case_without_a_tensor_is_refused(opener, tmp_path, absent):
    folder = write_tagger(tmp_path)
    cases = golden_of(folder)
    del cases["sequence"].inputs[absent]
    republish(folder, golden_npz=pack(cases))
    with pytest.raises(FileMismatch, match=f"no tensor '{absent}'"):
        opener.open(open_bundle(folder))


def test_a_good_tagger_that_reads_word_by_word_is_proved(opener, tmp_path):
    assert opener.open(open_bundle(write_word_tagger(tmp_path))).stands_alone


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m["graphs"].pop("step"), "task tagging needs a sequence or a step graph"),
        (
            lambda m: m.update(labels=["NOUN"]),
            r"step\.onnx: logits of shape \[3\], not \[1\] for 1 labels",
        ),
        (
            lambda m: m.update(
                chain={"starts": [0.0] * 3, "steps": [[0.0] * 3] * 3, "ends": [0.0] * 3}
            ),
            "chain: needs the whole text, so a step graph has none",
        ),
        (lambda m: m.update(text_labels=["A", "B"]), "text_labels: needs the whole text"),
        (lambda m: m["graphs"]["step"]["inputs"][0].update(shape=[1]), r"word of shape \[1\]"),
        (
            lambda m: m["graphs"]["step"]["inputs"][0].update(role="token"),
            r"word of shape \[\], not \[1 \+ C\]",
        ),
        (lambda m: m.update(characters=None), "task tagging needs a tokenizer"),
    ],
)
def test_a_step_tagger_that_promises_what_is_not_done_is_refused(opener, tmp_path, edit, message):
    folder = write_word_tagger(tmp_path)
    edit_manifest(folder, edit)
    with pytest.raises(ManifestInvalid, match=message):
        opener.open(open_bundle(folder))


def test_a_step_taggers_numbers_that_are_off_are_found(opener, tmp_path):
    folder = write_word_tagger(tmp_path)
    cases = golden_of(folder)
    cases["step"].outputs["logits"][1, 3, 2] += 0.01
    republish(folder, golden_npz=pack(cases))
    with pytest.raises(GoldenMismatch, match=r"golden logits, \d rows, step 3"):
        opener.open(open_bundle(folder))
