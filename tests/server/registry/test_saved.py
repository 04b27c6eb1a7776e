from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.decoding.beam import Hypothesis, Ledger
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import LengthNormalization, Options
from stepwire_server.engine.job import Ended, FinishReason, SavedRow, SavedSearch
from stepwire_server.registry.saved import Saved, SavedDrawn, read, write
from stepwire_server.registry.text import SavedText

TOKENS = st.lists(st.integers(0, 99), min_size=1, max_size=5).map(tuple)
FLOATS = st.floats(allow_nan=False)
LOGPROBS = st.lists(
    st.builds(
        TokenLogprobs, FLOATS, st.lists(st.tuples(st.integers(0, 9), FLOATS), max_size=2).map(tuple)
    ),
    max_size=3,
).map(tuple)
ROWS = st.builds(SavedRow, st.integers(0, 9), TOKENS, st.binary(max_size=20))
TEXTS = st.builds(
    SavedText,
    TOKENS.map(list),
    st.integers(0, 5),
    st.text(),
    st.lists(st.integers(0, 4), max_size=2),
    st.text(),
)
ATTENTION = st.none() | st.tuples(st.integers(1, 3), st.integers(1, 4)).map(
    lambda shape: np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
)
DRAWN = st.builds(
    SavedDrawn,
    row=ROWS,
    text=TEXTS,
    written=st.text(),
    logprob=FLOATS,
    steps=st.integers(0, 9),
    logprobs=LOGPROBS,
    attention=ATTENTION,
    ended=st.none() | st.builds(Ended, st.sampled_from(FinishReason), FLOATS, FLOATS, FLOATS),
)
HYPOTHESES = st.builds(
    Hypothesis, TOKENS, FLOATS, FLOATS, st.none() | st.integers(0, 9), LOGPROBS, ATTENTION
)
SEARCHES = st.builds(
    SavedSearch,
    st.builds(
        Ledger,
        length=st.integers(1, 9),
        live=st.lists(TOKENS, max_size=3),
        scores=st.lists(FLOATS | st.just(-float("inf")), max_size=3),
        logprobs=st.lists(LOGPROBS, max_size=3),
        attention=ATTENTION,
        finished=st.lists(HYPOTHESES, max_size=2).map(tuple),
        finished_count=st.integers(0, 9),
    ),
    st.lists(ROWS, min_size=1, max_size=3).map(tuple),
)
OPTIONS = st.builds(
    Options,
    max_tokens=st.integers(1, 99),
    temperature=st.floats(0, 2),
    seed=st.integers(0, 2**64 - 1),
    logit_bias=st.dictionaries(st.integers(0, 99), st.floats(-100, 100), max_size=3),
    stop=st.lists(st.text(min_size=1, max_size=5), max_size=2).map(tuple),
    stop_token_ids=st.lists(st.integers(0, 99), max_size=2).map(tuple),
    length_normalization=st.sampled_from(LengthNormalization),
    logprobs=st.none() | st.integers(0, 20),
)


def plain(value):
    """The same in what can be compared: arrays as their numbers."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    if isinstance(value, (tuple, list)):
        return type(value), [plain(each) for each in value]
    return plain(tuple(vars(value).items())) if isinstance(value, SavedDrawn | Saved) else value


@given(
    st.builds(
        Saved,
        tokens=TOKENS,
        prefix=TOKENS,
        options=OPTIONS,
        drawn=st.lists(DRAWN, max_size=3).map(tuple),
        search=st.none() | SEARCHES,
        sent=st.text(),
    )
)
def test_what_was_written_reads_as_it_was(saved):
    assert plain(read(write(saved))) == plain(saved)


def test_its_size_is_that_of_its_states_and_a_little():
    row = SavedRow(0, tuple(range(500)), bytes(8192))
    text = SavedText([1, 2], 1, "", [], "")
    saved = Saved(
        tokens=tuple(range(100)),
        options=Options(max_tokens=900),
        drawn=(SavedDrawn(row=row, text=text),),
    )
    longer = replace(saved, tokens=tuple(range(200)))
    assert len(write(saved)) < 8192 + 4 * 600 + 1000
    assert len(write(longer)) - len(write(saved)) < 100 * 5
