"""The options of CREATE CONNECTION and what they are called under `kafka` of the service's file.

Always true: each option is one property, so that a statement can be made from properties again; a property of librdkafka that has
no option is written with its own name in double quotes. Deliberately unknown: values.
"""

from __future__ import annotations

import re

KAFKA = "kafka"
REGISTRY = "confluent schema registry"

USERNAME, PASSWORD = "schema.registry.username", "schema.registry.password"
"""A registry's credentials apart; to its client they are one property."""

OPTIONS: dict[str, dict[str, str]] = {
    KAFKA: {
        "BROKER": "bootstrap.servers",
        "SECURITY PROTOCOL": "security.protocol",
        "SASL MECHANISMS": "sasl.mechanisms",
        "SASL USERNAME": "sasl.username",
        "SASL PASSWORD": "sasl.password",
        "SSL CERTIFICATE AUTHORITY": "ssl.ca.pem",
        "SSL CERTIFICATE": "ssl.certificate.pem",
        "SSL KEY": "ssl.key.pem",
    },
    REGISTRY: {
        "URL": "schema.registry.url",
        "USERNAME": USERNAME,
        "PASSWORD": PASSWORD,
    },
}
"""By the type of a connection: option to property."""

_SECRET = re.compile(r"password|secret|token|sasl\.jaas|\.key|userinfo|user\.info", re.IGNORECASE)


def is_secret(property_: str) -> bool:
    """Whether a property is a credential: it has to be given as a secret."""
    return bool(_SECRET.search(property_))


def option(type_: str, property_: str) -> str:
    """How a statement calls a property."""
    return next((name for name, known in OPTIONS[type_].items() if known == property_), f'"{property_}"')
