import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stepwire_training.eight_bits import LARGEST, in_8_bits
from stepwire_training.finished import shorten_matrices, shorten_tables
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.word_vectors import NoiseContrast

TABLES = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.floats(-1e4, 1e4, width=32),
)


@given(TABLES)
def test_what_was_rounded_once_is_rounded_to_itself(table):
    once = in_8_bits(table)
    again = in_8_bits(once.widened())

    assert np.array_equal(again.whole, once.whole)
    assert np.array_equal(again.scales, once.scales)


@given(TABLES)
def test_products_of_whole_numbers_and_scales_are_exact(table):
    rows = in_8_bits(table)

    assert (rows.widened() == rows.whole.astype(np.float64) * rows.scales.astype(np.float64)).all()
    assert np.abs(rows.whole.astype(int)).max() <= LARGEST


@given(TABLES)
def test_a_value_moves_by_half_a_step_of_its_row_at_most(table):
    rows = in_8_bits(table)

    assert (np.abs(rows.widened() - table) <= 0.5001 * rows.scales.astype(np.float32)).all()
    largest = np.abs(table).max(axis=1, keepdims=True)
    used = rows.scales.astype(np.float32) > 2**-14  # of a row that is not next to nothing
    assert (rows.scales.astype(np.float32) <= 1.001 * largest / LARGEST)[used].all()


def test_rows_have_scales_of_their_own():
    table = np.array([[1.0, -0.5], [100.0, 1.0], [0.0, 0.0]], np.float32)
    widened = in_8_bits(table).widened()

    assert widened == pytest.approx(table, rel=0.3)
    assert widened[0] == pytest.approx(table[0], rel=0.01)
    assert (widened[2] == 0).all()


def test_tables_of_a_model_are_rounded_and_nothing_else():
    config = Classifier.Config(encoder=Encoder.Config(layers=1, hidden=4, embedding=6))
    model = config.build(9, 2)
    table = model.encoder.embedding.weight
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    shorten_tables(model)

    moved = {name for name, weight in model.named_parameters() if (weight != before[name]).any()}
    assert moved == {"encoder.embedding.weight"}
    assert np.array_equal(in_8_bits(table.detach().numpy()).widened(), table.detach().numpy())


def test_all_matrices_are_rounded_and_no_bias():
    config = LanguageModel.Config(cell="lstm", layers=1, hidden=4, embedding=6)
    model = config.build(9, 0)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    shorten_matrices(model)

    moved = {name for name, weight in model.named_parameters() if (weight != before[name]).any()}
    assert moved == {name for name, weight in model.named_parameters() if weight.dim() == 2}
    assert moved >= {"embedding.weight", "output.weight", "layers.0.weight_hh"}


def test_words_of_every_class_are_rounded():
    config = LanguageModel.Config(cell="lstm", layers=1, hidden=32, embedding=32, cuts=(9, 20))
    model = config.build(50, 0)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    shorten_tables(model)

    moved = {name for name, weight in model.named_parameters() if (weight != before[name]).any()}
    assert moved == {"words.head.weight", "words.rare.0.vectors", "words.rare.1.vectors"}


def test_word_vectors_are_rounded_when_their_parts_are_put_together():
    model = NoiseContrast.Config(size=4, made_of=2).build(6, 0, 2)
    in_half = model.published()
    shorten_tables(model)

    assert not torch.equal(model.published(), in_half)
    assert np.array_equal(
        model.published().numpy(), in_8_bits(model.table().detach().numpy()).widened()
    )
