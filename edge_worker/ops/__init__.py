"""Operations: logs, health, service manager notifications, signals, sandbox, thread limits."""
