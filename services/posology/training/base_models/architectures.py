"""Which architectures can be trained and served here, known by name before anything is downloaded."""

from collections.abc import Iterator, Mapping
from typing import Any

from posology.core.errors import InvalidInput, Violation

_NAMES = """
    AXK1ForCausalLM AfmoeForCausalLM ApertusForCausalLM ArceeForCausalLM BloomForCausalLM Cohere2ForCausalLM
    Cohere2MoeForCausalLM CohereForCausalLM CwmForCausalLM DbrxForCausalLM DeepseekV2ForCausalLM
    DeepseekV32ForCausalLM DeepseekV3ForCausalLM DeepseekV4ForCausalLM Ernie4_5ForCausalLM
    Ernie4_5_MoeForCausalLM Exaone4ForCausalLM ExaoneMoeForCausalLM FalconForCausalLM FalconH1ForCausalLM
    FalconMambaForCausalLM FlexOlmoForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM GPTJForCausalLM
    GPTNeoXForCausalLM Gemma2ForCausalLM Gemma3ForCausalLM Gemma3nForCausalLM Gemma4ForCausalLM
    GemmaForCausalLM Glm4ForCausalLM Glm4MoeForCausalLM Glm4MoeLiteForCausalLM GlmForCausalLM
    GlmMoeDsaForCausalLM GptOssForCausalLM GraniteForCausalLM GraniteMoeForCausalLM
    GraniteMoeHybridForCausalLM GraniteMoeSWAForCausalLM GraniteMoeSharedForCausalLM GraniteSWAForCausalLM
    HYV3ForCausalLM HYV4ForCausalLM HrmTextForCausalLM HunYuanDenseV1ForCausalLM HunYuanMoEV1ForCausalLM
    HyperCLOVAXForCausalLM InklingForCausalLM Jais2ForCausalLM JambaForCausalLM KimiLinearForCausalLM
    LagunaForCausalLM Lfm2ForCausalLM Lfm2MoeForCausalLM Llama4ForCausalLM LlamaForCausalLM
    LongcatFlashForCausalLM Mamba2ForCausalLM MambaForCausalLM MellumForCausalLM MiMoV2FlashForCausalLM
    MiniCPM3ForCausalLM MiniMaxM2ForCausalLM Ministral3ForCausalLM MistralForCausalLM MixtralForCausalLM
    NemotronForCausalLM NemotronHForCausalLM OPTForCausalLM Olmo2ForCausalLM Olmo3ForCausalLM OlmoForCausalLM
    OlmoHybridForCausalLM OlmoeForCausalLM Phi3ForCausalLM PhiForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM
    Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM Qwen3_5ForCausalLM Qwen3_5MoeForCausalLM
    Qwen4ExpForCausalLM SeedOssForCausalLM SmolLM3ForCausalLM StableLmForCausalLM Starcoder2ForCausalLM
    VaultGemmaForCausalLM Zamba2ForCausalLM
"""
BOTH = frozenset(_NAMES.split())
"""Text models that transformers 5.19 loads as causal language models and vLLM 0.32 serves by name.
A test reads both libraries and compares."""


def violations(config: Mapping[str, Any], *, at: str = "config.json") -> Iterator[Violation]:
    """What a model's config.json says that makes it no base model here; nothing where it names no architecture."""
    for name in (str(name) for name in config.get("architectures") or ()):
        if name not in BOTH:
            yield Violation(at, f"{name} {_why_not(name, config)}")


def check(config: Mapping[str, Any], *, at: str = "config.json") -> None:
    """InvalidInput unless the model may be a base model here."""
    if wrong := list(violations(config, at=at)):
        raise InvalidInput.of(wrong)


def _why_not(name: str, config: Mapping[str, Any]) -> str:
    if name.endswith("ForConditionalGeneration") and ("vision_config" in config or "audio_config" in config):
        return "reads more than text, and only text is trained and served here; take the text model of its family"
    if config.get("auto_map"):
        return (
            "is known only to code in its repository (auto_map), and no code from a repository is run; take a model "
            "that the libraries know"
        )
    if name.endswith(("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "Model")):
        return "writes no text; take a causal language model that follows instructions"
    return (
        "is not both trained (as a causal language model of transformers) and served (by vLLM) here; "
        f"{len(BOTH)} architectures are, among them LlamaForCausalLM, Gemma3ForCausalLM, Qwen3ForCausalLM, "
        "MistralForCausalLM, Phi3ForCausalLM and GptOssForCausalLM"
    )
