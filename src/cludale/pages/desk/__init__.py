"""The organizers' pages: their concerts, how they sell, their orders, and what can be done about both.

Behind the sign-in of `staff`. Like all pages they know the services by their API only, with the session of who asks:
what somebody may do is decided there.
"""
