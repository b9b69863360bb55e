"""A concert's picture: a stage in lights, drawn from its id, so that each has its own and always the same. Pure."""

import hashlib
from functools import lru_cache

WIDTH, HEIGHT = 640, 320


@lru_cache(maxsize=512)
def picture(id: str) -> bytes:
    """An SVG of 640 by 320, about 2 KB."""
    seed = hashlib.sha256(id.encode()).digest()
    hue, step = (190 + seed[0] * 190 // 256) % 360, 25 + seed[1] % 50  # blue to red: fewer look like mud
    second = (hue + step) % 360
    beams = "".join(
        f'<path d="M{x} -10L{x + lean - spread} 330H{x + lean + spread}z" fill="hsl({(hue, second)[i % 2]} 90% 72%)" '
        f'opacity=".{14 + seed[i] % 14}"/>'
        for i, (x, lean, spread) in enumerate(
            (60 + 130 * i + seed[2 + i] % 40, seed[8 + i] % 240 - 120, 30 + seed[14 + i] % 50) for i in range(5)
        )
    )
    crowd = "".join(
        f'<circle cx="{i * 26 + seed[i] % 12}" cy="{304 - seed[i * 7 % 32] % 16}" r="{11 + seed[i * 3 % 32] % 6}"/>'
        for i in range(26)
    )
    hands = "".join(
        f'<path d="M{40 + i * 92 + seed[20 + i] % 40} 300l{seed[24 + i] % 16 - 8} -{46 + seed[25 + i] % 24}"/>'
        for i in range(6)
    )
    glow = 200 + seed[28] * 240 // 256
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">
<defs><linearGradient id="s" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="hsl({hue} 60% 14%)"/>\
<stop offset="1" stop-color="hsl({second} 65% 38%)"/></linearGradient>\
<radialGradient id="g"><stop offset="0" stop-color="hsl({second} 95% 80%)"/>\
<stop offset="1" stop-color="hsl({second} 95% 60%)" stop-opacity="0"/></radialGradient></defs>
<path d="M0 0h{WIDTH}v{HEIGHT}H0z" fill="url(#s)"/><ellipse cx="{glow}" cy="270" rx="300" ry="170" fill="url(#g)"/>\
{beams}<g fill="hsl({hue} 55% 8%)">{crowd}<path d="M0 300h{WIDTH}v20H0z"/></g>\
<g stroke="hsl({hue} 55% 8%)" stroke-width="9" stroke-linecap="round">{hands}</g></svg>""".encode()
