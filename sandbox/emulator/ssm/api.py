"""The HTTP face of SSM: JSON in, JSON out. moto reads `url_paths` here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.ssm.urls import url_bases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.emulator.ssm.run_command import RunCommandBackend, SentCommand

__all__ = ["RunCommandResponse", "url_bases", "url_paths"]


class RunCommandResponse(SimpleSystemManagerResponse):
    """moto's API, with commands that agents run."""

    @property
    def run_command_backend(self) -> RunCommandBackend:
        """The backend of the caller's account and region."""
        return cast("RunCommandBackend", self.ssm_backend)

    def create_document(self) -> ActionResult:
        """CreateDocument."""
        self._require_runnable(self._get_param("DocumentType"))
        return super().create_document()

    def update_document(self) -> ActionResult:
        """UpdateDocument."""
        self._require_runnable(self.run_command_backend.document_type(self._get_param("Name")))
        return super().update_document()

    def send_command(self) -> ActionResult:
        """SendCommand."""
        sent = self.run_command_backend.send(json.loads(self.body))
        return ActionResult({"Command": sent.description()})

    def list_commands(self) -> ActionResult:
        """ListCommands, by command or instance if asked."""
        return ActionResult({"Commands": [sent.description() for sent in self._chosen()]})

    def get_command_invocation(self) -> ActionResult:
        """GetCommandInvocation."""
        invocation = self.run_command_backend.invocation(
            self._get_param("CommandId"),
            self._get_param("InstanceId"),
            self._get_param("PluginName"),
        )
        return ActionResult(invocation.description())

    def list_command_invocations(self) -> ActionResult:
        """ListCommandInvocations, by command or instance if asked."""
        instance_id = self._get_param("InstanceId")
        shown = [
            {**invocation.summary(), "RequestedDateTime": sent.requested_at}
            for sent in self._chosen()
            for name, invocation in sent.invocations.items()
            if instance_id in {None, name}
        ]
        return ActionResult({"CommandInvocations": shown})

    def describe_instance_information(self) -> ActionResult:
        """DescribeInstanceInformation: whether agents are online; by id if asked."""
        filters = self._get_param("Filters") or self._get_param("InstanceInformationFilterList")
        wanted = {
            value
            for one in filters or []
            if one.get("Key", one.get("key")) == "InstanceIds"
            for value in one.get("Values", one.get("valueSet", []))
        }
        shown = [
            {
                "InstanceId": name,
                "PingStatus": "Online" if is_online else "ConnectionLost",
                "PlatformType": "Linux",
                "ResourceType": "EC2Instance",
            }
            for name, is_online in self.run_command_backend.managed_instances().items()
            if not wanted or name in wanted
        ]
        return ActionResult({"InstanceInformationList": shown})

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
