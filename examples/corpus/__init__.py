"""What the sample files say and the script that writes them (`python -m examples.corpus`); standard library only."""
