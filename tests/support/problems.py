"""What is wrong with the settings of a function, as it says itself."""

from collections.abc import Mapping

import pytest

from lifecycle.errors import ConfigurationError
from lifecycle.settings import AnySettings, BufferWaiterSettings, EvidenceSettings, load_settings
from tests.support import environments


def problem_of(model: type[AnySettings], environment: Mapping[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(model, environment)
    return str(caught.value)


def buffer_problem(**changes: str) -> str:
    return problem_of(BufferWaiterSettings, environments.buffer_waiter(**changes))


def evidence_problem(**changes: str) -> str:
    return problem_of(EvidenceSettings, environments.evidence(**changes))
