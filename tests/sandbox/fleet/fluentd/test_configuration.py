"""The simulated Fluentd reads a configuration as the real one does."""

from pathlib import Path

import pytest

from sandbox.conformance.configuration import (
    DOCUMENT,
    MEMORY,
    NO_ID,
    OUTPUT,
    PATH,
    changed,
    configuration,
    documented,
)
from sandbox.conformance.configuration import ConfigurationError as ChangeError
from sandbox.fleet.fluentd.configuration import ConfigurationError, Section, read
from sandbox.fleet.fluentd.configured import buffered, chunk_folder


def parsed(tmp_path: Path, text: str) -> Section:
    path = tmp_path / "fluentd.conf"
    path.write_text(text)
    return read(path)


def output_of(configured: Section) -> Section:
    return next(one for one in configured.all("match") if one.argument == "**")


def test_the_documented_configuration_is_read_to_the_last_comment(tmp_path: Path) -> None:
    configured = parsed(tmp_path, documented())
    assert configured.one("system").number("workers", 0) == 1
    output = output_of(configured)
    assert output.text("@id") == OUTPUT
    assert output.one("buffer").argument == "time"
    assert output.one("buffer").number("retry_max_interval", 0) == 60
    assert output.one("buffer").flag("retry_forever")
    assert configured.one("source", "monitor_agent").flag("include_retry")


@pytest.mark.parametrize(
    "text", ["<match **>\n", "</match>\n", "<match **>\n</source>\n", "<a>\n<b>\n</a>\n</b>\n"]
)
def test_sections_that_are_not_closed_in_order_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        parsed(tmp_path, text)


def test_chunks_are_where_the_real_fluentd_puts_them(tmp_path: Path) -> None:
    def folder(*changes: tuple[str, str]) -> Path | None:
        configured = parsed(tmp_path, configuration("127.0.0.1", tmp_path, 2, changes))
        output, root = output_of(configured), configured.one("system").text("root_dir")
        return chunk_folder(output.one("buffer"), root, output.text("@id"), 1)

    assert folder() == tmp_path / "worker1" / OUTPUT / "buffer"
    assert folder(MEMORY) is None
    assert folder(PATH) == tmp_path / "buffer.path"
    with pytest.raises(ConfigurationError, match="'path' is required"):
        folder(NO_ID[0])


def test_flush_interval_needs_flush_mode_interval(tmp_path: Path) -> None:
    text = configuration("127.0.0.1", tmp_path, 1, [("flush_mode interval", "flush_mode lazy")])
    configured = parsed(tmp_path, text)
    with pytest.raises(ConfigurationError, match="'flush_interval' can't be specified"):
        buffered(output_of(configured), configured.one("system"), 0)


def test_a_change_whose_place_is_gone_from_the_document_is_an_error() -> None:
    with pytest.raises(ChangeError, match=f"{DOCUMENT.name} does not have: workers 99"):
        changed(documented(), [("workers 99", "workers 1")])
