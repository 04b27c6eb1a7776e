import json
import sys

import pytest

TIDES = "time,wind,tide\n2024-01-01,10,1\n2024-01-02,20,2\n2024-01-03,30,3\n"


@pytest.fixture
def file(tmp_path):
    """Writes a file and gives its path."""

    def write(content, name="tides.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_columns_are_found_by_the_models_names_for_them(main, service, file):
    code, out, err = main("forecast", "sea", file(TIDES))
    assert (code, err) == (0, "")
    assert list(service.requests[-1].histories[0].values) == [1, 10, 2, 20, 3, 30]
    assert out.splitlines() == [
        "ahead  tide  tide spread  wind  wind spread  fed back",
        "1      4     2            31    2            no",
        "2      5     2            32    2            no",
        "3      6     2            33    2            no",
    ]


def test_columns_of_other_names_are_told_in_the_models_order(main, service, file):
    path = file("a,b,c\n1,2,3\n")
    assert main("forecast", "sea", path, "--columns", "c", "a")[0] == 0
    assert list(service.requests[-1].histories[0].values) == [3, 1]


def test_a_model_of_one_column_takes_the_only_one_that_holds_numbers(main, service, file):
    path = file("timestamp,value\n2014-04-01 00:00:00,1.5\n2014-04-01 00:05:00,-2e1\n")
    assert main("forecast", "level", path)[0] == 0
    assert list(service.requests[-1].histories[0].values) == [1.5, -20]


def test_a_column_of_the_models_name_comes_before_others(main, service, file):
    assert main("forecast", "level", file("a,OT\n1,2\n"))[0] == 0
    assert list(service.requests[-1].histories[0].values) == [2]
    assert main("forecast", "level", file("a,OT\n1,2\n"), "--column", "a")[0] == 0
    assert list(service.requests[-1].histories[0].values) == [1]


def test_standard_input_is_a_dash(stepwire, service):
    code, out, err = stepwire("forecast", "level", "-", stdin=b"\xef\xbb\xbfOT\r\n1\r\n2\r\n\r\n")
    assert (code, err) == (0, "")
    assert list(service.requests[-1].histories[0].values) == [1, 2]
    assert len(out.splitlines()) == 4


def test_what_is_asked_for_reaches_the_server(main, service, file):
    flags = ("--horizon", "5", "--quantiles", "0.1", "0.9", "--model-version", "2")
    code, out, _ = main("forecast", "level", file("OT\n1\n"), *flags)
    assert code == 0
    request = service.requests[-1]
    assert (request.horizon, list(request.quantiles), request.version) == (5, [0.1, 0.9], "2")
    head, *rows = (line.split("  ") for line in out.splitlines())
    assert [name.strip() for name in head if name] == [
        *("ahead", "OT", "OT spread", "OT 0.1", "OT 0.9", "fed back")
    ]
    assert [row[-1].strip() for row in rows] == ["no", "no", "no", "yes", "yes"]


def test_json_is_an_object_for_each_row_ahead(main, file):
    flags = ("--horizon", "4", "--quantiles", "0.5", "--json")
    code, out, _ = main("forecast", "sea", file(TIDES), *flags)
    told = [json.loads(line) for line in out.splitlines()]
    assert (code, len(told)) == (0, 4)
    assert told[3] == {
        "ahead": 4,
        "values": {"tide": 7, "wind": 34},
        "spread": {"tide": 2, "wind": 2},
        "quantiles": {"0.5": {"tide": 7.5, "wind": 34.5}},
        "fed_back": True,
    }


def test_csv_is_in_full_precision_and_can_be_read_again(main, file):
    code, out, _ = main("forecast", "level", file("OT\n0.1\n"), "--csv")
    assert code == 0
    head, first, *_ = out.splitlines()
    assert head == "ahead,OT,OT spread,fed back"
    assert first == "1,1.100000023841858,2.0,no"


def test_a_plot_is_a_png(main, file, tmp_path):
    image = tmp_path / "plot.png"
    code, out, err = main("forecast", "sea", file(TIDES), "--horizon", "5", "--plot", str(image))
    assert (code, err) == (0, "")
    assert image.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(out.splitlines()) == 6


def test_without_matplotlib_a_plot_says_what_to_install(main, service, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = main("forecast", "level", file("OT\n1\n"), "--plot", "plot.png")
    assert (code, service.requests) == (1, [])
    assert err == "stepwire: --plot needs matplotlib: pip install 'stepwire[cli]'\n"


def test_an_image_that_cannot_be_written_is_said_in_a_line(main, file, tmp_path):
    code, _, err = main(
        "forecast", "level", file("OT\n1\n"), "--plot", str(tmp_path / "no" / "plot.png")
    )
    assert code == 1
    assert "No such file or directory" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("model", "content", "flags", "message"),
    [
        ("sea", "tide,wind\n1,2\n3\n", (), "line 3 of FILE must have 2 cells, as the header has"),
        ("sea", "tide,wind\n1,2,3\n", (), "line 2 of FILE must have 2 cells, as the header has"),
        (
            "sea",
            "tide,wind\n1,2\n3,\n",
            (),
            "line 3 of FILE, column 'wind' must be a finite number, got a blank cell",
        ),
        (
            "sea",
            "tide,wind\n1,2\n3,x y\n",
            (),
            "line 3 of FILE, column 'wind' must be a finite number, got 'x y'",
        ),
        (
            "level",
            "OT\n1\nNaN\n",
            (),
            "line 3 of FILE, column 'OT' must be a finite number, got 'NaN'",
        ),
        ("level", "OT\ninf\n", (), "column 'OT' must be a finite number, got 'inf'"),
        ("level", "OT\n1_000\n", (), "column 'OT' must be a finite number, got '1_000'"),
        ("level", "OT\n1\n\n\n2\n", (), "line 3 of FILE is blank, and rows follow it"),
        ("level", "", (), "FILE is empty: it must have a header and rows"),
        ("level", "\n\n", (), "FILE is empty: it must have a header and rows"),
        ("level", "OT\n", (), "FILE has a header and no rows"),
        ("level", "1.5\n2.5\n", (), "line 1 of FILE must be a header, got numbers"),
        ("sea", "tide,rain\n1,2\n", (), "FILE has no column 'wind'; there are tide, rain"),
        ("sea", "tide,wind,tide\n1,2,3\n", (), "FILE has more than one column 'tide'"),
        ("level", "a,b\n1,2\n", (), "FILE has no column 'OT', and 2 that hold numbers: name one"),
        ("level", "a,b\nx,y\n", (), "FILE has no column 'OT', and 0 that hold numbers"),
        ("level", "a\n1\n", ("--column", "b"), "FILE has no column 'b'; there are a"),
        (
            "sea",
            "tide,wind\n1,2\n",
            ("--columns", "tide"),
            "--columns must name 2 columns, for tide, wind, got 1",
        ),
        ("level", b"OT\n1\n\xff\n", (), "line 3 of FILE must be UTF-8, got byte 0xff"),
        ("level", 'OT\n1\n"2\n', (), "line 3 of FILE: unexpected end of data"),
        ("echo", "OT\n1\n", (), "echo predicts no series"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_by_line_and_column(
    main, service, file, model, content, flags, message
):
    path = file(content)
    code, out, err = main("forecast", model, path, *flags)
    assert (code, out) == (1, "")
    assert message.replace("FILE", path) in err
    assert not any(hasattr(request, "histories") for request in service.requests)


def test_a_file_that_is_not_there_is_said_in_a_line(main):
    code, _, err = main("forecast", "level", "nowhere.csv")
    assert code == 1
    assert "nowhere.csv" in err


def test_json_and_csv_exclude_each_other(main, capfd):
    with pytest.raises(SystemExit, match="2"):
        main("forecast", "level", "x.csv", "--json", "--csv")
    assert "give --json or --csv, not both" in capfd.readouterr().err
