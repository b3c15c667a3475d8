"""The nano base model: what it reads before any fine-tuning, and the script that trains it in minutes on two cores."""
