"""What every room may use: whole files, timestamps, topics, deadlines. Standard library only."""
