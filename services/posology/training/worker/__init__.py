"""What trains: the only part of this service that may import torch; started as a process, never imported."""
