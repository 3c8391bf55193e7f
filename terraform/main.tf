# Keeps each terminating instance of an Auto Scaling group until it is proven to hold no more logs.
# There are no resources in this file: it is the map of the others.
#
#   the inputs       variables.tf                what to watch: the group, Cloud Map, Prometheus
#                    variables_prometheus.tf     what proves that an instance is empty
#                    variables_flush.tf          how to flush on the instance
#                    variables_timing.tf         all timeouts and intervals
#                    variables_reconcile.tf      the reconciler
#                    variables_runtime.tf        functions, network, alarms, tags
#                    variables_organisation.tf   permissions boundary, customer managed key
#   what follows     features.tf                 which stages there are
#                    locals.tf                   every name and ARN
#                    timing.tf                   the timing budget, and the conditions it must meet
#                    checks.tf                   warnings of likely mistakes
#                    data.tf, versions.tf        account and region; Terraform and provider
#                    package.tf, VERSION         the functions' zip, and the version of all this
#   the entrance     hooks.tf                    the lifecycle hooks
#                    function_lifecycle.tf       lifecycle events
#                    function_interruption.tf    instances that end without a hook
#                    function_reconcile.tf       the schedule that finds what events missed
#   the stages       stages.tf                   queues, dead-letter queues, event source mappings
#                    stage_operation.tf          Cloud Map has registered or deregistered
#                    stage_flush.tf              no chunk is left on the instance
#                    stage_buffer.tf             Prometheus proves it empty and quiet
#                    function_evidence.tf        asks Prometheus for it, from inside the VPC
#   what they share  functions.tf                log group, role, policy and function, for each of the above
#                    iam.tf                      the statements that several roles hold
#                    encryption.tf               what they and the services may do with the key
#                    cloud_map.tf                the SRV services
#                    flush_document.tf, flush.sh what runs on the instance
#   what comes out   alarms.tf                   one alarm a runbook
#                    outputs.tf
#
# A new setting of a function goes into its stage_*.tf or function_*.tf and into
# tests/contract.json; a new condition between two numbers into timing.tf; a new alarm into
# alarms.tf, with its runbook in docs/runbooks.
