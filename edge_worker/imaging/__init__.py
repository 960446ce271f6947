"""Images: bytes to arrays and back, headers, palettes, drawing."""
