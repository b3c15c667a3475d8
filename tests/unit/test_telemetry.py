"""Gauges of jobs and queues."""

from prometheus_client import generate_latest

from posology.core import telemetry


def shown() -> list[str]:
    return generate_latest(telemetry.REGISTRY).decode().splitlines()


def test_a_state_without_jobs_falls_back_to_0() -> None:
    telemetry.show_jobs("training", {("sft", "RUNNING"): 2, ("dpo", "PENDING"): 1})
    telemetry.show_jobs("curation", {("dataset", "RUNNING"): 5})
    telemetry.show_jobs("training", {("sft", "SUCCEEDED"): 2})
    lines = shown()
    assert 'posology_jobs{kind="sft",service="training",state="SUCCEEDED"} 2.0' in lines
    assert 'posology_jobs{kind="sft",service="training",state="RUNNING"} 0.0' in lines
    assert 'posology_jobs{kind="dpo",service="training",state="PENDING"} 0.0' in lines
    assert 'posology_jobs{kind="dataset",service="curation",state="RUNNING"} 5.0' in lines


def test_a_queue_shows_its_length_and_the_age_of_its_oldest_entry() -> None:
    telemetry.show_queue("curation", "review", length=7, oldest_seconds=90.0)
    lines = shown()
    assert 'posology_queue_length{queue="review",service="curation"} 7.0' in lines
    assert 'posology_queue_oldest_seconds{queue="review",service="curation"} 90.0' in lines
