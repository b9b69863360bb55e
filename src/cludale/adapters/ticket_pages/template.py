"""What a ticket looks like: a document in typst's language. What is on it comes as JSON in `sys.inputs`."""

TEMPLATE = r"""
#let given = json(bytes(sys.inputs.tickets))
#set document(
  title: given.title,
  date: datetime(
    year: given.issued.at(0), month: given.issued.at(1), day: given.issued.at(2),
    hour: given.issued.at(3), minute: given.issued.at(4), second: given.issued.at(5),
  ),
)
#set text(font: given.fonts, size: 11pt, lang: "en", fallback: false)
#set page(paper: "a5", margin: 16mm)
#let row(label, value) = [#text(size: 8pt, fill: rgb("#555555"), label) \ #text(size: 13pt, value) \ ]
#for (at, ticket) in given.tickets.enumerate() {
  if at > 0 { pagebreak() }
  heading(level: 1, text(size: 22pt, ticket.artist))
  if ticket.title != none { text(size: 13pt, ticket.title) }
  v(2mm)
  row("When", ticket.date)
  if ticket.doors != none { row("Doors", ticket.doors) }
  if ticket.venue != none { row("Where", ticket.venue) }
  row("Section", ticket.section)
  row("Ticket", str(ticket.number) + " of " + str(ticket.quantity))
  if ticket.holder != none { row("Name", ticket.holder) }
  v(4mm)
  align(center, image(
    bytes(ticket.svg), format: "svg", width: 58mm,
    alt: "QR code of this ticket. It is shown at the door, on paper or on a screen.",
  ))
  v(2mm)
  align(center, text(size: 8pt, ticket.id))
}
"""
