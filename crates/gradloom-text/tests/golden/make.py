"""Makes the golden data of gradloom-text's tests.

    python make.py [FOLDER_OF_ASSETS]

Needs the packages tokenizers, transformers, jinja2, gguf and llama-cpp-python.
Trains small vocabularies on the text below, which is ours, and writes what the Python libraries make of a
list of texts: Hugging Face's tokenizers for tokenizer.json files, llama.cpp for GGUF vocabularies, and
transformers' Jinja environment for chat templates. With a folder of assets (cargo xtask assets minilm,
smollm2) it also writes the ids of those real models.
"""

import json
import pathlib
import sys
import tempfile

import gguf
import jinja2
import llama_cpp
import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent

CORPUS = """
The river carries small boats past the old mill, and the boats carry grain to the town.
We'll see whether it's true that they've never been there; I'd say they're mistaken, aren't they?
A network learns by small steps: it guesses, it measures how wrong the guess was, and it corrects itself.
In 1984 there were 12 of them, in 2024 there were 365, and in 20240229 nobody counted.
def add(left, right):\n    return left + right\n\nfor index in range(100):\n\tprint(index, add(index, 1))
let sum: u32 = values.iter().map(|value| value * 2).sum(); // 3.14159 == pi?
Der Fluß trägt kleine Schiffe über die Grenze, und die Müller zählen größere Säcke.
Le garçon a mangé une pêche à l'été; où est-il allé après ça?
El niño pequeño llegó mañana, ¿verdad? ¡Claro que sí!
Река несёт маленькие лодки мимо старой мельницы, и лодки везут зерно в город.
Ο ποταμός μεταφέρει μικρές βάρκες δίπλα στον παλιό μύλο.
小船在河上慢慢地走,老磨坊旁边的人在等粮食。我们今天学习语言模型。
川は小さな舟を古い水車のそばへ運びます。カタカナも少しあります。
강은 작은 배를 오래된 방앗간 옆으로 나릅니다.
النهر يحمل القوارب الصغيرة بجانب الطاحونة القديمة
नदी छोटी नावों को पुरानी चक्की के पास ले जाती है।
Emoji: 😀 🚀 👩‍👩‍👧 🇩🇪 and symbols → ≤ ≥ ½ € £ ©
""".strip().split("\n")

TEXTS = [
    "",
    " ",
    "   ",
    "Hello",
    "Hello world",
    " hello  world   again    ",
    "The boats don't carry what they'll never've needed; I'M SURE IT'S FINE, WE'RE OK",
    "It’s “quoted” — with typographic signs…",
    "line one\nline two\r\nline three\n\n\n  indented\t\ttabs\n",
    "\n", "\n\n \n", "trailing space \n ",
    "1 12 123 1234 12345 1234567890 3.14159 1e-5 0x1F 2024-02-29",
    "def f(x):\n    if x > 0:\n        return x ** 2  # square\n    return -1\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * c; }  // loop",
    "https://example.org/path?query=value&other=1#fragment",
    "Zażółć gęślą jaźń, Ærøskøbing, naïve café, Straße, İstanbul",
    "cafe\u0301 e\u0301te\u0301 A\u030angstro\u0308m",
    "小船在河上慢慢地走。我们今天学习语言模型!中文English混合123",
    "川は小さな舟を運びます。カタカナ", "강은 작은 배를 나릅니다",
    "النهر يحمل القوارب", "नदी छोटी नावों को", "Река несёт лодки", "שלום עולם",
    "😀", "😀😀 🚀 to the 🌕", "👩‍👩‍👧‍👦 family 🇩🇪 flag 👍🏽",
    "a\u00a0b\u2003c\u200bd\ufeffe", "\u3000全角　スペース",
    "!!!???...,,,;;;:::", "$100 + €50 = £? ~^|`<>", "#hashtag @user C++ C# .NET",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "                                        x",
    "CamelCaseWords and snake_case_words and SCREAMING_CASE and kebab-case",
    "½ ¾ ² ³ Ⅷ ① ٣ ۴ 五",
    "\x00\x01\x1b[0m control \x7f",
    "<|end|>", "a<|end|>b", "<|begin|>system\nYou are.<|end|>\n", "<|end|><|end|>  <|end|>",
    "almost <|end| not", "<<|end|>>",
    "Ａｌｌ　ｆｕｌｌｗｉｄｔｈ", "ﬁne ﬂow ™ ℃ Å",
    "The river carries small boats past the old mill, and the boats carry grain to the town." * 3,
]

