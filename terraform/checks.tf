# What is likely a mistake, but no error: `plan` and `apply` warn of it.

check "label_holds_what_identifies_an_instance" {
  assert {
    condition     = try(var.prometheus.identify_by, "") != "instance_id" || !contains(["instance", "exported_instance", "host", "hostname"], try(var.prometheus.instance_label, ""))
    error_message = "prometheus.instance_label = \"${try(var.prometheus.instance_label, "")}\" usually holds an address, and prometheus.identify_by is instance_id: no series would be found, and no instance released. Set identify_by = \"private_ip_address\", or relabel the targets as the output prometheus_scrape_config does."
  }
  assert {
    condition     = try(var.prometheus.identify_by, "") != "private_ip_address" || !contains(["instance_id", "ec2_instance_id"], try(var.prometheus.instance_label, ""))
    error_message = "prometheus.instance_label = \"${try(var.prometheus.instance_label, "")}\" looks like a label with instance ids, and prometheus.identify_by is private_ip_address: no series would be found, and no instance released. Set instance_label = \"instance\", or leave identify_by out."
  }
}

check "credentials_are_not_sent_in_the_clear" {
  assert {
    condition     = !contains(["basic", "bearer"], try(var.prometheus.auth.type, "none")) || startswith(try(var.prometheus.url, ""), "https://")
    error_message = "prometheus.auth sends credentials to ${try(var.prometheus.url, "")} without encryption. Use an https:// address."
  }
}

check "prometheus_can_be_reached_from_lambda" {
  assert {
    condition     = var.network != null || !can(regex("^https?://(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|[^/:]+\\.internal\\b|\\[f[cd])", var.prometheus.url))
    error_message = "prometheus.url = \"${try(var.prometheus.url, "")}\" looks like an address inside a VPC, and network is not set: the evidence function would not reach it. Set network to subnets and security groups of that VPC."
  }
}
