"""The only place of this service with I/O imports besides the composition root."""
