"""A state as bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.engine.layout import Layout

LAYOUT = Layout(
    (
        ("h", (2, 3), np.dtype(np.float32)),
        ("last", (1,), np.dtype(np.int64)),
        ("c", (), np.dtype(np.float32)),
    )
)


@given(st.lists(st.binary(min_size=36, max_size=36), min_size=1, max_size=4))
def test_a_row_is_read_alone_as_among_others(packed):
    together = LAYOUT.unpack_rows([*packed, bytes(36)])

    for place, row in enumerate(packed):
        for name, alone in LAYOUT.unpack_rows([row]).items():
            assert alone.dtype == together[name].dtype
            assert alone.shape == (1, *together[name].shape[1:])
            assert alone.tobytes() == together[name][place].tobytes()


@given(st.lists(st.binary(min_size=36, max_size=36), min_size=1, max_size=4))
def test_what_was_read_is_written_as_it_was(packed):
    rows = LAYOUT.pack_rows(LAYOUT.unpack_rows(packed))

    assert [row.tobytes() for row in rows] == packed
