"""The other side of mcq_questions.py, in lm-eval's own environment: the same prompts through local-completions."""

import json
import sys
import time
from pathlib import Path

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

TASK = """task: letters
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{items}"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{letters}}}}"
doc_to_target: answer
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""


def main(told: dict[str, str]) -> None:
    """Print {"seconds", "picked"} as JSON; the time is of simple_evaluate alone, without imports and start."""
    folder = Path(told["folder"])
    (folder / "letters.yaml").write_text(TASK.format(items=told["items"]))
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    options = {
        "model": "model",
        "base_url": told["url"] + "/v1/completions",
        "tokenizer": told["model"],
        "num_concurrent": int(told["in_flight"]),
        "tokenized_requests": True,
        "max_retries": 1,
    }
    began = time.perf_counter()
    found = simple_evaluate(
        "local-completions",
        model_args=options,
        tasks=["letters"],
        task_manager=manager,
        batch_size=int(told["batch"]),
        apply_chat_template=True,
        bootstrap_iters=0,
        log_samples=True,
    )
    seconds = time.perf_counter() - began
    samples = sorted(found["samples"]["letters"], key=lambda sample: sample["doc_id"])
    scores = [[option[0] for option in sample["filtered_resps"]] for sample in samples]
    if told.get("way") == "acc_norm":  # as lm-eval normalises: by the characters of each option
        lengths = [[len(option) for option in sample["doc"]["letters"]] for sample in samples]
        scores = [[a / b for a, b in zip(*pair, strict=True)] for pair in zip(scores, lengths, strict=True)]
    picked = [options.index(max(options)) for options in scores]
    print("\n" + json.dumps({"seconds": seconds, "picked": picked}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
