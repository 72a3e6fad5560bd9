"""Where an address is shown, its password is not."""

from __future__ import annotations

import pytest

from backbone.kit.addresses import masked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("amqp://u:hidden@h:5672/v", "amqp://u:***@h:5672/v"),
        ("amqps://u:hid@den@h/v", "amqps://u:***@h/v"),
        ("amqps://u:hid/den@h/v", "amqps://u:***@h/v"),
        ("postgresql://u:hidden@h1:1,h2:2/d?sslmode=require", "postgresql://u:***@h1:1,h2:2/d?sslmode=require"),
        ("postgresql:///d?user=u&password=hidden&host=h", "postgresql:///d?user=u&password=***&host=h"),
        ("postgresql://h/d?sslpassword=hidden", "postgresql://h/d?sslpassword=***"),
        ("no answer from amqp://u:hidden@h, then: x@y", "no answer from amqp://u:***@h, then: x@y"),
        ("http://:hidden@h/", "http://:***@h/"),
    ],
)
def test_the_password_is_masked(address: str, shown: str) -> None:
    assert masked(address) == shown


@pytest.mark.parametrize("text", ["amqp://h:5672/v", "postgresql://u@h/d", "kafka-1:9092,kafka-2:9092", "a: b@c", ""])
def test_what_holds_no_password_stays_as_it_is(text: str) -> None:
    assert masked(text) == text
