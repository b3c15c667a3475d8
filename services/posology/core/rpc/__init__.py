"""gRPC for every service: one server runner, one interceptor, one client channel."""
