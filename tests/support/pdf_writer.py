"""Small PDFs written by hand, so that a test says exactly where each line stands."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 595, 842


@dataclass(frozen=True)
class Text:
    """A line at (x, y) in points from the left and from the top."""

    x: float
    y: float
    text: str
    size: float = 10
    bold: bool = False


@dataclass(frozen=True)
class Rule:
    """A straight line from (x0, y0) to (x1, y1), measured as texts are."""

    x0: float
    y0: float
    x1: float
    y1: float


def pdf(pages: Sequence[Sequence[Text | Rule]], *, pictures: bool = False) -> bytes:
    """A whole file; with `pictures`, a page without text holds one that covers it."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>")
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"
    )
    objects.append(picture + b"\nstream\n\x80\nendstream")
    kids = []
    for page in pages:
        content = "\n".join(map(_drawn, page)).encode("cp1252")
        if pictures and not page:
            content = f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /I Do Q".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        resources = b"<< /Font << /R 3 0 R /B 4 0 R >> /XObject << /I 5 0 R >> >>"
        box = f"/MediaBox [0 0 {WIDTH} {HEIGHT}]".encode()
        objects.append(
            b"<< /Type /Page /Parent 2 0 R %s /Resources %s /Contents %d 0 R >>" % (box, resources, len(objects))
        )
        kids.append(len(objects))
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)


def _drawn(item: Text | Rule) -> str:
    if isinstance(item, Rule):
        return f"{item.x0} {HEIGHT - item.y0} m {item.x1} {HEIGHT - item.y1} l S"
    text = item.text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{'B' if item.bold else 'R'} {item.size} Tf {item.x} {HEIGHT - item.y} Td ({text}) Tj ET"


def column(x: float, y: float, lines: Sequence[str], *, size: float = 10) -> list[Text]:
    """Lines below each other, a fifth of their size apart."""
    return [Text(x, y + 1.2 * size * number, line, size) for number, line in enumerate(lines)]
