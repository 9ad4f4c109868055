"""Save a chat model that is real in all but size: two layers of random weights, a tokenizer, a template.

python tiny_llama.py FOLDER          needs torch, transformers and tokenizers, and no network
"""

from __future__ import annotations

import re
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def main(folder: str) -> None:
    torch.manual_seed(7)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    model = _model(len(tokenizer))
    model.generation_config.suppress_tokens = _unprintable(tokenizer)
    model.save_pretrained(folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE that has learned nothing: every byte is a token, so any text goes in and out."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=SPECIAL, initial_alphabet=alphabet)
    bpe.train_from_iterator(["a boat at dawn, a red fox"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )


def _unprintable(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """All tokens but printable ASCII: what random weights say can then be shown anywhere, and is long."""
    numbers = range(len(tokenizer))
    texts = [tokenizer.decode([number], skip_special_tokens=True) for number in numbers]
    return [number for number in numbers if not re.fullmatch("[ -~]+", texts[number])]


def _model(vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config)


if __name__ == "__main__":
    main(sys.argv[1])
