"""Pictures by matplotlib as SVG whose colours are those of the page."""

import io
import re
from typing import Any

from markupsafe import Markup, escape
from matplotlib.figure import Figure

# Colours that stand for the page's variables: matplotlib writes the left, the page gets the right.
INK, FAINT, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {INK: "var(--ink)", FAINT: "var(--line)", FIRST: "var(--first)", SECOND: "var(--second)"}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Helvetica", "Arial", "sans-serif", "DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
}


def to_svg(figure: Figure, *, label: str) -> Markup:
    """A figure in the colours of the page."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for standing, variable in _VARIABLES.items():
        text = text.replace(standing, variable)
    # Made by matplotlib from numbers and our own words.
    return Markup(text.replace("<svg ", f'<svg class="curves" role="img" aria-label="{escape(label)}" ', 1))
