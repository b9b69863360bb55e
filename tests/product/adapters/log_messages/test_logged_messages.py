"""Messages that go to the log."""

import logging

import pytest

from cludale.adapters.log_messages import LoggedMessages
from cludale.ports.messengers import HandedTo, Mailer, Message, TextMessenger


async def test_a_message_stands_in_the_log_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    mailer: Mailer = LoggedMessages("email")
    texts: TextMessenger = LoggedMessages("sms")
    with caplog.at_level(logging.INFO):
        handed = [
            await mailer.send(Message("confirmation-1", "zoe.buyer@example.org", "Your tickets", "Two of them.")),
            await texts.send(Message("confirmation-2", "+31 6 1234567", "Your tickets", "Three of them.")),
        ]
    assert handed == [HandedTo.LOG, HandedTo.LOG]
    first, second = caplog.messages
    assert first == "email confirmation-1: Your tickets\nTwo of them."
    assert second == "sms confirmation-2: Your tickets\nThree of them."


async def test_neither_a_name_nor_a_link_that_opens_an_order_stands_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = "https://t.example.com/shop/orders/order-1?key=k3y"
    message = Message("c-1", "a@example.org", "For Ann", f"Hello Ann, Annual\n{link}\n", secrets=(link, "Ann"))
    with caplog.at_level(logging.INFO):
        await LoggedMessages("email").send(message)
    assert caplog.messages == ["email c-1: For …\nHello …, Annual\n…\n"]
