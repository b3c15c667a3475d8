"""Fail if the contract breaks clients of the last tag; says so if there is no tag yet (run by `make check`)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Compare the image of protos/ with the one of the last tag, by buf's FILE rules."""
    found = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    tag = found.stdout.strip()
    if not tag:
        print("no tag yet: nothing to break")
        return
    before = ROOT / "build" / f"posology-{tag}.binpb"
    if not before.exists():
        build_image_of(tag, before)
    buf = str(Path(sys.executable).parent / "buf")
    against = ["breaking", str(ROOT / "build" / "posology.binpb"), "--against", str(before)]
    sys.exit(subprocess.run([buf, *against, "--config", str(ROOT / "protos" / "buf.yaml")], check=False).returncode)


def build_image_of(tag: str, target: Path) -> None:
    """The contract as it was at a tag, made by that tag's own generator in a worktree."""
    tree = ROOT / "build" / f"tree-{tag}"
    subprocess.run(["git", "worktree", "add", "--force", "--detach", str(tree), tag], cwd=ROOT, check=True)
    try:
        subprocess.run([sys.executable, str(tree / "protos" / "generate.py")], check=True)
        (tree / "build" / "posology.binpb").replace(target)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
