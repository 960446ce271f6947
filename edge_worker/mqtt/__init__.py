"""The broker's side: links, topics, and what passes between link and worker."""
