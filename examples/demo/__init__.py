"""The demo: the whole path on one machine, through the same doors that users have (`make demo`)."""
