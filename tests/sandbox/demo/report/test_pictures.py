"""The picture and the report are complete and need nothing from outside."""

import re
from dataclasses import replace
from pathlib import Path

from sandbox.demo.model import Disruption, Run
from sandbox.demo.report import figure
from sandbox.demo.report.conclusion import write_page
from sandbox.fleet.accounting import Delivery


def test_a_run_that_broke_off_before_anything_was_sampled_still_has_a_figure(
    tmp_path: Path,
) -> None:
    figure.draw(Run("scale-in", 3.0, Delivery(0, 0, 0, 0)), tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


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
    what_happened = (leaving, "7 lines were lost.", "demo-buffer-dlq", "S3 refuses writes")
    for expected in (*what_happened, "What happens &lt;next&gt;"):
        assert expected in page
