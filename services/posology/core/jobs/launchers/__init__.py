"""How the service starts, finds and ends workers: processes of this machine, or Jobs of a cluster."""
