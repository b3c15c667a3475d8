"""Files that a command writes where the user says."""

from pathlib import Path

from posology.core.errors import InvalidInput, Violation


def check_file(option: str, file: Path) -> None:
    """InvalidInput unless a file may be written there: a folder that is not there is a slip of the hand, not a wish."""
    if file.is_dir():
        raise InvalidInput.of([Violation(option, f"{file} is a folder; name the file in it")])
    if not file.parent.is_dir():
        raise InvalidInput.of([Violation(option, f"there is no folder {file.parent}; make it first")])
