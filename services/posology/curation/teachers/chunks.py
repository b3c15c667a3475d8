"""Long sections in overlapping chunks of whole lines, so that a teacher sees every word of them."""

MOST = 8_000  # characters of one chunk: about 2,000 tokens, which any model reads with attention
OVERLAP = 600  # characters of the chunk before that are shown again, so that no statement is cut in two


def chunks(text: str, *, most: int = MOST, overlap: int = OVERLAP) -> list[str]:
    """Chunks that together hold every line of `text`; a table that is cut shows its head again.

    Lines that are too long for a chunk are cut between words.
    """
    if len(text) <= most:
        return [text]
    lines = [piece for line in text.split("\n") for piece in _pieces(line, most - overlap)]
    made: list[list[str]] = [[]]
    size = 0
    for number, line in enumerate(lines):
        if size + len(line) + 1 > most and made[-1]:
            again = _head(lines, number) + _tail(made[-1], overlap)
            made.append(again)
            size = sum(len(kept) + 1 for kept in again)
        made[-1].append(line)
        size += len(line) + 1
    return ["\n".join(chunk) for chunk in made]


def _tail(lines: list[str], overlap: int) -> list[str]:
    kept: list[str] = []
    while lines and sum(map(len, kept)) + len(lines[-1 - len(kept)]) <= overlap:
        kept.insert(0, lines[-1 - len(kept)])
        if len(kept) == len(lines):
            break
    return kept


def _head(lines: list[str], number: int) -> list[str]:
    """The head and rule of the table that the line at `number` belongs to."""
    if not lines[number].startswith("|"):
        return []
    at = number
    while at >= 0 and lines[at].startswith("|"):
        if lines[at].startswith("| ---"):
            return lines[max(0, at - 1) : at + 1] if number - at > 1 else []
        at -= 1
    return []


def _pieces(line: str, most: int) -> list[str]:
    pieces = []
    while len(line) > most:
        at = line.rfind(" ", most // 2, most)
        at = at if at > 0 else most
        pieces.append(line[:at])
        line = line[at:].lstrip()
    return [*pieces, line]
