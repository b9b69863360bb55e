"""Makes a PNG smaller by giving it 64 colours or fewer: a page has few, and gradients may show steps."""

from pathlib import Path

from PIL import Image

COLOURS = (96, 64, 32, 16)


def shrink(file: Path, most: int) -> int:
    """Rewrite `file` with as many colours as fit into `most` bytes; its size in bytes. Raises ValueError if none do."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    for colours in COLOURS:
        picture.quantize(colours, dither=Image.Dither.NONE).save(file, optimize=True)
        size = file.stat().st_size
        if size <= most:
            return size
    raise ValueError(f"{file.name}: {size} bytes with {COLOURS[-1]} colours")
