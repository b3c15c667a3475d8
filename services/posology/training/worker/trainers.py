"""TRL's trainer with the one part of a recipe that it has no argument for."""

from typing import Any

from peft.optimizers import create_loraplus_optimizer
from transformers import Trainer
from trl import SFTTrainer


class RecipeTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that can let an adapter's B learn faster than its A."""

    loraplus_lr_ratio = 0.0
    optimizer: Any

    def create_optimizer(self, model: Any = None) -> Any:
        """LoRA+ (arXiv 2402.12354) by PEFT's own groups where a ratio is set; else the trainer's."""
        if not self.loraplus_lr_ratio or self.optimizer is not None:
            return super().create_optimizer(model)
        target = model if model is not None else self.model
        optimizer, options = Trainer.get_optimizer_cls_and_kwargs(self.args, target)
        self.optimizer = create_loraplus_optimizer(
            target,
            optimizer,
            loraplus_lr_ratio=self.loraplus_lr_ratio,
            loraplus_weight_decay=self.args.weight_decay,
            **options,
        )
        return self.optimizer
