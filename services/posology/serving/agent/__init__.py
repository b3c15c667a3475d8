"""The process beside every engine: fetches and verifies, replays probes, passes requests on, drains."""
