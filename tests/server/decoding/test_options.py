import math

import pytest

from stepwire_server.decoding.options import Limits, Options
from stepwire_server.errors import InvalidRequest

LIMITS = Limits(vocabulary_size=10, max_input_tokens=5, max_new_tokens=50)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature", 2.5, r"temperature must be in \[0, 2\], got 2.5"),
        ("temperature", math.nan, r"temperature must be in \[0, 2\], got nan"),
        ("temperature", -math.inf, r"temperature must be in \[0, 2\], got -inf"),
        ("top_p", 0.0, r"top_p must be in \(0, 1\], got 0"),
        ("min_p", 1.5, r"min_p must be in \[0, 1\], got 1.5"),
        ("repetition_penalty", 1e-44, r"repetition_penalty must be in \[0.01, 10\], got 1e-44"),
        ("presence_penalty", 3.0, r"presence_penalty must be in \[-2, 2\], got 3"),
        ("frequency_penalty", math.inf, r"frequency_penalty must be in \[-2, 2\], got inf"),
        ("no_repeat_ngram_size", 65, r"no_repeat_ngram_size must be in \[0, 64\], got 65"),
        ("logprobs", 21, r"logprobs must be in \[0, 20\], got 21"),
        ("stop", ("a",) * 17, r"number of stop must be in \[0, 16\], got 17"),
        ("stop", ("",), r"length of stop\[0\] must be in \[1, 256\], got 0"),
        ("stop_token_ids", (1,) * 65, r"number of stop_token_ids must be in \[0, 64\], got 65"),
        ("logit_bias", {3: math.nan}, r"logit_bias\[3\] must be in \[-100, 100\], got nan"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field, value, message):
    with pytest.raises(InvalidRequest, match=message):
        Options(max_tokens=1, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_tokens", 51, r"max_tokens must be in \[1, 50\], got 51"),
        ("max_tokens", 0, r"max_tokens must be in \[1, 50\], got 0"),
        ("min_tokens", 21, r"min_tokens must be in \[0, 20\], got 21"),
        ("top_k", 11, r"top_k must be in \[0, 10\], got 11"),
        ("stop_token_ids", (10,), r"stop_token_ids must be in \[0, 9\], got 10"),
        ("logit_bias", {10: 1.0}, r"logit_bias key must be in \[0, 9\], got 10"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_name(field, value, message):
    options = Options(**{"max_tokens": 20, field: value})
    with pytest.raises(InvalidRequest, match=message):
        options.check_against(LIMITS)
