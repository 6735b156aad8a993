"""StateBucket: where Pulumi keeps what it knows, so that nobody reads or loses it."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBucketArgs:
    """What the bucket needs to know.

    Attributes:
        accounts: Other accounts whose roles may be granted access to it.
    """

    accounts: tuple[str, ...] = ()


class StateBucket(pulumi.ComponentResource):
    """A versioned bucket, encrypted with its own key, closed to the public.

    Attributes:
        bucket: Its name.
        key_arn: Its key.
    """

    bucket: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: StateBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:bootstrap:StateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Losing either loses every stack's state, so neither goes with a careless `destroy`.
        kept = pulumi.ResourceOptions(parent=self, protect=True)
        account = aws.get_caller_identity_output(
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).account_id
        key = aws.kms.Key(
            name,
            description="Pulumi's state of thimble",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=account.apply(lambda own: json.dumps(key_policy(own, args.accounts))),
            opts=kept,
        )
        # No name: bucket names are the whole world's, so Pulumi adds random digits.
        bucket = aws.s3.Bucket("thimble-state", opts=kept)
        aws.s3.BucketVersioning(
            name,
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    },
                    # One request to KMS for many objects, at a hundredth of the cost.
                    "bucket_key_enabled": True,
                },
            ],
            opts=child,
        )
        closed = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=bucket.arn.apply(lambda arn: json.dumps(bucket_policy(arn, args.accounts))),
            # S3 refuses two changes of a bucket's access at once.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        self.bucket = bucket.bucket
        self.key_arn = key.arn
        self.register_outputs({"bucket": self.bucket, "key_arn": self.key_arn})


def key_policy(
    own: str,
    accounts: tuple[str, ...],
    actions: tuple[str, ...] = ("kms:Decrypt", "kms:GenerateDataKey"),
) -> dict[str, Any]:
    """Leave who may use the key to the accounts' own policies.

    Args:
        own: The key's account.
        accounts: Others.
        actions: What those may do with it.
    """
    statements: list[dict[str, Any]] = [
        {
            # KMS's own default: without it nobody could ever change the key's policy again.
            "Sid": "OwnAccount",
            "Effect": "Allow",
            "Principal": {"AWS": _root(own)},
            "Action": "kms:*",
            "Resource": "*",
        },
    ]
    if accounts:
        statements.append(
            {
                "Sid": "OtherAccounts",
                "Effect": "Allow",
                "Principal": {"AWS": [_root(account) for account in accounts]},
                "Action": list(actions),
                "Resource": "*",
            },
        )
    return {"Version": "2012-10-17", "Statement": statements}


def bucket_policy(arn: str, accounts: tuple[str, ...]) -> dict[str, Any]:
    """Refuse unencrypted connections; let other accounts grant their roles access."""
    statements: list[dict[str, Any]] = [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    if accounts:
        principal = {"AWS": [_root(account) for account in accounts]}
        statements += [
            {
                "Sid": "OtherAccountsList",
                "Effect": "Allow",
                "Principal": principal,
                "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                "Resource": arn,
            },
            {
                "Sid": "OtherAccountsUse",
                "Effect": "Allow",
                "Principal": principal,
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": f"{arn}/.pulumi/*",
            },
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def _root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"
