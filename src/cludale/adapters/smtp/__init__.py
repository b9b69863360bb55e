"""E-mail over SMTP: a few connections that are kept and used again. No decision about what is sent, or when again."""

from cludale.adapters.smtp.bounces import Bounce, bounce_of
from cludale.adapters.smtp.connection import Encryption, MailServer
from cludale.adapters.smtp.mail import sender_address
from cludale.adapters.smtp.mailer import SmtpMailer

__all__ = ["Bounce", "Encryption", "MailServer", "SmtpMailer", "bounce_of", "sender_address"]
