"""The HTTP server, and what each `api.py` says its routes with.

What api.py files use: `routing`, `bodies`, `queries`, `fields`, `access`, `keyed`, `problems`.
What serves them: `server`, `protocol`, `router`, `app`, `openapi`.
What calls another server: `connection`.
"""
