"""The arithmetic on a SageMaker endpoint. boto3 comes with AWS's Python base images."""

from __future__ import annotations

from handler.backends import remote
from handler.errors import BackendTimeoutError, NotReadyError, StartupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from handler.manifest import Manifest, Signature
    from handler.tensor import Tensor

_CONNECT_SECONDS = 5


class SageMakerBackend:
    """Invokes `SAGEMAKER_ENDPOINT`; boto3 finds region, credentials and URL in the environment.

    Args:
        manifest: What model.json says; model.tflite is not needed here.
        settings: SAGEMAKER_ENDPOINT and BACKEND_TIMEOUT_MS.

    Raises:
        StartupError: A setting is missing or wrong, or the image has no boto3.
    """

    def __init__(self, manifest: Manifest, settings: Mapping[str, str]) -> None:
        self._manifest = manifest
        self._endpoint = remote.setting(settings, "SAGEMAKER_ENDPOINT", "sagemaker")
        timeout = remote.timeout_seconds(settings)
        try:
            import boto3  # half a second, which only this backend pays, before the first request
            from botocore import exceptions
            from botocore.config import Config
        except ImportError as error:
            raise StartupError(
                "MODEL_BACKEND=sagemaker needs boto3, which this base image does not have: "
                "use public.ecr.aws/lambda/python"
            ) from error
        self._exceptions = exceptions
        # No retries: the caller's own retry is better placed, and 28 s leave no room for two.
        config = Config(
            connect_timeout=min(_CONNECT_SECONDS, timeout),
            read_timeout=timeout,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        try:
            self._client = boto3.client("sagemaker-runtime", config=config)
        except exceptions.BotoCoreError as error:
            raise StartupError(f"cannot make a SageMaker client: {error}") from error

    def run(self, tensors: Mapping[str, Tensor], signature: Signature) -> dict[str, Tensor]:
        """Answer with every output, for inputs that the predictor has checked.

        Raises:
            BadRequestError: The model on the endpoint blames the request.
            BackendTimeoutError: It took longer than BACKEND_TIMEOUT_MS.
            NotReadyError: The endpoint cannot be reached, or failed.
        """
        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self._endpoint,
                ContentType="application/json",
                Accept="application/json",
                Body=remote.write_request(tensors, signature, self._manifest),
            )
            body = answer["Body"].read()
        except (
            self._exceptions.ReadTimeoutError,
            self._exceptions.ConnectTimeoutError,
        ) as error:
            raise BackendTimeoutError("the model's backend took too long") from error
        except self._exceptions.ClientError as error:
            status, body = _model_error(error.response)
            return remote.read_answer(status, body, signature)
        except self._exceptions.BotoCoreError as error:
            raise NotReadyError("the model's backend cannot be reached; try again") from error
        return remote.read_answer(200, body, signature)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _model_error(response: dict[str, Any]) -> tuple[int, bytes]:
    """The status and body the container answered, where SageMaker passes them on.

    Any other error (no such endpoint, no permission, throttled) is not the client's.
    """
    if response.get("Error", {}).get("Code") != "ModelError":
        return 503, b""
    return int(response.get("OriginalStatusCode", 503)), response.get(
        "OriginalMessage", ""
    ).encode()
