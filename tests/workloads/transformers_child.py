"""A program that builds models of transformers in a child and tells what they are."""

from __future__ import annotations

CHILD = """
import copy
import torch
from autotune.core.errors import ModelError
from autotune.workloads import transformers as provider

TINY = json.dumps({"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "vocab_size": 100})
told["tiny"] = TINY

def options(config=TINY, **given):
    return provider.Options(config=config, sequence_length=16, **given)

def answer(name, seed=0, **given):
    arrays = provider.examples(name, options(**given), 0, 4)
    model = provider.build(name, options(**given), seed)
    with torch.inference_mode():
        return model(*map(torch.from_numpy, arrays)), model

def failure(name, **given):
    try:
        answer(name, **given)
    except ModelError as error:
        return str(error)
    return None

def failure_in(function, *given):
    try:
        function(*given)
    except ModelError as error:
        return str(error)
    return None

def failure_of(name):
    try:
        provider.texts(name, options("{}"), ["red"])
    except ModelError as error:
        return str(error)
    return None

for lengths in ("fixed", "mixed"):
    ids, mask = provider.examples("mpnet", options(lengths=lengths), 0, 20)
    fewer = provider.examples("mpnet", options(lengths=lengths), 0, 2)
    told[lengths] = {
        "like": [str(ids.dtype), str(mask.dtype), *ids.shape, *mask.shape],
        "lengths": mask.sum(1).tolist(),
        "padded right": bool((mask == (np.arange(16) < mask.sum(1)[:, None])).all()),
        "padding": bool(((ids == 1) == (mask == 0)).all()),
        "vocabulary": [int(ids.min()), int(ids.max())],
        "prefix": bool((ids[:2] == fewer[0]).all() and (mask[:2] == fewer[1]).all()),
    }
    other, _ = provider.examples("mpnet", options(lengths=lengths), 1, 20)
    told[lengths]["other seed"] = bool((other == ids).all())

found, model = answer("mpnet", head="hidden", lengths="mixed")
told["training"], told["dtype"] = model.training, str(found.dtype)
heads = ("hidden", "pooled", "mean", "sequence_classification", "token_classification")
told["shapes"] = {head: list(answer("mpnet", head=head)[0].shape) for head in heads}
_, mask = map(torch.from_numpy, provider.examples("mpnet", options(lengths="mixed"), 0, 4))
mean = torch.stack([row[: int(mask[i].sum())].mean(0) for i, row in enumerate(found)])
told["poolers"] = {head: answer("mpnet", head=head)[1].model.pooler is not None for head in heads[:3]}
told["empty"] = [name for name, part in answer("mpnet", head="mean")[1].model._modules.items() if part is None]
told["mean"] = torch.allclose(answer("mpnet", head="mean", lengths="mixed")[0], mean, atol=1e-6)
ids, mask = map(torch.from_numpy, provider.examples("mpnet", options(lengths="mixed"), 0, 4))
told["mask is used"] = not torch.allclose(model(ids, torch.ones_like(mask)), found, atol=1e-4)
told["same seed"] = torch.equal(found, answer("mpnet", lengths="mixed")[0])
told["other seed"] = torch.equal(found, answer("mpnet", seed=1, lengths="mixed")[0])
told["decoder"] = list(answer("gpt2", head="mean", config='{"n_layer": 1, "n_embd": 32, "n_head": 2}')[0].shape)
config = provider._config("mpnet", provider.Options())
told["base"] = [config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size]

for name in ("own", "half", "bare"):
    path = folder / name
    (copy.deepcopy(model.model).bfloat16() if name == "half" else model.model).save_pretrained(path)
(folder / "bare" / "model.safetensors").unlink()
own = str(folder / "own")
loaded = {
    name: answer(str(folder / name), seed=7, lengths="mixed", config="{}")[0] for name in ("own", "half", "bare")
}
told["loaded"] = torch.equal(loaded["own"], found)
told["half"] = [str(loaded["half"].dtype), torch.allclose(loaded["half"].float(), found, atol=0.05)]
told["bare"] = torch.allclose(loaded["bare"].float(), found, atol=0.05)
torch.save(model.model.state_dict(), folder / "bare" / "pytorch_model.bin")
told["bin"] = torch.equal(answer(str(folder / "bare"), lengths="mixed", config="{}")[0], found)
told["lacking"] = failure(own, config="{}", head="sequence_classification")
told["fewer layers"] = list(answer(own, config='{"num_hidden_layers": 1}')[0].shape)
told["wrong size"] = failure(own, config='{"hidden_size": 64}')
(folder / "half" / "model.safetensors").write_text("these are no weights")
told["damaged"] = failure(str(folder / "half"), config="{}")
(folder / "half" / "config.json").write_text('{"model_type": ')
told["no json"] = failure(str(folder / "half"), config="{}")
(folder / "half" / "config.json").write_text('{"model_type": "of_their_own", "auto_map": {"AutoModel": "m.Model"}}')
told["own code"] = failure(str(folder / "half"), config="{}")

told["near"] = failure("mpnett")
told["far"] = failure("frobnicate")
told["setting"] = failure("mpnet", config='{"num_hidden_layer": 2}')
told["kind"] = failure("mpnet", config='{"num_hidden_layers": "two"}')
told["too long"] = failure("mpnet", config='{"max_position_embeddings": 8}')
told["other inputs"] = failure("audio-spectrogram-transformer", config="{}")

VIT = json.dumps({"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
    "image_size": 32, "patch_size": 16})
told["images"] = {
    head: list(answer("vit", head=head, config=VIT)[0].shape) for head in ("hidden", "pooled", "image_classification")
}
told["mean of images"] = failure("vit", config=VIT, head="mean")
answer("vit", head="image_classification", config=VIT)[1].model.save_pretrained(folder / "vit")
told["no processor"] = failure_in(provider.images, str(folder / "vit"), options("{}"), [])
provider._import_transformers().ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "vit")
from PIL import Image
Image.new("RGB", (90, 60), (255, 0, 0)).save(folder / "red.png")
(red,) = provider.images(str(folder / "vit"), options("{}"), [folder / "red.png"] * 2)
told["red"] = [str(red.dtype), list(red.shape), red[0, :, 5, 5].tolist()]
told["two halves"] = failure("t5", config='{"d_model": 32, "num_layers": 1, "num_heads": 2}')
told["no pooler"] = failure("distilbert", config='{"n_layers": 1, "dim": 32, "n_heads": 2}', head="pooled")
from tokenizers import Tokenizer, models, pre_tokenizers
import transformers

words = Tokenizer(models.WordLevel({"[PAD]": 1, "[UNK]": 3, "red": 5, "fish": 6, "blue": 7}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
key = provider.cache_key(own, options("{}"))
told["no tokenizer"] = [failure_of(name) for name in (own, "mpnet")]
fast.save_pretrained(own)
told["key"] = key == provider.cache_key(own, options("{}"))
short = provider.Options(sequence_length=3)
told["texts"] = [array.tolist() for array in provider.texts(own, short, ["red fish", "one red fish, blue", "fish"])]
(folder / "own" / "tokenizer.json").write_text("{")
told["damaged tokenizer"] = failure_of(own)

told["offline"] = __import__("huggingface_hub").constants.HF_HUB_OFFLINE
"""
