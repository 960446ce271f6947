"""Systems that a worker announces itself to: a package each, off by default."""
