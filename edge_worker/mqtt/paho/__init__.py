"""The only users of paho-mqtt."""
