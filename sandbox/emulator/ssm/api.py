"""The HTTP face of SSM: JSON in, JSON out. moto reads `url_paths` here."""

import json
from collections.abc import Iterable
from typing import cast

from moto.core.responses import ActionResult
from moto.ssm.exceptions import SSMException, ValidationException
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.ssm.urls import url_bases

from sandbox.emulator.ssm.run_command import RunCommandBackend, SentCommand

MOST_FILTER_VALUES = 100
SMALLEST_PAGE, DEFAULT_PAGE, LARGEST_PAGE = 5, 10, 50
__all__ = ["RunCommandResponse", "url_bases", "url_paths"]


class RunCommandResponse(SimpleSystemManagerResponse):
    """moto's API, with commands that agents run."""

    @property
    def run_command_backend(self) -> RunCommandBackend:
        return cast("RunCommandBackend", self.ssm_backend)

    def create_document(self) -> ActionResult:
        self._require_runnable(self._get_param("DocumentType"))
        return super().create_document()

    def update_document(self) -> ActionResult:
        self._require_runnable(self.run_command_backend.document_type(self._get_param("Name")))
        return super().update_document()

    def send_command(self) -> ActionResult:
        sent = self.run_command_backend.send(json.loads(self.body))
        return ActionResult({"Command": sent.description()})

    def list_commands(self) -> ActionResult:
        return ActionResult({"Commands": [sent.description() for sent in self._chosen()]})

    def get_command_invocation(self) -> ActionResult:
        invocation = self.run_command_backend.invocation(
            self._get_param("CommandId"),
            self._get_param("InstanceId"),
            self._get_param("PluginName"),
        )
        return ActionResult(invocation.description())

    def list_command_invocations(self) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        shown = [
            {**invocation.summary(), "RequestedDateTime": sent.requested_at}
            for sent in self._chosen()
            for name, invocation in sent.invocations.items()
            if instance_id in {None, name}
        ]
        return ActionResult({"CommandInvocations": shown})

    def describe_instance_information(self) -> ActionResult:
        """DescribeInstanceInformation: agents, also those that SSM has lost; in pages."""
        world, token = self.run_command_backend.world, self._get_param("NextToken")
        most = int(self._get_param("MaxResults", DEFAULT_PAGE))
        if not SMALLEST_PAGE <= most <= LARGEST_PAGE:
            raise ValidationException(f"'maxResults' is from {SMALLEST_PAGE} to {LARGEST_PAGE}")
        if token is None:
            page, following = world.pages.begin(self._known_agents(), world.faults, most)
        else:
            page, following = world.pages.go_on(token, most)
        more = {} if following is None else {"NextToken": following}
        return ActionResult({"InstanceInformationList": page, **more})

    def _known_agents(self) -> list[dict[str, str]]:
        wanted = self._wanted_instances()
        return [
            {
                "InstanceId": name,
                "PingStatus": "Online" if is_online else "ConnectionLost",
                "PlatformType": "Linux",
                "ResourceType": "EC2Instance",
            }
            for name, is_online in self.run_command_backend.managed_instances().items()
            if wanted is None or name in wanted
        ]

    def _wanted_instances(self) -> set[str] | None:
        """The ids that the filters name, None without one; limits as in SSM's API reference."""
        filters, old = self._get_param("Filters"), self._get_param("InstanceInformationFilterList")
        if filters and old:
            raise ValidationException("use either Filters or InstanceInformationFilterList")
        names = ("Key", "Values") if filters else ("key", "valueSet")
        wanted: set[str] | None = None
        for one in filters or old or []:
            key, values = (one[name] for name in names)
            if key != "InstanceIds":
                raise SSMException("InvalidInstanceInformationFilterValue", f"{key} is not known")
            if not 1 <= len(values) <= MOST_FILTER_VALUES:
                raise ValidationException(f"a filter has 1 to {MOST_FILTER_VALUES} values")
            wanted = set(values) if wanted is None else wanted & set(values)
        return wanted

    def _require_runnable(self, document_type: str) -> None:
        self.run_command_backend.require_runnable(
            self._get_param("Content"), self._get_param("DocumentFormat", "JSON"), document_type
        )

    def _chosen(self) -> Iterable[SentCommand]:
        backend = self.run_command_backend
        command_id, instance_id = self._get_param("CommandId"), self._get_param("InstanceId")
        if command_id:
            return [backend.sent_command(command_id)]
        every = backend.sent_commands.values()
        return [sent for sent in every if instance_id is None or instance_id in sent.invocations]


url_paths = {"{0}/$": RunCommandResponse.dispatch}
