"""Short names that people type -> full resource names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """Names within one namespace; a full name is taken as it is."""

    namespace: str

    @property
    def parent(self) -> str:
        """The namespace as a resource."""
        return f"namespaces/{self.namespace}"

    def run(self, name: str) -> str:
        """A run's full name."""
        return self._full("fineTuneRuns", name)

    def review(self, name: str) -> str:
        """A review's full name."""
        return self._full("reviews", name)

    def artifact(self, digest: str) -> str:
        """An artifact's full name, from its digest."""
        return self._full("artifacts", digest.removeprefix("sha256:"))

    def verdict(self, name: str) -> str:
        """A verdict's full name."""
        return self._full("verdicts", name)

    def answer(self, name: str) -> str:
        """An answer's full name."""
        return self._full("answers", name)

    def key(self, name: str) -> str:
        """An API key's full name."""
        return self._full("apiKeys", name)

    def deployment(self, name: str) -> str:
        """A deployment's full name."""
        return self._full("deployments", name)

    def _full(self, collection: str, name: str) -> str:
        return name if name.startswith("namespaces/") else f"{self.parent}/{collection}/{name}"
