"""What an operator sees of the worker: logs, metrics, health, the service manager's notifications."""
