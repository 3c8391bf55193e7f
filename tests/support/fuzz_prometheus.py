"""What Prometheus may answer on a bad day, for fuzz tests."""

import copy
import json
from typing import Any

import requests
from hypothesis import strategies as st

from tests.support.fuzz_cloud import (
    ECHO,
    ECHO_PLAIN,
    ECHOES,
    SOUND_SERIES,
    HttpAnswer,
    prometheus_body,
)
from tests.support.fuzz_inputs import damaged, values

_NO_PROOF = st.one_of(st.sampled_from(["1", "-1", "NaN", "+Inf", "-Inf", "", "zero", None]), values)


@st.composite
def unproven_series(draw: st.DrawFn) -> list[Any]:
    """The sound answer with one of the series that it takes spoilt: no proof any more."""
    series = copy.deepcopy(SOUND_SERIES)
    needed = [
        i for i, one in enumerate(series) if "buffer_total_bytes" in one["metric"]["__name__"]
    ]
    one = series[draw(st.sampled_from(needed))]
    samples = one["values"]
    match draw(st.sampled_from(["value", "time", "stale", "gap", "absent", "label", "twin"])):
        case "value":
            spoilt = draw(_NO_PROOF.filter(_is_not_zero))
            samples[-draw(st.integers(1, 10))][1] = spoilt
        case "time":
            absurd = draw(st.sampled_from([0, -1e18, 1e18, "never", None, "NaN", 1e400]))
            for sample in samples[-4:]:  # without one of them the others are proof enough
                sample[0] = absurd
        case "stale":
            del samples[-4:]
        case "gap":
            del samples[-12:-8]
        case "absent":
            series.remove(one)
        case "label":
            one["metric"] = draw(values)
        case "twin":
            twin = copy.deepcopy(one)
            twin["metric"]["plugin_id"] = "a-twin"
            twin["values"][-1][1] = "5280"
            series.append(twin)
    return draw(st.permutations(series)) if draw(st.booleans()) else series


def _is_not_zero(value: Any) -> bool:
    try:
        return float(value) != 0
    except (TypeError, ValueError, OverflowError):
        return True


_SAYS_NOTHING: tuple[Any, ...] = (None, "", [], {})
_HARMLESS_FIELDS = {"status", "data", "infos", "stats", "trace"}
_HARMLESS_DATA = {"resultType", "result", "stats", "analysis", "explanation"}


@st.composite
def qualified_answers(draw: st.DrawFn) -> bytes:
    """The sound answer, whole as it looks, with a field beside the data that may say otherwise."""
    answer: dict[str, Any] = json.loads(prometheus_body(SOUND_SERIES))
    in_data = draw(st.booleans())
    part = answer["data"] if in_data else answer
    harmless = _HARMLESS_DATA if in_data else _HARMLESS_FIELDS
    name = draw(
        st.sampled_from(["warnings", "isPartial", "error", "partial", "truncated", "next"])
        | st.text(min_size=1, max_size=8).filter(lambda name: name not in harmless)
    )
    if name == "isPartial":
        value = draw(values.filter(lambda value: value is not None and value is not False))
    else:
        said = values | st.lists(st.text(max_size=9) | st.sampled_from(ECHOES), min_size=1)
        value = draw(said.filter(lambda value: not any(value == it for it in _SAYS_NOTHING)))
    part[name] = value
    return json.dumps(answer).encode()


@st.composite
def answers_of_another_kind(draw: st.DrawFn) -> bytes:
    """The sound answer with another status or another type of result."""
    answer: dict[str, Any] = json.loads(prometheus_body(SOUND_SERIES))
    if draw(st.booleans()):
        answer["status"] = draw(values.filter(lambda value: value != "success"))
    else:
        kind = values | st.sampled_from(["vector", "scalar", "string", "streams"])
        answer["data"]["resultType"] = draw(kind.filter(lambda value: value != "matrix"))
    return json.dumps(answer).encode()


@st.composite
def remarked_answers(draw: st.DrawFn) -> bytes:
    """The sound answer with remarks that take nothing away from it."""
    answer: dict[str, Any] = json.loads(prometheus_body(SOUND_SERIES))
    remarks = st.sampled_from(
        [
            ("warnings", []),
            ("warnings", None),
            ("isPartial", False),
            ("infos", ["PromQL info"]),
            ("infos", None),
            ("stats", {"seriesFetched": "9"}),
            ("trace", {"message": "x"}),
            ("error", ""),
        ]
    )
    answer |= dict(draw(st.lists(remarks, max_size=4)))
    return json.dumps(answer).encode()


_bodies: st.SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=40),
    values.map(lambda value: json.dumps(value).encode()),
    values.map(prometheus_body),
    st.lists(damaged(SOUND_SERIES[0]), max_size=3).map(prometheus_body),
    unproven_series().map(prometheus_body),
    qualified_answers(),
    answers_of_another_kind(),
    st.integers(0, 2000).map(lambda length: prometheus_body(SOUND_SERIES)[:length]),
    st.sampled_from(
        [
            b"<!doctype html><html><body>Sign in</body></html>",
            f"<pre>You asked with {ECHO}</pre>".encode(),
            f"<pre>Who told you {ECHO_PLAIN}?</pre>".encode(),
            prometheus_body([{"metric": {"asked_with": ECHO}, "values": 1}]),
            prometheus_body([{"metric": {"a": ECHO_PLAIN}, "values": [["NaN", "0"]]}]),
            b'{"data":{"result":' + b"[" * 5_000,
            b"\xff\xfe{",
        ]
    ),
)
_http_errors = st.sampled_from(
    [
        requests.ConnectionError("refused"),
        requests.ReadTimeout("too late"),
        requests.exceptions.ChunkedEncodingError("cut"),
        requests.exceptions.ContentDecodingError("not gzip"),
        ValueError("an unexpected error"),
    ]
)
# Where an answer may send to, and what of it may be what it was asked with.
_places_to_go: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["/login", "http://[", "https://elsewhere.example/api", "", "/api/v1/query"]),
    st.builds(
        lambda place, echo, tail: place.format(echo) + tail,
        st.sampled_from(
            [
                "http://prometheus:{}@elsewhere.example/",
                "https://{}@elsewhere.example/api",
                "https://elsewhere.example/?token={}",
                "http://prometheus.internal:9090/login?asked_with={}",
                "ftp://prometheus:{}@elsewhere.example/",
                "/login/{}/again",
                "//{}.example/",
                "http://[{}",
                "http://{}:port/",
                "{}",
                "/#{}",
                " /\t{}",
            ]
        ),
        st.sampled_from(ECHOES),
        st.one_of(st.just(""), st.text(max_size=8), st.sampled_from(ECHOES)),
    ),
)
prometheus_answers: st.SearchStrategy[HttpAnswer] = st.one_of(
    st.builds(HttpAnswer, _bodies),
    st.builds(HttpAnswer, _bodies, st.sampled_from([100, 204, 302, 307, 400, 401, 422, 500, 503])),
    st.builds(
        lambda place, status, beyond: HttpAnswer(b"", status, {"Location": place}, beyond=beyond),
        _places_to_go,
        st.sampled_from([301, 302, 303, 307, 308]),
        st.one_of(st.none(), st.builds(HttpAnswer, _bodies, st.sampled_from([200, 302, 403]))),
    ),
    st.builds(lambda error: HttpAnswer(b"", error=error), _http_errors),
)
