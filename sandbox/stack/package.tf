# The package goes to the functions through S3. The provider creates functions from a local file one
# after the other and waits five seconds for each; from S3 it creates them side by side.

locals {
  lambda = merge(var.lambda, {
    package = { s3 = { bucket = aws_s3_object.package.bucket, key = aws_s3_object.package.key } }
  })
}

resource "aws_s3_bucket" "package" {
  bucket        = "${var.name}-package"
  force_destroy = true
}

resource "aws_s3_object" "package" {
  bucket      = aws_s3_bucket.package.bucket
  key         = "${filesha256(var.lambda.package.local_path)}.zip"
  source      = var.lambda.package.local_path
  source_hash = filesha256(var.lambda.package.local_path)
}
