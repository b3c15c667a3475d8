"""What the charts take from the contract: the custom resource, generated from protos/ (run by `make manifests`)."""
