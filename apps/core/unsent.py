"""Where mails go while no server for them is set and lines of the log are read by programs."""

import logging
from collections.abc import Sequence

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage

logger = logging.getLogger(__name__)


class UnsentMail(BaseEmailBackend):
    """Says that a mail was not sent, and nothing of it: whoever reads a link in a log could follow
    it. Where people read along, Django's console backend prints it."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for _ in email_messages:
            logger.warning("a mail was not sent: set EMAIL_URL to the server for mails")
        return len(email_messages)
