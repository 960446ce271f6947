"""The web page and the REST API: an HTTP process that is one more client of the broker. No model is in it."""
