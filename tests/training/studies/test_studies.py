import re
from pathlib import Path

import pytest

from stepwire_training.studies import exposure, gradients, long_lags, truncation
from stepwire_training.studies.__main__ import STUDIES, main
from stepwire_training.studies.findings import read

MODULES = {
    "exposure": exposure,
    "gradients": gradients,
    "long_lags": long_lags,
    "truncation": truncation,
}
TABLES = {"exposure": ["exposure", "exposure_places"], "gradients": ["gradients", "clipping"]}
LECTURES = Path(__file__).parents[3] / "docs" / "lectures"


def tables_in(folder, study):
    return {name: read(folder / f"{name}.csv") for name in TABLES.get(study, [study])}


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_writes_tables_and_pictures(study, tmp_path):
    out = tmp_path / "made" / "here"
    assert main([study, "--quick", "--out", str(out)]) == 0
    tables = tables_in(out, study)
    for heading, *rows in tables.values():
        assert rows
        assert {len(row) for row in rows} == {len(heading)}
    assert (out / f"{study}.png").read_bytes().startswith(b"\x89PNG")
    assert all(len(table) > 1 for table in MODULES[study].shown(tables))


@pytest.mark.parametrize("study", STUDIES)
def test_a_page_shows_the_figures_that_its_study_wrote(study):
    page = (LECTURES / f"{study}.md").read_text()
    for table in MODULES[study].shown(tables_in(LECTURES, study)):
        for row in table:
            assert f"| {' | '.join(row)} |" in page
    assert f"python -m stepwire_training.studies {study}" in page


@pytest.mark.parametrize("study", STUDIES)
def test_the_pictures_of_a_page_are_there_and_small(study):
    pictures = re.findall(r"!\[.+\]\((.+)\)", (LECTURES / f"{study}.md").read_text())
    assert f"{study}.png" in pictures
    assert all((LECTURES / picture).stat().st_size < 80 * 1024 for picture in pictures)


def test_the_index_leads_to_every_study():
    index = (LECTURES / "README.md").read_text()
    assert all(f"]({study}.md)" in index for study in STUDIES)


def test_an_unknown_study_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["widths"])
    assert "invalid choice: 'widths'" in capsys.readouterr().err
