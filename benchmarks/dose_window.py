"""How often the rule of the therapeutic window is wrong, and how often it recommends nothing; simulated.

python benchmarks/dose_window.py [--repeats 200]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.dose_sweeps import BASE, SCENES, rates

from posology.evaluation.window import Rule


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    print(f"margin {Rule().margin:.0%}, confidence {Rule().confidence:.0%}, {repeats} sweeps a row, base {BASE:.0%}")
    print(f"{'true shares right':40} {'n':>5} {'agree':>5} {'too weak':>9} {'useless':>8} {'nothing':>8}")
    for name, truths in SCENES.items():
        for n, agree, cluster in ((200, 0.9, 1), (200, 0.97, 1), (400, 0.95, 8), (800, 0.97, 1)):
            one = rates(truths, n, agree=agree, cluster=cluster, repeats=repeats)
            label = name + (" (clusters of 8)" if cluster > 1 else "")
            print(f"{label:40} {n:>5} {agree:>5} {one.worse:>9.1%} {one.useless:>8.1%} {one.nothing:>8.1%}")


if __name__ == "__main__":
    main()
