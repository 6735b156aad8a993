"""Signs a request for an API that checks AWS credentials."""

from release.errors import InputError


def sign(
    method: str, url: str, headers: dict[str, str], body: bytes, region: str
) -> dict[str, str]:
    """Return `headers` with an AWS Signature Version 4 for API Gateway added.

    Args:
        method: The HTTP method.
        url: The whole address; its host is part of what is signed.
        headers: The headers to send.
        body: The bytes to send.
        region: The API's region.

    Raises:
        InputError: No AWS credentials are found where AWS's own tools look, or botocore is missing.
    """
    try:
        # Only here: every other request needs the standard library alone.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session
    except ModuleNotFoundError as error:
        raise InputError(
            "signing a request needs botocore; run through `uv run python -m release smoke`",
        ) from error
    credentials = Session().get_credentials()
    if credentials is None:
        raise InputError(
            "no AWS credentials found to sign the request with; log in (`aws sso login`) or set "
            "AWS_PROFILE, or pass --auth jwt or --auth none if the API asks for no signature",
        )
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
    return dict(request.headers.items())
