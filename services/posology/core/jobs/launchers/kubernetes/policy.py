"""What one attempt may do in an object store, as the inline policy of a session: it narrows a role, adds nothing."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from posology.core.errors import InvalidInput
from posology.core.jobs.domain import checkpoint_prefix, slug, staging_prefix

LONGEST = 2048
"""Characters that STS takes."""
_PATTERNS = frozenset("*?$")


@dataclass(frozen=True)
class Keys:
    """All keys of a bucket that begin with `prefix`."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Keys":
        """Those of `s3://bucket/beginning`; InvalidInput for what is no such URL, or a pattern itself."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or _PATTERNS & set(parts.netloc + parts.path):
            raise InvalidInput(f"{parts.scheme}://{parts.netloc}{parts.path} is not s3://bucket/prefix")
        return cls(parts.netloc, parts.path.removeprefix("/"))

    @classmethod
    def below(cls, url: str) -> "Keys":
        """Those in the folder `url`."""
        keys = cls.of(url)
        folder = keys.prefix.rstrip("/")
        return cls(keys.bucket, f"{folder}/" if folder else "")

    def folder(self, name: str) -> "Keys":
        """Those in a folder of this one."""
        if _PATTERNS & set(name):
            raise InvalidInput(f"{name!r} can't be told from a pattern in a policy")
        return Keys(self.bucket, f"{self.prefix}{name}/")


@dataclass(frozen=True)
class Stores:
    """What attempts read and write: published artifacts, the staging area, and sources that specs may name.

    `keys` are KMS keys that the buckets are encrypted with, by ARN.
    """

    candidates: Keys
    staging: Keys
    sources: tuple[Keys, ...] = ()
    keys: tuple[str, ...] = ()

    def policy(self, job: str, attempt: int, *, partition: str = "aws") -> str:
        """Read artifacts, sources and what the attempts of this job left; write what this attempt leaves. Without
        `released`: nobody trains from there, and only a verdict writes there."""
        read = [self.candidates, self.staging.folder(f"jobs/{slug(job)}"), *self.sources]
        write = [self.staging.folder(prefix) for prefix in _own(job, attempt)]
        statements = [
            _allow(["s3:GetObject"], _objects(read, partition)),
            _allow(["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], _objects(write, partition)),
            *_listing(read, partition),
        ]
        if self.keys:
            statements.append(_allow(["kms:Decrypt", "kms:GenerateDataKey"], self.keys))
        text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
        if len(text) > LONGEST:
            fault = f"the session policy of a worker has {len(text)} characters, and may have {LONGEST}"
            raise InvalidInput(f"{fault}; name fewer prefixes for sources, or shorter ones")
        return text


def _own(job: str, attempt: int) -> tuple[str, str]:
    """An attempt that was believed dead can't spoil what the next one reads."""
    return staging_prefix(job, attempt), f"{checkpoint_prefix(job)}/{attempt}"


def _allow(actions: Sequence[str], resources: Sequence[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources), **more}


def _objects(allowed: Sequence[Keys], partition: str) -> list[str]:
    return [f"arn:{partition}:s3:::{keys.bucket}/{keys.prefix}*" for keys in allowed]


def _listing(allowed: Sequence[Keys], partition: str) -> list[dict[str, Any]]:
    """Names below these prefixes, bucket by bucket."""
    prefixes = defaultdict(list)
    for keys in allowed:
        prefixes[keys.bucket].append(f"{keys.prefix}*")
    return [
        _allow(["s3:ListBucket"], [f"arn:{partition}:s3:::{bucket}"], Condition={"StringLike": {"s3:prefix": begins}})
        for bucket, begins in prefixes.items()
    ]
