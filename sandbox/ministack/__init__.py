"""MiniStack: Lambda, SQS, EventBridge, S3, CloudWatch, SNS and IAM; its alarms and its logs."""
