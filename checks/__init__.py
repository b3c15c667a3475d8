"""What `make check` asks of the sources beside lint, types and imports."""
