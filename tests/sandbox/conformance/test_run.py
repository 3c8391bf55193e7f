"""The check finds what is wrong: in the product, in a Fluentd, in a state that was not shown."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.decisions import buffer
from lifecycle.decisions.buffer import Reason, State, Verdict
from sandbox.conformance import __main__ as command
from sandbox.conformance.program import Program, simulated
from sandbox.conformance.run import Result, play_all
from sandbox.conformance.states import BACKED_UP, ONE, STATES
from sandbox.conformance.states import State as StateOfFluentd

HIDING = """
from sandbox.fleet.fluentd import configured, output, sampling
from sandbox.fleet.fluentd.history import BufferState
sampling_of = sampling.sample_output
def hiding(output, plugin_id, plugin_type):
    sample = sampling_of(output, plugin_id, plugin_type)
    values = {name: 0.0 if name.startswith("buffer_") else it for name, it in sample.values.items()}
    return type(sample)(plugin_id, plugin_type, values)
configured.sample_output = hiding
configured.main()
"""
HELD = StateOfFluentd("a chunk that is held", "refuse, send 3, watch 14, accept", ONE)


def played(state: StateOfFluentd, program: Program, tmp_path: Path) -> Result:
    shown: list[Result] = []
    [result] = play_all([state], program, tmp_path / "out", shown.append)
    assert shown == [result]
    return result


def test_a_verdict_that_comes_too_early_is_a_disagreement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    early = Verdict(State.DRAINED, Reason.PROVEN_EMPTY, "")
    monkeypatch.setattr(buffer, "judge", lambda *_series, **_rules: early)
    result = played(replace(HELD, steps="refuse, send 3, watch 3, accept"), simulated(), tmp_path)
    assert result.outcome == "DISAGREES"
    assert "evidence: DRAINED with 1 chunks" in result.remark


@pytest.mark.parametrize("limit", [None, BACKED_UP])
def test_a_fluentd_that_hides_a_chunk_from_its_metrics_is_found_out(
    tmp_path: Path, limit: None
) -> None:
    # Its workers are started as modules, so the hiding one is alone: a supervisor that works.
    worker = Program("hiding", (sys.executable, "-c", HIDING, "--worker", "0"), "python")
    result = played(replace(HELD, limit=limit), worker, tmp_path)
    assert result.outcome == "DISAGREES"
    assert "evidence: DRAINED with 1 chunks" in result.remark


def test_a_fluentd_that_does_not_start_fails_its_state_with_what_it_logged(tmp_path: Path) -> None:
    ending = Program(
        "ending", (sys.executable, "-c", "print('no plugin'); raise SystemExit(3)"), "x"
    )
    result = played(HELD, ending, tmp_path)
    assert result.outcome == "DISAGREES"
    assert "ended with status 3" in result.remark
    assert "no plugin" in result.remark


def test_a_state_that_cannot_be_shown_here_is_a_row_that_does_not_count_as_passed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "STATES", (replace(HELD, obstacle=lambda: "no such kernel"),))
    assert command.main(["--output", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().out
    assert "not checked a chunk that is held" in told
    assert "no such kernel" in told
    assert "0 passed, 0 failed, 1 not checked in " in told


def test_a_state_that_agrees_is_told_in_the_table_and_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--output", str(tmp_path / "out"), "steady"]) == 0
    told = capsys.readouterr().out
    assert "agrees      steady traffic" in told
    assert "1 passed, 0 failed in " in told
    [row] = json.loads((tmp_path / "out" / "results.json").read_text())["states"]
    assert (row["outcome"], row["evidence"][:7], row["flush"][:7]) == (
        "agrees",
        "DRAINED",
        "FLUSHED",
    )
    seen = (tmp_path / "out" / "steady-traffic" / "observations.jsonl").read_text().splitlines()
    assert {json.loads(line)["source"] for line in seen} == {"evidence", "flush"}


def test_no_two_states_share_a_name_and_each_is_written_in_known_steps() -> None:
    assert len({state.name for state in STATES}) == len(STATES) >= 25
