"""An answer of Prometheus counts only if it is whole: what qualifies it is read, too.

Through the product's own client: ``prometheus-api-client`` hands on ``data.result`` alone.
"""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lifecycle.adapters.prometheus import Selection, fetch
from lifecycle.errors import PrometheusFailed
from lifecycle.settings import PrometheusDialect
from tests.support.messages import INSTANCE_ID, NOW
from tests.support.prometheus_wire import querier

REFUSED = 'remote_read: Post "http://10.0.0.9:9090/api/v1/read": connect: connection refused'
SERIES = [{"metric": {"__name__": "up", "instance_id": INSTANCE_ID}, "values": [[NOW, "1"]]}]
DATA = {"resultType": "matrix", "result": SERIES}
WHOLE = {"status": "success", "data": DATA}


def ask(answer: Any, **headers: str) -> dict[str, Any]:
    selection = Selection([INSTANCE_ID], "instance_id", metric_prefix="f_", range_seconds=60)
    client = querier(
        lambda _query, _at: answer, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return fetch(client, selection, NOW)


HARMLESS: dict[str, dict[str, Any]] = {
    "Prometheus": WHOLE,
    "Prometheus 3, which remarks on the query": WHOLE
    | {"infos": ["PromQL info: metric might not be a counter"]},
    "no warnings": WHOLE | {"warnings": [], "infos": []},
    "warnings null": WHOLE | {"warnings": None},
    "VictoriaMetrics": WHOLE
    | {
        "isPartial": False,
        "stats": {"seriesFetched": "1", "executionTimeMsec": 3},
        "trace": {"duration_msec": 0.1},
    },
    "isPartial null": WHOLE | {"isPartial": None},
    "Thanos": WHOLE | {"data": DATA | {"analysis": {"name": "x"}, "explanation": None}},
    "statistics that were asked for": WHOLE | {"data": DATA | {"stats": {"timings": {}}}},
    "no error": WHOLE | {"error": "", "errorType": ""},
}


@pytest.mark.parametrize("answer", HARMLESS)
def test_an_answer_is_whole_whatever_it_says_beside_the_data(answer: str) -> None:
    assert list(ask(HARMLESS[answer])) == [INSTANCE_ID]


PARTIAL: dict[str, tuple[Any, str]] = {
    "a store that remote read did not reach": (WHOLE | {"warnings": [REFUSED]}, REFUSED),
    "several": (WHOLE | {"warnings": ["one", "two"]}, "warnings: one; two"),
    "an empty warning": (WHOLE | {"warnings": [""]}, "warnings"),
    "warnings that are text": (WHOLE | {"warnings": "store down"}, "store down"),
    "warnings that are objects": (WHOLE | {"warnings": [{}]}, "warnings"),
    "warnings by name": (WHOLE | {"warnings": {"store": "down"}}, '"store": "down"'),
    "warnings that are a number": (WHOLE | {"warnings": 1}, "warnings: 1"),
    "warnings that are a truth": (WHOLE | {"warnings": False}, "warnings: false"),
    "warnings and infos": (WHOLE | {"warnings": ["down"], "infos": ["fine"]}, "down"),
    "warnings and more": (WHOLE | {"warnings": ["down"], "isPartial": True}, "isPartial: true"),
    "warnings within the data": (WHOLE | {"data": DATA | {"warnings": ["down"]}}, "down"),
    "isPartial": (WHOLE | {"isPartial": True}, "isPartial: true"),
    "isPartial within the data": (WHOLE | {"data": DATA | {"isPartial": True}}, "isPartial"),
    "isPartial as text": (WHOLE | {"isPartial": "true"}, "isPartial"),
    "isPartial as other text": (WHOLE | {"isPartial": "false"}, "isPartial"),
    "isPartial as no text": (WHOLE | {"isPartial": ""}, "isPartial"),
    "isPartial as a number": (WHOLE | {"isPartial": 0}, "isPartial: 0"),
    "an error beside success": (WHOLE | {"errorType": "timeout", "error": "slow"}, "slow"),
    "a field of another dialect": (WHOLE | {"complete": False}, "complete: false"),
    "one within the data": (WHOLE | {"data": DATA | {"truncated": True}}, "truncated"),
}


@pytest.mark.parametrize("answer", PARTIAL)
def test_an_answer_from_which_something_may_be_missing_is_none_and_its_words_are_told(
    answer: str,
) -> None:
    said, words = PARTIAL[answer]
    with pytest.raises(PrometheusFailed) as caught:
        ask(said)
    assert words in str(caught.value)


@pytest.mark.parametrize("empty", [True, False])
def test_a_partial_answer_is_none_also_if_it_is_empty(*, empty: bool) -> None:
    data = {"resultType": "matrix", "result": []} if empty else DATA
    with pytest.raises(PrometheusFailed, match="a partial answer"):
        ask({"status": "success", "data": data, "warnings": [REFUSED]})


NONE: dict[str, Any] = {
    "an error": {"status": "error", "errorType": "execution", "error": "too many samples"},
    "an error with data": {"status": "error", "data": DATA},
    "another status": WHOLE | {"status": "partial"},
    "status in other letters": WHOLE | {"status": "SUCCESS"},
    "status as a truth": WHOLE | {"status": True},
    "no status": {"data": DATA},
    "a vector": WHOLE | {"data": DATA | {"resultType": "vector"}},
    "an empty vector": WHOLE | {"data": {"resultType": "vector", "result": []}},
    "a scalar": WHOLE | {"data": {"resultType": "scalar", "result": [NOW, "0"]}},
    "streams": WHOLE | {"data": {"resultType": "streams", "result": []}},
    "no type": WHOLE | {"data": {"result": SERIES}},
    "no result": WHOLE | {"data": {"resultType": "matrix"}},
    "result null": WHOLE | {"data": {"resultType": "matrix", "result": None}},
    "result by name": WHOLE | {"data": {"resultType": "matrix", "result": {}}},
    "data null": WHOLE | {"data": None},
    "data a list": WHOLE | {"data": SERIES},
    "a list": [WHOLE],
    "text": '"success"',
    "nothing": "",
    "a login page": "<html><body>Sign in</body></html>",
    "half an answer": json.dumps(WHOLE)[:-9],
    "two answers": json.dumps(WHOLE) + json.dumps(WHOLE),
    "something behind it": json.dumps(WHOLE) + "502 Bad Gateway",
    "an answer that says two things": json.dumps(WHOLE | {"warnings": ["down"]})[:-1]
    + ',"warnings":[]}',
    "one series twice": WHOLE | {"data": DATA | {"result": 2 * SERIES}},
}


@pytest.mark.parametrize("answer", NONE)
def test_an_answer_of_another_kind_is_none(answer: str) -> None:
    with pytest.raises(PrometheusFailed):
        ask(NONE[answer])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("M3_Results_Limited", "max_fetch_series_limit_applied"),
        ("Warning", '110 proxy "Response is Stale"'),
        ("Content_Range", "bytes 0-99/300"),
    ],
)
def test_a_header_that_says_the_same_counts_as_much(header: str, words: str) -> None:
    with pytest.raises(PrometheusFailed, match="a partial answer") as caught:
        ask(WHOLE, **{header: words})
    assert words in str(caught.value)


def test_a_long_warning_is_cut_and_halves_of_characters_are_written_out() -> None:
    with pytest.raises(PrometheusFailed) as caught:
        ask(WHOLE | {"warnings": [1000 * "x" + "\ud800"]})
    assert len(str(caught.value).encode()) <= 420


@pytest.mark.parametrize(
    ("dialect", "asked_for"),
    [(PrometheusDialect.THANOS, ["false"]), (PrometheusDialect.PROMETHEUS, None)],
)
def test_only_thanos_is_asked_to_answer_whole_or_not_at_all(
    dialect: PrometheusDialect, asked_for: list[str] | None
) -> None:
    urls: list[str] = []
    client = querier(lambda _query, _at: WHOLE, dialect=dialect, urls=urls)
    selection = Selection([INSTANCE_ID], "instance_id", metric_prefix="f_", range_seconds=60)
    fetch(client, selection, NOW)
    [url] = urls
    asked = parse_qs(urlsplit(url).query)
    assert asked.get("partial_response") == asked_for
    assert asked["query"] == [selection.query]
    assert asked["time"] == [f"{NOW:.3f}"]
