"""Asking Prometheus: the query says exactly what is meant, and no answer is a crash."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_api_client.exceptions import PrometheusApiClientException

from lifecycle.adapters.prometheus import Selection, fetch
from lifecycle.decisions.buffer import State, judge
from lifecycle.decisions.evidence import Rules, Series
from lifecycle.errors import PrometheusFailed
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID
from tests.support.promql import RangeSelector

RULES = Rules(empty_for_seconds=300, settle_seconds=75, scrape_interval_seconds=15)
METRICS = (
    "buffer_total_bytes",
    "buffer_stage_length",
    "buffer_queue_length",
    "emit_records",
    "num_errors",
    "write_count",
)


def selection(*values: str, label: str = "instance_id", prefix: str = "f_") -> Selection:
    return Selection(values, label=label, metric_prefix=prefix, range_seconds=360)


def matchers(query: str) -> dict[str, re.Pattern[str]]:
    return RangeSelector.parse(query).matchers


class Answers:
    """A client that gives one answer, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any] | None]] = []

    def custom_query(self, query: str, params: dict[str, Any] | None = None) -> Any:
        self.asked.append((query, params))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


_ONE_SAMPLE = [[NOW, "0"]]


def series(label: str, values: Any = _ONE_SAMPLE, name: str = "up") -> dict[str, Any]:
    return {"metric": {"__name__": name, "instance_id": label}, "values": values}


class TestQuery:
    def test_it_is_a_range_selector_of_raw_samples(self) -> None:
        assert selection(INSTANCE_ID).query == (
            '{__name__=~"f_buffer_total_bytes|f_buffer_stage_length|f_buffer_queue_length|'
            'f_emit_records|f_num_errors|f_write_count|up",'
            'instance_id=~"(i\\\\-0123456789abcdef0)(:[0-9]+)?"}[360s]'
        )

    def test_it_holds_every_metric_of_the_verdict_and_no_other(self) -> None:
        names = matchers(selection(INSTANCE_ID, prefix="fluentd_output_status_").query)["__name__"]
        for metric in METRICS:
            assert names.match(f"fluentd_output_status_{metric}")
        assert names.match("up")
        for other in ("fluentd_output_status_retry_count", "scrape_up", "up_", "node_load1"):
            assert not names.match(other)

    def test_it_holds_exactly_the_instances_of_the_batch(self) -> None:
        instances = matchers(selection(INSTANCE_ID, OTHER_INSTANCE_ID).query)["instance_id"]
        for value in (INSTANCE_ID, OTHER_INSTANCE_ID, f"{INSTANCE_ID}:24231"):
            assert instances.match(value)
        for other in (
            "i-0123456789abcdef1",
            f"x{INSTANCE_ID}",
            f"{INSTANCE_ID}0",
            f"{INSTANCE_ID}:",
            f"{INSTANCE_ID}:http",
            f"{INSTANCE_ID}|{OTHER_INSTANCE_ID}",
            "",
        ):
            assert not instances.match(other)

    def test_a_dot_of_an_address_is_a_dot(self) -> None:
        addresses = matchers(selection("10.0.0.1", label="instance").query)["instance"]
        assert addresses.match("10.0.0.1")
        assert addresses.match("10.0.0.1:24231")
        for other in ("10.0.011", "10a0b0c1", "110.0.0.1", "10.0.0.11", "10.0.0.1:24231.example"):
            assert not addresses.match(other)

    def test_an_ipv6_address_has_brackets_where_a_port_follows(self) -> None:
        addresses = matchers(selection("2001:db8::7", label="instance").query)["instance"]
        for one in ("2001:db8::7", "[2001:db8::7]:24231", "[2001:db8::7]"):
            assert addresses.match(one)
        for other in ("2001:db8::77", "2001:db8::", "12001:db8::7", "[2001:db8::8]:24231"):
            assert not addresses.match(other)

    @given(st.lists(st.text(st.characters(codec="ascii"), min_size=1), min_size=1, max_size=4))
    def test_no_value_escapes_from_its_quotes(self, values: list[str]) -> None:
        query = selection(*values).query
        if all(c.isprintable() for value in values for c in value):
            assert matchers(query).keys() == {"__name__", "instance_id"}
            for value in values:
                assert matchers(query)["instance_id"].match(value)

    def test_a_window_is_never_cut_short(self) -> None:
        window = Selection(["i"], label="l", metric_prefix="f_", range_seconds=45.2)
        assert window.query.endswith("[46s]")

    def test_the_largest_batch_fits_into_a_url(self) -> None:
        # The client posts, but puts the query into the URL; servers take 8 KiB and more.
        instances = [f"i-{number:017x}" for number in range(10)]
        query = selection(*instances, prefix="fluentd_output_status_").query
        url = requests.Request("POST", "http://p/api/v1/query", params={"query": query}).prepare()
        assert len(url.url or "") < 2000

    def test_it_is_asked_once_for_the_moment_of_the_verdict(self) -> None:
        answers = Answers([])
        fetch(answers, selection(INSTANCE_ID), 1_700_000_000.1239)
        assert answers.asked == [(selection(INSTANCE_ID).query, {"time": "1700000000.124"})]


