"""Posts to organizers' servers, over connections that go to addresses outside alone. Follows no redirect."""
