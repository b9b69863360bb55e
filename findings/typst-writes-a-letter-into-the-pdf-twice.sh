#!/usr/bin/env bash
# typst 0.15.2: a letter with a mark above it that has no character of its own is in the PDF's text twice.
#
# Most would expect: the text of a PDF is the text that it was made from, above all of one that keeps to PDF/UA, so
# that a name can be searched for, copied and read aloud.
# Seen: with typst's own font (Libertinus Serif), the letters of Yoruba that Unicode writes as two characters, such as
# o with a dot below and a grave accent, stand in the text twice: two readers that share no code agree. Nothing is said when the
# document is made, under ua-1 neither. In DejaVu Sans Mono, which typst brings as well, the text is right, and so
# are letters that are one character in Unicode in both fonts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'typst==0.15.2' 'pypdfium2==5.15.2' 'pymupdf==2.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import unicodedata
from importlib.metadata import version

import pymupdf
import pypdfium2
import typst

NAMES = {"Adébáyọ̀": "Adébáyọ̀ọ̀", "Olúṣẹ́gun": "Olúṣẹ́ẹ́gun", "Ọlá": "Ọlá", "Nguyễn": "Nguyễn"}
SOURCE = '#set document(title: "Names")\n#set text({font}lang: "yo")\n{name}\n'
READERS = {
    "PDFium": lambda pdf: pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range(),
    "MuPDF": lambda pdf: pymupdf.open(stream=pdf)[0].get_text(),
}


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


print(*(f"{name} {version(name)}" for name in ("typst", "pypdfium2", "pymupdf")), "on Python", sys.version.split()[0])
changed = False
for name, twice in NAMES.items():
    for font in ("Libertinus Serif", "DejaVu Sans Mono"):
        for standard in ("1.7", "ua-1"):
            source = SOURCE.format(font=f'font: "{font}", ', name=name)
            pdf = typst.compile(source.encode(), format="pdf", ignore_system_fonts=True, pdf_standards=standard)
            seen = {reader: composed(read(pdf)) for reader, read in READERS.items()}
            print(f"{name}, {font}, {standard}\n  expected {name}\n  seen     {seen}")
            known = composed(twice if font == "Libertinus Serif" else name)
            changed |= any(text != known for text in seen.values())
if changed:
    sys.exit("It no longer behaves as described here.")
PYTHON