PAIRS = [("What does the river carry?", "The river carries small boats."), ("", "second"), ("first", "")]


def byte_level_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def llama_3_like():
    tokenizer = byte_level_bpe()
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A <|begin|>:1 $B:1", special_tokens=[("<|begin|>", 0)]
        ),
    ])
    return tokenizer


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def sentence_piece_bpe():
    """Llama 2's kind: characters joined by score, bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)
    ])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=specials, show_progress=False, max_token_length=12)
    # Only Latin letters are in the vocabulary, so that the others fall back to bytes.
    latin = ["".join(c for c in line if ord(c) < 0x250) for line in CORPUS]
    words = [word for line in latin for word in line.split(" ")]
    tokenizer.train_from_iterator(words * 3, trainer)
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def encoded(tokenizer):
    def entry(encoding):
        return {
            "ids": encoding.ids, "type_ids": encoding.type_ids,
            "special_mask": encoding.special_tokens_mask, "offsets": encoding.offsets,
        }

    def byte_offsets(text, value):
        prefix = [0]
        for character in text:
            prefix.append(prefix[-1] + len(character.encode()))
        value["offsets"] = [[prefix[start], prefix[end]] for start, end in value["offsets"]]
        return value

    texts = []
    for text in TEXTS:
        plain = tokenizer.encode(text, add_special_tokens=False)
        value = byte_offsets(text, entry(plain))
        value["with_special"] = tokenizer.encode(text).ids
        value["decoded"] = tokenizer.decode(plain.ids, skip_special_tokens=False)
        value["decoded_skipping"] = tokenizer.decode(plain.ids, skip_special_tokens=True)
        texts.append(value)
    pairs = [{"ids": e.ids, "type_ids": e.type_ids} for e in (tokenizer.encode(*pair) for pair in PAIRS)]
    tokenizer.enable_truncation(9)
    truncated = [tokenizer.encode(*pair).ids for pair in PAIRS] + [tokenizer.encode(text).ids for text in TEXTS]
    tokenizer.no_truncation()
    return {"texts": texts, "pairs": pairs, "truncated": truncated}


# Names of tokenizer.ggml.pre whose rules are known; llama.cpp says what they mean.
PRE = """default gpt-2 phi-2 olmo mpt jais jina-es jina-de jina-v2-es jina-v2-de modern-bert mellum gigachat a.x-4.0
exaone4 smollm starcoder refact command-r codeshell exaone minerva-7b llama-bpe llama3 llama-v3 falcon3 falcon-h1
pixtral midm-2.0 lfm2 dbrx smaug-bpe chatglm-bpe glm4 qwen2 stablelm2 deepseek-r1-qwen megrez hunyuan gpt-4o llama4
tekken falcon bloom poro-chat gpt3-finnish viking deepseek-coder deepseek-v3""".split()


def write_gguf(path, vocabulary):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(len(vocabulary["tokens"]))
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_block_count(1)
    writer.add_feed_forward_length(8)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8)
    writer.add_tokenizer_model(vocabulary["model"])
    if vocabulary.get("pre"):
        writer.add_tokenizer_pre(vocabulary["pre"])
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["token_types"])
    if vocabulary.get("scores"):
        writer.add_token_scores(vocabulary["scores"])
    if vocabulary.get("merges"):
        writer.add_token_merges(vocabulary["merges"])
    for field in ["bos", "eos", "unk", "pad", "sep", "cls", "mask"]:
        if vocabulary.get(field) is not None:
            name = {"unk": "unknown", "pad": "padding", "sep": "seperator"}.get(field, field)
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", vocabulary[field])
    if vocabulary.get("add_space_prefix") is not None:
        writer.add_add_space_prefix(vocabulary["add_space_prefix"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_ids(path, texts):
    model = llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)
    plain = [model.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
    added = [model.tokenize(text.encode(), add_bos=True, special=True) for text in texts]
    model.close()
    return {"ids": plain, "with_special": added}


def of_vocabulary(vocabulary):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "vocabulary.gguf"
        write_gguf(path, vocabulary)
        return llama_ids(path, TEXTS)


def ordered(tokenizer):
    return [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])]


def gguf_cases():
    bpe = byte_level_bpe()
    state = json.loads(bpe.to_str())["model"]
    tokens = ordered(bpe)
    vocabulary = {
        "model": "gpt2", "tokens": tokens, "token_types": [3 if token.startswith("<|") else 1 for token in tokens],
        "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in state["merges"]],
        "bos": 0, "eos": 1, "pad": 1,
    }
    # Names that mean the same share a result.
    names, results = {}, []
    for name in PRE:
        ids = of_vocabulary({**vocabulary, "pre": name})
        if ids not in results:
            results.append(ids)
        names[name] = results.index(ids)
    result = {"byte_level": {"vocabulary": vocabulary, "pre": names, "results": results}}

    spm = sentence_piece_bpe()
    state = json.loads(spm.to_str())["model"]
    tokens = ordered(spm)
    kinds = [2] + [3, 3] + [6] * 256 + [1] * (len(tokens) - 259)
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(tokens) - 259)]
    vocabulary = {
        "model": "llama", "tokens": tokens, "token_types": kinds, "scores": scores,
        "bos": 1, "eos": 2, "unk": 0, "add_space_prefix": True,
    }
    result["sentence_piece"] = {"vocabulary": vocabulary, **of_vocabulary(vocabulary)}
    vocabulary = {**vocabulary, "add_space_prefix": False}
    result["sentence_piece_without_prefix"] = {"vocabulary": vocabulary, **of_vocabulary(vocabulary)}

    tokens = ordered(word_piece())
    def marked(token):
        if token.startswith("[") and token.endswith("]"):
            return token
        return token[2:] if token.startswith("##") else "▁" + token
    vocabulary = {
        "model": "bert", "tokens": [marked(token) for token in tokens],
        "token_types": [3 if token.startswith("[") and token.endswith("]") else 1 for token in tokens],
        "bos": 2, "eos": 3, "unk": 1, "sep": 3, "pad": 0, "cls": 2, "mask": 4,
    }
    result["word_piece"] = {"vocabulary": vocabulary, **of_vocabulary(vocabulary)}
    return result


SMOLLM_2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a small model of ours<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TEMPLATES = {
    "chatml": SMOLLM_2,
    "llama_3": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The first message may be the system's. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {{- "You may call these functions:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("only one call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "qwen_2": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\nFunction signatures:\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    "mistral": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{% if loop.last and system is defined %}{{ '[INST] ' + system + '\\n\\n' + message['content'] + ' [/INST]' }}{% else %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endif %}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] | trim + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "generation": """{% for message in messages %}{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{{ eos_token }}{%- endgeneration -%}  {% else %}<{{ message.role }}>{{ message.content }}{% endif %}{% endfor %}""",
    "python_isms": """{% macro show(value, name='x', width=3) -%}
{{ name }}={{ value }};{{ ' ' * width }}|
{%- endmacro -%}
{{ show(none) }}{{ show(true, name='t') }}{{ show(1.0) }}{{ show(1e20) }}{{ show(0.00001) }}{{ show(0.1 + 0.2) }}
{{ show([1, 'two', none, {'three': 3.5}]) }}{{ show(messages[-1]) }}{{ show((1, 2)|list) }}
{{ messages[0].items()|list|length }} {{ messages[0].get('absent', 'default') }} {{ messages[0].keys()|list }}
{% for key, value in messages[0].items() %}{{ key }}:{{ value|upper }}{% if not loop.last %}, {% endif %}{% endfor %}

{{ 'a,b,,c'.split(',') }} {{ 'a b  c'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'x'.join(['1', '2']) }}
{{ '  pad '.strip() }}|{{ 'xxyxx'.strip('x') }}|{{ 'Title case'.title() }}|{{ 'abc'.upper() }}|{{ 'hello'.capitalize() }}|{{ 'abcabc'.replace('b', 'X') }}|{{ 'abcabc'.find('c') }}
{{ 'abcdef'[1:4] }} {{ 'abcdef'[-2:] }} {{ 'abcdef'[::-1] }} {{ [1, 2, 3, 4][1:] }} {{ 'abc'[0] }} {{ 'abc'[-1] }}
{{ 7 // 2 }} {{ 7 / 2 }} {{ 7 % 3 }} {{ 2 ** 8 }} {{ -7 // 2 }} {{ 1 if false else 2 }} {{ 'a' ~ 1 ~ 'b' }} {{ 3 == 3.0 }}
{{ {'b': [1, 2.5, none, true], 'a': 'é"\\\\ \\n'}|tojson }} {{ {'b': 1, 'a': {}}|tojson(indent=2) }} {{ [[], {}, [1]]|tojson(indent=2) }} {{ "<&'>"|tojson }}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% set ns = namespace(count=0) %}{% for m in messages if m.role == 'user' %}{% set ns.count = ns.count + 1 %}{% endfor %}{{ ns.count }}
{{ messages|map(attribute='role')|join('/') }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ messages|length }}
{{ undefined_name is defined }} {{ undefined_name }}{{ none is none }} {{ 'a' in 'abc' }} {{ 'z' not in ['a'] }} {{ 5 is number }} {{ messages is iterable }} {{ 'x' is string }} {{ {} is mapping }} {{ true is boolean }} {{ 2 is even }}
{%- set block %}captured {{ 1 + 1 }}{% endset %}
[{{ block }}] {{ 'x'|default('d') }} {{ missing|default('d') }} {{ ''|default('e', true) }} {{ [3, 1, 2]|sort }} {{ [1, 2]|first }} {{ [1, 2]|last }} {{ '  t '|trim }} {{ 3.7|int }} {{ '5'|int + 1 }} {{ ['a', 'b']|join(', ') }} {{ {'k': 'v'}|dictsort }} {{ 'a\\nb'|indent(2) }} {{ ['x', 'x', 'y']|unique|list }} {{ 'ab'|list }} {{ 1.25|string }} {{ none|string }}
""",
}

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Today's weather & more <of a place>, in \"degrees\"",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "Où?"}, "days": {"type": "integer", "default": 1}},
            "required": ["place"],
        },
    },
}

CONVERSATIONS = {
    "one": {"messages": [{"role": "user", "content": "Hello "}]},
    "system": {"messages": [
        {"role": "system", "content": " You are terse. "}, {"role": "user", "content": "Hi\nthere 😀"},
        {"role": "assistant", "content": "  <think>\nhm\n</think>\n\nYes. "}, {"role": "user", "content": "And 'this' & <that>?"},
    ]},
    "tools": {"messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"type": "function", "function": {"name": "weather", "arguments": {"place": "Zürich", "days": 2, "exact": True, "x": 1.5}}}
        ]},
        {"role": "tool", "content": "{\"temperature\": 20}"},
        {"role": "assistant", "content": "20 degrees."},
        {"role": "user", "content": "Thanks"},
    ], "tools": [TOOL]},
    "not_alternating": {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
    "no_thinking": {"messages": [{"role": "user", "content": "Hi"}], "enable_thinking": False},
}


def chat_cases(smollm_2):
    templates = {**TEMPLATES, **({"smollm_2": smollm_2} if smollm_2 else {})}
    cases = []
    for name, template in templates.items():
        compiled = chat_template_utils._compile_jinja_template(template)
        for conversation, values in CONVERSATIONS.items():
            for prompt in [False, True]:
                variables = {"bos_token": "<s>", "eos_token": "</s>", "date_string": "29 Feb 2024", **values}
                case = {"template": name, "conversation": conversation, "add_generation_prompt": prompt}
                try:
                    case["text"] = compiled.render(add_generation_prompt=prompt, **variables)
                except jinja2.exceptions.TemplateError as error:
                    case["raised"] = str(error)
                cases.append(case)
    own = {name: template for name, template in templates.items() if name != "smollm_2"}
    return {"templates": own, "conversations": CONVERSATIONS, "cases": cases}


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (HERE / name).write_text(text + "\n", encoding="utf-8")
    print(name, len(text))


def main():
    assets = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    builders = {
        "byte_level_bpe": byte_level_bpe, "llama_3_like": llama_3_like, "word_piece": word_piece,
        "unigram": unigram, "sentence_piece_bpe": sentence_piece_bpe,
    }
    result = {}
    for name, build in builders.items():
        tokenizer = build()
        result[name] = {"file": json.loads(tokenizer.to_str()), **encoded(tokenizer)}
    write("tokenizers.json", {"texts": TEXTS, "pairs": PAIRS, "tokenizers": result})
    write("gguf.json", {"texts": TEXTS, **gguf_cases()})
    template = None
    if assets:
        minilm = Tokenizer.from_file(str(assets / "minilm/tokenizer.json"))
        minilm.no_padding()
        minilm.no_truncation()
        model = assets / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        template = gguf.GGUFReader(model).fields["tokenizer.chat_template"].contents()
        texts = TEXTS + [text.replace("<|end|>", "<|im_end|>") for text in TEXTS if "<|end|>" in text] + CORPUS
        write("real.json", {
            "texts": texts,
            "minilm": [minilm.encode(text).ids for text in texts],
            "smollm2": llama_ids(model, texts)["ids"],
        })
    write("chat.json", chat_cases(template))


main()
