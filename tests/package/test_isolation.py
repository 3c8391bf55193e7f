"""The zip is all that a function has."""

import json

import pytest

from tests.package.conftest import Lambda
from tools.package import SERVICES

# What returns a client in lifecycle.adapters.clients, called; parameters are seconds.
BUILD_ALL_CLIENTS = """
import inspect, json
from lifecycle.adapters import clients
signatures = {
    function: inspect.signature(function)
    for _, function in inspect.getmembers(clients, inspect.isfunction)
}
built = [
    builder(*[30.0 for _ in signature.parameters])
    for builder, signature in signatures.items()
    if str(signature.return_annotation).strip("'").endswith("Client")
]
print(json.dumps({
    client.meta.service_model.service_name: len(client.meta.service_model.operation_names)
    for client in built
}))
"""


@pytest.mark.parametrize("module", ["handlers.lifecycle", "waiters.operation", "waiters.buffer"])
def test_an_entry_point_imports_with_nothing_but_the_package(isolated: Lambda, module: str) -> None:
    printed = isolated.run(f"import {module}; print(callable({module}.handler))")
    assert printed.strip() == "True"


def test_every_module_of_the_product_imports_with_nothing_but_the_package(isolated: Lambda) -> None:
    printed = isolated.run(
        "import pkgutil, handlers, lifecycle, waiters\n"
        "for package in (handlers, lifecycle, waiters):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        __import__(found.name); print(found.name)\n"
    )
    assert {"lifecycle.adapters.prometheus", "lifecycle.adapters.clients"} <= set(printed.split())


def test_nothing_is_found_outside_the_package(isolated: Lambda) -> None:
    printed = isolated.run("import boto3, botocore, requests, pydantic\nprint(boto3.__file__)")
    assert printed.startswith(str(isolated.folder))


def test_every_client_that_the_product_uses_can_be_built(isolated: Lambda) -> None:
    operations = json.loads(isolated.run(BUILD_ALL_CLIENTS))
    assert {"autoscaling", "ec2", "servicediscovery", "sqs"} <= operations.keys()
    assert all(count > 0 for count in operations.values())


def test_only_services_that_are_used_ship(isolated: Lambda) -> None:
    operations = json.loads(isolated.run(BUILD_ALL_CLIENTS))
    shipped = isolated.run(
        "import botocore.session\nprint(*botocore.session.get_session().get_available_services())"
    )
    assert set(shipped.split()) == set(SERVICES)
    assert set(SERVICES) == operations.keys()
