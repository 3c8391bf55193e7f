# The zip that the functions run, and the version that it belongs to. A release carries its zips and their
# checksums in `package/`; a checkout builds them.

locals {
  module_version = trimspace(file("${path.module}/VERSION"))
  tags           = merge({ fluentd-lifecycle-version = local.module_version }, var.tags)

  package_name     = "fluentd-lifecycle-${var.lambda.architecture}-${var.lambda.runtime}.zip"
  released_package = "${path.module}/package/${local.package_name}"
  built_package    = "${path.module}/../build/package/${local.package_name}"
  checksums_path   = "${path.module}/package/SHA256SUMS"
  is_release       = fileexists(local.checksums_path)
  # A release knows where its own runbooks can be read; a checkout has them.
  runbook_base_url = coalesce(var.alarms.runbook_base_url, try(trimspace(file("${path.module}/package/RUNBOOKS")), "docs/runbooks"))

  package_from_s3 = var.lambda.package.s3 != null
  package_path    = local.package_from_s3 ? null : coalesce(var.lambda.package.local_path, local.is_release ? local.released_package : local.built_package)
  package_exists  = local.package_from_s3 ? true : fileexists(local.package_path)
  # Of a zip in S3 only the operator can tell.
  package_is_of_this_version = local.package_from_s3 || !local.package_exists || !local.is_release ? true : (
    # The line has the name, too: it says for which architecture and runtime the zip is.
    strcontains(file(local.checksums_path), "${filesha256(local.package_path)}  ${local.package_name}\n")
  )
}

resource "terraform_data" "package" {
  input = local.module_version

  lifecycle {
    precondition {
      condition     = local.package_exists && local.package_is_of_this_version
      error_message = "${local.package_exists ? "The Lambda package ${coalesce(local.package_path, "(S3)")} is not the one" : "There is no Lambda package ${coalesce(local.package_path, "(S3)")}"} of version ${local.module_version} for ${var.lambda.architecture} and ${var.lambda.runtime}. ${local.is_release ? "This release brings zips for the architectures and the runtime that package/SHA256SUMS lists: leave lambda.package and lambda.runtime out. For a mirror, copy a zip of this very release." : "This is a checkout: run `make package ARCHITECTURE=${var.lambda.architecture} PYTHON_VERSION=${trimprefix(var.lambda.runtime, "python")}` in its root, or use a release, `source = \"git::https://...//terraform?ref=vX.Y.Z\"`, which brings its zips along."}"
    }
  }
}
