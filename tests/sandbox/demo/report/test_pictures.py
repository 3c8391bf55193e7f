"""The picture and the report are complete and need nothing from outside."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from sandbox.demo.model import Disruption, Run
from sandbox.demo.report import figure
from sandbox.demo.report.conclusion import write_page
from sandbox.fleet.accounting import Delivery

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_the_figure_is_a_png(good_run: Run, tmp_path: Path) -> None:
    figure.draw(good_run, tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").read_bytes().startswith(PNG_SIGNATURE)


def test_a_run_that_broke_off_before_anything_was_sampled_still_has_a_figure(
    tmp_path: Path,
) -> None:
    figure.draw(Run("scale-in", 3.0, Delivery(0, 0, 0, 0)), tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").read_bytes().startswith(PNG_SIGNATURE)


def test_twenty_instances_have_room_in_the_figure(good_run: Run, tmp_path: Path) -> None:
    names = [f"i-{number:017x}" for number in range(20)]
    (history, *_) = good_run.histories.values()
    (launch, *_) = good_run.journal
    crowd = replace(
        good_run,
        journal=(*good_run.journal, *(replace(launch, instance_id=name) for name in names)),
        histories={**good_run.histories, **dict.fromkeys(names, history)},
    )
    # What does not fit makes matplotlib warn, and a warning is an error here.
    figure.draw(crowd, tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").read_bytes().startswith(PNG_SIGNATURE)


def test_what_came_again_and_again_is_named_once(
    good_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, *_, **__: drawn.append(self)
    )
    kills = tuple(Disruption("Prometheus is killed", 5.0 * at, 5.0 * at + 2) for at in range(10))
    outage = Disruption("S3 refuses writes", 10.0, 20.0)
    figure.draw(replace(good_run, disruptions=(*kills, outage)), tmp_path / "timeline.png")
    texts = [text.get_text() for text in drawn[0].findobj(Text)]
    assert [text for text in texts if "Prometheus" in text] == ["Prometheus is killed (10 x)"]
    assert texts.count("S3 refuses writes") == 1


def written_report(run: Run, tmp_path: Path, *problems: str) -> str:
    figure.draw(run, tmp_path / "timeline.png")
    write_page(run, problems, tmp_path / "timeline.png", tmp_path / "report.html")
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_report_loads_nothing_from_anywhere(good_run: Run, tmp_path: Path) -> None:
    page = written_report(good_run, tmp_path)
    assert 'src="data:image/png;base64,iVBOR' in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|url\(|@import""", page)


def test_the_report_names_instances_problems_alarms_and_what_was_broken(
    good_run: Run, tmp_path: Path, leaving: str
) -> None:
    samples = tuple(
        replace(sample, alarms=("demo-buffer-dlq",)) if 60 <= sample.at < 70 else sample
        for sample in good_run.samples
    )
    run = replace(
        good_run, samples=samples, disruptions=(Disruption("S3 refuses writes", 51.0, 60.0),)
    )
    page = written_report(run, tmp_path, "7 lines were lost.")
    for expected in (leaving, "7 lines were lost.", "demo-buffer-dlq", "S3 refuses writes"):
        assert expected in page
    assert re.search(r"51\.0.*Broken on purpose: S3 refuses writes", page)
    assert re.search(r"60\.0.*Repaired: S3 refuses writes", page)


def test_text_from_the_cloud_cannot_become_markup(good_run: Run, tmp_path: Path) -> None:
    assert "What happens &lt;next&gt;" in written_report(good_run, tmp_path)