class TestAnswers:
    def test_series_are_grouped_by_instance_with_or_without_a_port(self) -> None:
        grouped = fetch(
            Answers(
                [
                    series(INSTANCE_ID),
                    series(f"{INSTANCE_ID}:24231"),
                    series(f"{INSTANCE_ID}:24232"),
                    series(OTHER_INSTANCE_ID),
                ]
            ),
            selection(INSTANCE_ID, OTHER_INSTANCE_ID),
            NOW,
        )
        assert {value: len(found) for value, found in grouped.items()} == {
            INSTANCE_ID: 3,
            OTHER_INSTANCE_ID: 1,
        }

    def test_addresses_are_told_apart(self) -> None:
        answer = [series("10.0.0.1:24231"), series("10.0.0.11:24231"), series("10.0.0.1")]
        grouped = fetch(Answers(answer), selection("10.0.0.1", "10.0.0.11"), NOW)
        assert {value: len(found) for value, found in grouped.items()} == {
            "10.0.0.1": 2,
            "10.0.0.11": 1,
        }

    def test_the_last_group_of_an_ipv6_address_is_not_taken_for_a_port(self) -> None:
        own = [series(one) for one in ("2001:db8::7", "[2001:db8::7]:24231", "[2001:db8::7]")]
        others = [
            series(one) for one in ("2001:db8::7:24", "[2001:db8::7:24]:24231", "[2001:db8::7")
        ]
        for values in (["2001:db8::7"], ["2001:db8::7", "2001:db8::7:24"]):
            grouped = fetch(Answers([*own, *others]), selection(*values), NOW)
            assert [len(grouped[one]) for one in values] == [3, 2][: len(values)]

    def test_an_empty_answer_has_no_series_of_any_instance(self) -> None:
        assert fetch(Answers([]), selection(INSTANCE_ID), NOW) == {}

    def test_series_of_other_instances_are_left_out(self) -> None:
        foreign: list[Any] = [
            series("i-0000000000000000f"),
            series(f"{INSTANCE_ID}:24231\n"),
            {"metric": {"__name__": "up"}, "values": [[NOW, "1"]]},
        ]
        assert fetch(Answers(foreign), selection(INSTANCE_ID), NOW) == {}

    def test_samples_are_numbers_in_order_of_time(self) -> None:
        answer = [series(INSTANCE_ID, [[NOW + 15, "2"], [NOW, "NaN"], [NOW + 30.5, "+Inf"]])]
        [found] = fetch(Answers(answer), selection(INSTANCE_ID), NOW)[INSTANCE_ID]
        assert [time for time, _ in found.samples] == [NOW, NOW + 15, NOW + 30.5]
        assert repr([value for _, value in found.samples]) == "[nan, 2.0, inf]"

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            7,
            True,
            {},
            "",
            "<html><body>Sign in</body></html>",
            {"resultType": "matrix", "result": []},
            [None],
            ["up"],
            [[]],
            [{}],
            [{"metric": {}}],
            [{"metric": {}, "value": [NOW, "0"]}],  # an instant vector
            [{"metric": [], "values": [[NOW, "0"]]}],
            [{"metric": None, "values": [[NOW, "0"]]}],
            [{"metric": {}, "values": {"0": "0"}}],
            [{"metric": {}, "values": "00"}],
            [series(INSTANCE_ID, None)],
            [series(INSTANCE_ID, [None])],
            [series(INSTANCE_ID, [[NOW]])],
            [series(INSTANCE_ID, [[NOW, "0", "0"]])],
            [series(INSTANCE_ID, [[NOW, "zero"]])],
            [series(INSTANCE_ID, [[NOW, None]])],
            [series(INSTANCE_ID, [["now", "0"]])],
            [series(INSTANCE_ID, [[NOW, 10**400]])],
            [series(INSTANCE_ID, [[float("nan"), "0"]])],
            [series(INSTANCE_ID, [["NaN", "0"]])],
            [series(INSTANCE_ID, [["Infinity", "0"]])],
            [series(INSTANCE_ID), {"metric": {"instance_id": "i-other"}}],
            [series(INSTANCE_ID), series(INSTANCE_ID)],  # which of the two is right?
            [series(INSTANCE_ID) | {"histograms": [[NOW, {"count": "1"}]]}],
            [{"metric": {"__name__": "up", "instance_id": 7}, "values": []}],
            [{"metric": {"__name__": "up", "instance_id": "\ud800"}, "values": []}],
        ],
    )
    def test_an_answer_of_another_form_is_a_failure_of_prometheus(self, answer: object) -> None:
        with pytest.raises(PrometheusFailed):
            fetch(Answers(answer), selection(INSTANCE_ID), NOW)

    @pytest.mark.parametrize(
        "error",
        [
            requests.ConnectionError("refused"),
            requests.Timeout("too slow"),
            requests.exceptions.RetryError("too many 500 error responses"),
            requests.exceptions.JSONDecodeError("Expecting value", "<html>", 0),
            PrometheusApiClientException("HTTP Status Code 422"),
            KeyError("data"),
            TypeError("'NoneType' object is not subscriptable"),
            RecursionError("maximum recursion depth exceeded"),
        ],
    )
    def test_whatever_the_client_raises_is_a_failure_of_prometheus(self, error: Exception) -> None:
        with pytest.raises(PrometheusFailed, match=type(error).__name__):
            fetch(Answers(error), selection(INSTANCE_ID), NOW)

    def test_a_failure_keeps_its_own_words(self) -> None:
        failure = PrometheusFailed("the function has no AWS credentials to sign with")
        with pytest.raises(PrometheusFailed, match="to sign with") as caught:
            fetch(Answers(failure), selection(INSTANCE_ID), NOW)
        assert caught.value is failure

    def test_a_login_page_is_not_logged_whole(self) -> None:
        page = PrometheusApiClientException("HTTP Status Code 403 (" + 100_000 * "x" + ")")
        with pytest.raises(PrometheusFailed) as caught:
            fetch(Answers(page), selection(INSTANCE_ID), NOW)
        assert len(str(caught.value)) <= 400

    def test_what_went_wrong_is_said_though_a_long_url_comes_first(self) -> None:
        url = "/api/v1/query?query=" + 2000 * "x"
        refused = requests.ConnectionError(f"Max retries exceeded with url: {url} (refused)")
        with pytest.raises(PrometheusFailed) as caught:
            fetch(Answers(refused), selection(INSTANCE_ID), NOW)
        assert str(caught.value).startswith("ConnectionError: Max retries exceeded")
        assert str(caught.value).endswith("(refused)")


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([INSTANCE_ID, "metric", "values", "NaN", "0", NOW, str(NOW)]),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["metric", "values", "instance_id", "__name__"]),
            children,
            max_size=4,
        )
    ),
)
_number = st.sampled_from(["0", "1", "-1", "NaN", "+Inf", "-Inf", "1.7e308", "4151", 0, 1.5])
_time = st.floats(NOW - 400, NOW + 60) | st.sampled_from(["NaN", "1e999", 0, -1, float("nan")])
_nearly_right = st.lists(
    st.builds(
        series,
        st.sampled_from([INSTANCE_ID, OTHER_INSTANCE_ID, f"{INSTANCE_ID}:24231"]),
        st.lists(st.tuples(_time, _number), max_size=30),
        st.sampled_from(["up", *(f"fluentd_output_status_{metric}" for metric in METRICS)]),
    ),
    max_size=8,
)


