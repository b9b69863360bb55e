"""The operators' pages: how the platform does now and did, and what can be done about it.

Behind the sign-in of `staff`, for who has `operate`. Like all pages they know the services by their API only, with the
session of who asks: each service tells its own figures, and they are put together here.
"""
