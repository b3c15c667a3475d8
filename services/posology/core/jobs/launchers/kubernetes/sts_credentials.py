"""Credentials of an attempt: a role of the object store's STS, narrowed to what that attempt needs, for an hour or so.

They lie in a Secret of the attempt as a file that every AWS client reads again before they run out
(`credential_process`), and are made anew when half of their time is over: the Secret changes, the pod does not.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from posology.core import errors
from posology.core.artifacts import credentials
from posology.core.jobs.launchers.kubernetes.manifest import SESSION
from posology.core.jobs.launchers.kubernetes.pods import WorkerRole
from posology.core.jobs.launchers.kubernetes.policy import Keys, Stores

_CONFIG, _CREDENTIALS = "config", "credentials.json"
_PAUSE_SECONDS = 30.0
"""After an STS that did not answer."""
_CALL_SECONDS = 5


@dataclass
class StsCredentials:
    """Assumes `role` for attempts whose artifacts lie in `candidates` and whose files go below `staging`.

    Credentials for that are those of `staging`; without any, the process's own (a pod's or node's role).
    """

    role: WorkerRole
    candidates: str
    staging: str
    _due: dict[str, float] = field(default_factory=dict)
    _not_before: float = 0.0

    def __post_init__(self) -> None:
        self._stores = Stores(
            Keys.below(self.candidates),
            Keys.below(self.staging),
            tuple(Keys.of(source) for source in self.role.sources),
            tuple(self.role.kms_keys),
        )

    def due(self, uid: str) -> bool:
        """Whether an attempt needs new credentials; also true for one that an earlier process gave some."""
        clock = time.monotonic()
        return clock >= self._due.get(uid, 0.0) and clock >= self._not_before

    def given(self, uid: str) -> None:
        """An attempt has new credentials now."""
        self._due[uid] = time.monotonic() + self.role.seconds / 2

    def postpone(self) -> None:
        """Nobody asks for a while."""
        self._not_before = time.monotonic() + _PAUSE_SECONDS

    def forget(self, uid: str) -> None:
        self._due.pop(uid, None)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a pod: where its credentials are, and the options of its stores without any."""
        references = [urlsplit(url).fragment for url in (self.candidates, self.staging)]
        plain = {
            reference.removeprefix("env:"): json.dumps(credentials.without(credentials.resolve(reference)))
            for reference in references
            if reference.startswith("env:")
        }
        return {**plain, "AWS_CONFIG_FILE": f"{SESSION}/{_CONFIG}"}

    async def files(self, job: str, attempt: int, *, name: str) -> Mapping[str, str]:
        """New credentials, as the files of the attempt's Secret; `name` is what the store's own log shows.

        Unavailable: the STS does not answer; FailedPrecondition: it does not let this service do so.
        """
        session = await self._assume(self._stores.policy(job, attempt, partition=self._partition), name)
        ends: datetime = session["Expiration"]
        process = {name: session[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
        return {
            _CONFIG: f"[default]\ncredential_process = /bin/cat {SESSION}/{_CREDENTIALS}\n",
            _CREDENTIALS: json.dumps({"Version": 1, **process, "Expiration": ends.isoformat()}),
        }

    async def _assume(self, policy: str, name: str) -> Mapping[str, Any]:
        # Imported here: it takes a third of a second, and most installations have no role.
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

        config = AioConfig(connect_timeout=_CALL_SECONDS, read_timeout=_CALL_SECONDS, retries={"total_max_attempts": 2})
        try:
            async with get_session().create_client("sts", config=config, **self._client_options()) as sts:
                answer = await sts.assume_role(
                    RoleArn=self.role.arn, RoleSessionName=name, DurationSeconds=self.role.seconds, Policy=policy
                )
        except ClientError as error:
            raise self._refused(error.response, error) from error
        except (NoCredentialsError, ParamValidationError) as error:
            raise errors.FailedPrecondition(self._said(error)) from error
        except BotoCoreError as error:
            raise errors.Unavailable(f"no credentials for a worker: {error}") from error
        session: Mapping[str, Any] = answer["Credentials"]
        return session

    def _said(self, error: Exception) -> str:
        return f"this service may not assume {self.role.arn} for a worker: {error}"

    def _refused(self, response: Mapping[str, Any], error: Exception) -> errors.PosologyError:
        fault = self._said(error)
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        throttled = response.get("Error", {}).get("Code", "").startswith("Throttl")
        return errors.Unavailable(fault) if status >= 500 or throttled else errors.FailedPrecondition(fault)

    def _client_options(self) -> dict[str, Any]:
        options = credentials.resolve(urlsplit(self.staging).fragment)
        names = {"key": "aws_access_key_id", "secret": "aws_secret_access_key", "token": "aws_session_token"}
        own_credentials = {argument: options[name] for name, argument in names.items() if options.get(name)}
        endpoint = self.role.endpoint or options.get("endpoint_url")
        client_options = {"region_name": "us-east-1"} if endpoint else {}
        client_options |= options.get("client_kwargs", {}) | own_credentials
        return client_options | ({"endpoint_url": endpoint} if endpoint else {})

    @property
    def _partition(self) -> str:
        """aws, or aws-cn and the like; stores of another kind take aws."""
        partition = self.role.arn.split(":")[1:2]
        return partition[0] if partition and partition[0].startswith("aws") else "aws"
