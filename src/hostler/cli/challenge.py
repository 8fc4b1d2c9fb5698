"""`hostler challenge`: what an authority is answered that looks over HTTP whether the server has a name."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments
from hostler.errors import ConfigurationError
from hostler.system.environment import environment
from hostler.tls.challenges import parse_token

# certbot's name for the key authorization, in the environment of its hooks.
VARIABLE = "CERTBOT_VALIDATION"


def execute(arguments: Sequence[str]) -> int:
    """Have the server answer, or answer no longer."""
    namespace = parse_arguments("challenge", arguments)
    answer = namespace.answer or environment().get(VARIABLE)
    if not answer:
        raise ConfigurationError(
            "there is no answer to give: name the key authorization, or run this as a hook of certbot, which sets "
            f"{VARIABLE}"
        )
    try:
        token = parse_token(answer)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    with connect(namespace) as client:
        if namespace.remove:
            told = client.delete(f"/v1/challenges/{token}")
        else:
            told = client.post("/v1/challenges", {"key_authorization": answer})
    if namespace.json:
        print(json.dumps(told, indent=2))
    else:
        outcome = "is answered no longer" if namespace.remove else "is answered now"
        print(f"/.well-known/acme-challenge/{told['token']} {outcome}")
    return 0
