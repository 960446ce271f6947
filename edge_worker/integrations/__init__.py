"""Systems that a worker announces itself to: one package each, off by default."""
