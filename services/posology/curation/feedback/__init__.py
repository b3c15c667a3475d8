"""What users said of answers, and the reviews of those answers."""
