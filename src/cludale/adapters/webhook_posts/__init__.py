"""Posts to organizers' servers, over connections that go to addresses outside alone. Follows no redirect."""

from cludale.adapters.webhook_posts.addresses import Networks
from cludale.adapters.webhook_posts.sender import HttpWebhooks

__all__ = ["HttpWebhooks", "Networks"]
