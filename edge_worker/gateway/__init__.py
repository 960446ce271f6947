"""The web page and the REST API: an HTTP process that is one more client of the broker and runs no model."""
