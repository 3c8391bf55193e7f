# What proves when an aggregator is empty.

variable "prometheus" {
  type = object({
    url                       = string
    dialect                   = optional(string, "prometheus")
    identify_by               = optional(string, "instance_id")
    instance_label            = optional(string, "instance_id")
    metric_prefix             = optional(string, "fluentd_output_status_")
    scrape_interval_seconds   = optional(number, 15)
    request_timeout_seconds   = optional(number, 10)
    method                    = optional(string, "POST")
    headers                   = optional(map(string), {})
    ca_certificates           = optional(string)
    expected_buffered_outputs = optional(number)
    heartbeat_plugin_id       = optional(string)
    auth = optional(object({
      type              = optional(string, "none")
      secret_arn        = optional(string)
      ssm_parameter_arn = optional(string)
      kms_key_arn       = optional(string)
      region            = optional(string)
      role_arn          = optional(string)
      account_id        = optional(string)
    }), {})
  })
  default     = null
  description = <<-EOT
    The Prometheus (or compatible) server that proves when an aggregator is empty. Unset: not queried;
    `flush` alone decides.

    - `url`: base address, without `/api/v1/...`; for Amazon Managed Prometheus
      `https://aps-workspaces.REGION.amazonaws.com/workspaces/ws-...`.
    - `dialect`: `prometheus`, or `thanos`: Thanos is asked to answer whole or not at all. A partial answer
      proves nothing with either.
    - `instance_label`: the label that distinguishes the instances' series.
    - `identify_by`: what that label holds: `instance_id` or `private_ip_address`. An instance without a
      private IPv4 address is known by its IPv6 address: `[2001:db8::7]:24231`, or without the port.
    - `metric_prefix`: the beginning of the names of Fluentd's output metrics.
    - `scrape_interval_seconds`: how often Prometheus scrapes the aggregators, 1 to 300. How many
      samples make a window complete follows from it.
    - `request_timeout_seconds`: how long to wait for an answer, 1 to 60.
    - `expected_buffered_outputs`: how many buffered outputs an aggregator has, all workers together;
      fewer series prove nothing. Unset: one is enough.
    - `heartbeat_plugin_id`: `@id` of an output that always receives records. If they stand still, the
      exporter is frozen. Unset: not checked.
    - `method`: `POST` or `GET`. Some proxies let only `GET` pass; a batch of ten instances fits in it.
    - `headers`: further request headers, such as `X-Scope-OrgID` (the tenant of Mimir) of a gateway. Not
      for secrets.
    - `ca_certificates`: in PEM form, the authorities to trust instead of the public ones, if a private one
      issued the server's certificate.
    - `auth.type`: `none`, `basic`, `bearer` or `sigv4`.
    - `auth.secret_arn` or `auth.ssm_parameter_arn`: the Secrets Manager secret or SSM parameter with
      the credentials: for `basic` a JSON object with `username` and `password`, for `bearer` the
      token, or a JSON object with it as the only member.
    - `auth.kms_key_arn`: the customer managed key they are encrypted with, if any.
    - `auth.region`: region to sign for (`sigv4`); by default the one in `url`, else the provider's.
    - `auth.role_arn`: for a workspace of another account, the role there that may query it (`sigv4`); it
      must trust the evidence function's role (output `function_role_arns`). In a VPC the function
      needs a way to STS.
    - `auth.account_id`: for a workspace of another account that has a resource policy instead, that account.
  EOT

  validation {
    condition     = var.prometheus == null ? true : can(regex("^https?://[^\\s/?#@]+(/[^\\s?#]*)?$", var.prometheus.url)) && !can(regex("/api/v1", var.prometheus.url))
    error_message = "prometheus.url must be the server's base address, http:// or https://, without user name, query or /api/v1: for example http://prometheus.internal:9090."
  }

  validation {
    condition     = var.prometheus == null ? true : contains(["prometheus", "thanos"], var.prometheus.dialect)
    error_message = "prometheus.dialect must be prometheus or thanos; prometheus also fits Mimir, VictoriaMetrics and Amazon Managed Prometheus."
  }

  validation {
    condition     = var.prometheus == null ? true : contains(["instance_id", "private_ip_address"], var.prometheus.identify_by)
    error_message = "prometheus.identify_by must be instance_id or private_ip_address: what the label instance_label holds."
  }

  validation {
    condition     = var.prometheus == null ? true : can(regex("^[a-zA-Z_][a-zA-Z0-9_]*$", var.prometheus.instance_label))
    error_message = "prometheus.instance_label must be a Prometheus label name: letters, digits and underscores, not starting with a digit."
  }

  validation {
    condition     = var.prometheus == null ? true : can(regex("^[a-zA-Z_:][a-zA-Z0-9_:]*$", var.prometheus.metric_prefix))
    error_message = "prometheus.metric_prefix must be the beginning of a metric name: letters, digits, underscores and colons, not starting with a digit."
  }

  validation {
    condition     = var.prometheus == null ? true : var.prometheus.scrape_interval_seconds >= 1 && var.prometheus.scrape_interval_seconds <= 300
    error_message = "prometheus.scrape_interval_seconds must be between 1 and 300: the scrape_interval of the job that scrapes the aggregators."
  }

  validation {
    condition     = var.prometheus == null ? true : var.prometheus.request_timeout_seconds >= 1 && var.prometheus.request_timeout_seconds <= 60
    error_message = "prometheus.request_timeout_seconds must be between 1 and 60."
  }

  validation {
    condition = try(var.prometheus.expected_buffered_outputs, null) == null ? true : (
      var.prometheus.expected_buffered_outputs >= 1 && floor(var.prometheus.expected_buffered_outputs) == var.prometheus.expected_buffered_outputs
    )
    error_message = "prometheus.expected_buffered_outputs must be a whole number of at least 1; leave it out if you do not know."
  }

  validation {
    condition     = try(var.prometheus.heartbeat_plugin_id, null) == null ? true : can(regex("^[^\\s\"\\\\]+$", var.prometheus.heartbeat_plugin_id))
    error_message = "prometheus.heartbeat_plugin_id must be the @id of an output, without spaces, quotes or backslashes; leave it out if there is none."
  }

  validation {
    condition     = var.prometheus == null ? true : contains(["GET", "POST"], var.prometheus.method)
    error_message = "prometheus.method must be GET or POST."
  }

  validation {
    condition = var.prometheus == null ? true : alltrue([
      for name, value in var.prometheus.headers :
      can(regex("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", name)) && can(regex("^[!-~]([ !-~]*[!-~])?$", value)) && !can(regex("^(authorization|connection|content-length|host|transfer-encoding|x-amz-.*)$", lower(name)))
    ])
    error_message = "prometheus.headers: names are letters, digits and hyphens, values printable ASCII without blanks at their ends. Authorization and X-Amz-... are prometheus.auth's, Host and lengths the request's own."
  }

  validation {
    condition     = try(var.prometheus.ca_certificates, null) == null ? true : can(regex("(?s)^\\s*-----BEGIN CERTIFICATE-----\\s.*-----END CERTIFICATE-----\\s*$", var.prometheus.ca_certificates)) && !strcontains(var.prometheus.ca_certificates, "PRIVATE KEY")
    error_message = "prometheus.ca_certificates must be one or more certificates in PEM form (-----BEGIN CERTIFICATE----- ...), such as file(\"ca.pem\"), without a private key."
  }

  validation {
    condition     = var.prometheus == null ? true : length(coalesce(var.prometheus.ca_certificates, "-")) + length(jsonencode(var.prometheus.headers)) <= 2500
    error_message = "prometheus.ca_certificates and headers must have at most 2500 characters together: Lambda allows 4 KB for all variables of a function. Give the one certificate that signed the server's."
  }

  validation {
    condition     = var.prometheus == null ? true : contains(["none", "basic", "bearer", "sigv4"], var.prometheus.auth.type)
    error_message = "prometheus.auth.type must be none, basic, bearer or sigv4."
  }

  validation {
    condition = var.prometheus == null ? true : contains(["basic", "bearer"], var.prometheus.auth.type) ? (
      (var.prometheus.auth.secret_arn == null) != (var.prometheus.auth.ssm_parameter_arn == null)
    ) : var.prometheus.auth.secret_arn == null && var.prometheus.auth.ssm_parameter_arn == null && var.prometheus.auth.kms_key_arn == null
    error_message = "prometheus.auth: basic and bearer need exactly one of secret_arn and ssm_parameter_arn; none and sigv4 take neither, and no kms_key_arn."
  }

  validation {
    condition     = try(var.prometheus.auth.secret_arn, null) == null ? true : can(regex("^arn:[^:]+:secretsmanager:[^:]+:[0-9]{12}:secret:[^*]+$", var.prometheus.auth.secret_arn))
    error_message = "prometheus.auth.secret_arn must be the full ARN of a Secrets Manager secret, with the six characters that AWS adds to its name."
  }

  validation {
    condition     = try(var.prometheus.auth.ssm_parameter_arn, null) == null ? true : can(regex("^arn:[^:]+:ssm:[^:]+:[0-9]{12}:parameter/[^*]+$", var.prometheus.auth.ssm_parameter_arn))
    error_message = "prometheus.auth.ssm_parameter_arn must be the ARN of an SSM parameter, such as arn:aws:ssm:REGION:ACCOUNT:parameter/prometheus/token."
  }

  validation {
    condition     = try(var.prometheus.auth.kms_key_arn, null) == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/[^*]+$", var.prometheus.auth.kms_key_arn))
    error_message = "prometheus.auth.kms_key_arn must be the ARN of a KMS key (not of an alias), such as arn:aws:kms:REGION:ACCOUNT:key/ID."
  }

  validation {
    condition     = try(var.prometheus.auth.region, null) == null ? true : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.prometheus.auth.region))
    error_message = "prometheus.auth.region must be an AWS region, such as eu-west-1."
  }

  validation {
    condition     = try(var.prometheus.auth.role_arn, null) == null ? true : var.prometheus.auth.type == "sigv4" && can(regex("^arn:[^:]+:iam::[0-9]{12}:role/[^*]+$", var.prometheus.auth.role_arn))
    error_message = "prometheus.auth.role_arn must be the ARN of an IAM role, such as arn:aws:iam::ACCOUNT:role/query-prometheus, and is for auth.type = sigv4."
  }

  validation {
    condition     = try(var.prometheus.auth.account_id, null) == null ? true : var.prometheus.auth.type == "sigv4" && var.prometheus.auth.role_arn == null && can(regex("^[0-9]{12}$", var.prometheus.auth.account_id))
    error_message = "prometheus.auth.account_id must be the twelve digits of an account, is for auth.type = sigv4, and means nothing beside role_arn, which names its account."
  }

  validation {
    condition     = try(var.prometheus.auth.type, "none") != "sigv4" ? true : can(regex("/workspaces/ws-[A-Za-z0-9-]+", var.prometheus.url))
    error_message = "prometheus.url must name the workspace for sigv4, https://aps-workspaces.REGION.amazonaws.com/workspaces/ws-...: the function may query that workspace only."
  }
}
