"""What every service shares; knows no service."""

import os

# Processes that we fork (data loaders, pools) never use gRPC, and its fork handlers, on by default, crash them now and
# then while a stream is open (https://github.com/grpc/grpc/issues/32992). gRPC reads this when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
