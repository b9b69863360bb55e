"""The pages that people see: rendered here, over what the services' HTTP API says. Decides nothing about tickets.

Pages know the services by their API only (`api.Api`): in one process with them they call the same routes without a
socket, in a process of their own they call the gateway. `site.Site` is what every page is made with: templates,
languages, files, headers, forms. The shop is in `shop/`, sign-in and what everybody who works here sees in `staff/`,
the organizers' pages in `desk/`, the operators' in `console/`, the door's phones in `door/`.
"""

PREFIXES = ("shop", "staff", "door", "robots.txt")
"""The first segments of their paths, by which a gateway knows what is theirs."""