class TestAnyAnswer:
    @given(_json | st.lists(st.fixed_dictionaries({"metric": _json, "values": _json})))
    def test_no_json_raises_anything_but_a_failure_of_prometheus(self, answer: Any) -> None:
        try:
            grouped = fetch(Answers(answer), selection(INSTANCE_ID), NOW)
        except PrometheusFailed:
            return
        assert set(grouped) <= {INSTANCE_ID}

    @given(_nearly_right)
    def test_no_series_that_prometheus_could_send_crash_the_verdict(self, answer: Any) -> None:
        try:
            grouped = fetch(Answers(answer), selection(INSTANCE_ID), NOW)
        except PrometheusFailed:
            return
        found: Sequence[Series] = grouped.get(INSTANCE_ID, [])
        verdict = judge(found, deregistered_at=NOW - 1000, now=NOW, rules=RULES)
        assert verdict.state is not State.DRAINED or len(found) >= 5

    @given(st.lists(st.tuples(_time, _number), min_size=1, max_size=30), st.integers(2, 5))
    @example([(NOW - 15, "-1.7e308"), (NOW, "1.7e308")], 2)  # neither sum is a number any more
    @example([(NOW - 15, "0"), (NOW, "-1.7e308")], 2)
    def test_no_values_crash_the_verdict_on_several_outputs(
        self, samples: list[tuple[Any, Any]], outputs: int
    ) -> None:
        answer = [
            {
                "metric": {
                    "__name__": name if name == "up" else f"fluentd_output_status_{name}",
                    "instance_id": INSTANCE_ID,
                    "plugin_id": f"out_{output}",
                },
                "values": [(time, "1") for time, _ in samples] if name == "up" else samples,
            }
            for output in range(outputs)
            for name in ("up", *METRICS)
        ]
        try:
            grouped = fetch(Answers(answer), selection(INSTANCE_ID), NOW)
        except PrometheusFailed:
            return
        judge(grouped[INSTANCE_ID], deregistered_at=NOW - 1000, now=NOW, rules=RULES)
