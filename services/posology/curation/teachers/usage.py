"""What a teacher's calls cost so far, what the whole will cost about, and when to stop."""

from dataclasses import dataclass

from posology.curation.recipe import Budget


@dataclass(frozen=True)
class Usage:
    """Tokens used for `items` sections."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    items: int = 0

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.prompt_tokens + self.completion_tokens

    def cost(self, budget: Budget) -> float:
        """In the currency of the prices; 0 when they are unknown."""
        prompt = self.prompt_tokens * budget.prompt_price
        return (prompt + self.completion_tokens * budget.completion_price) / 1_000_000

    def exceeds(self, budget: Budget) -> str:
        """Which limit is reached, in words; "" while none is."""
        if budget.max_tokens and self.tokens >= budget.max_tokens:
            return f"{self.tokens:,} of {budget.max_tokens:,} tokens are used"
        if budget.max_cost and self.cost(budget) >= budget.max_cost:
            return f"{self.cost(budget):.2f} of {budget.max_cost:.2f} are spent"
        return ""

    def said(self, budget: Budget, *, sections: int) -> str:
        """For progress: what is used, and about what all sections would take at this rate."""
        if not self.items:
            return "no tokens used yet"
        share = max(sections, self.items) / self.items
        text = f"{self.tokens:,} tokens, about {round(self.tokens * share):,} for all {sections} sections"
        if budget.prompt_price or budget.completion_price:
            text += f"; cost {self.cost(budget):.2f}, about {self.cost(budget) * share:.2f} for all"
        return text
