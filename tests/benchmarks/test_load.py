from benchmarks.load.generation import GenerateRun, StreamTimes


def test_a_failed_stream_counts_no_token():
    whole = StreamTimes(0.0, [1.0, 2.0, 4.0], tokens=3)
    failed = StreamTimes(0.0, [0.1], failed=True)
    values = GenerateRun(2.0, [whole, failed]).values()
    assert values["tokens_per_s"] == 1.5
    assert values["first_piece_p50_ms"] == 1000
    assert values["stream_p50_ms"] == 4000
    assert values["piece_interval_p99_ms"] == 2000
    assert values["failed_streams"] == 1
