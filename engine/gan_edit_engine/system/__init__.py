"""What the operating system asks of every room: whole files, full memory, names fit for a terminal."""
