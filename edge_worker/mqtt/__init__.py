"""The broker's side: the link (the only user of paho), topics, and what passes between link and worker."""
