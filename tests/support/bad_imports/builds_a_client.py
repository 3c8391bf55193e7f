"""Does what no module of the product may do; the guard has to notice."""

import boto3

CLIENT = boto3.client("sqs", region_name="ap-northeast-1")
