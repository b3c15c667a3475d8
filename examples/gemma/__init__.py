"""What `gemma-270m.yaml` needs beside the spec: small draws of public benchmarks, for two cores."""
