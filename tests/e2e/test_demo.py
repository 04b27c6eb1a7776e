"""The part of the tour that kills its server."""

from clients import demo


def test_the_tour_kills_a_server_and_its_session_goes_on(capsys):
    demo.outlive_the_server()
    told = capsys.readouterr().out
    assert "SIGKILL" in told
    assert "the very same numbers" in told
