#!/usr/bin/env python3
"""Writes small tokenizers and chat templates to begin fuzzing with into seeds/tokenizer and seeds/chat_template.

    python3 make_text.py

The templates are those of gradloom-text's golden data.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "crates/gradloom-text/tests/golden/chat.json"
END = {"id": 9, "content": "<|end|>", "special": True}


def write(target, name, content):
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")


def tokenizer(name, model, vocab, **parts):
    file = {"version": "1.0", "added_tokens": [{**END, "id": len(vocab)}], **parts, "model": {**model, "vocab": vocab}}
    write("tokenizer", name, json.dumps(file, ensure_ascii=False, separators=(",", ":")))


def template(*ids):
    pieces = [{"SpecialToken": {"id": "b", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "type": "TemplateProcessing", "single": pieces, "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"b": {"id": "b", "ids": list(ids), "tokens": ["b"] * len(ids)}},
    }


def main():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": "\\p{N}| ?\\p{L}+"}, "behavior": "Isolated", "invert": False}
    tokenizer(
        "byte_level", {"type": "BPE", "merges": [["a", "b"], ["Ġ", "ab"]]}, {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split, {**byte_level, "use_regex": False}]},
        post_processor={"type": "Sequence", "processors": [byte_level, template(0)]}, decoder=byte_level,
    )
    tokenizer(
        "sentence_piece", {"type": "BPE", "merges": ["▁ a"], "byte_fallback": True, "fuse_unk": True, "unk_token": "u"},
        {"u": 0, "▁": 1, "a": 2, "▁a": 3, "<0xC3>": 4, "<0xA9>": 5},
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        decoder={"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    )
    tokenizer(
        "word_piece", {"type": "WordPiece", "unk_token": "u", "max_input_chars_per_word": 9}, {"u": 0, "ab": 1, "##b": 2},
        normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        pre_tokenizer={"type": "BertPreTokenizer"}, post_processor={"type": "BertProcessing", "sep": ["u", 0], "cls": ["ab", 1]},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    tokenizer(
        "unigram", {"type": "Unigram", "unk_id": 0}, [["u", 0.0], ["▁a", -1.0], ["b", -2.5]],
        normalizer={"type": "Precompiled", "precompiled_charsmap": "BAAAAAD//wA="}, pre_tokenizer=metaspace, decoder=metaspace,
    )
    for name, source in json.loads(GOLDEN.read_text(encoding="utf-8"))["templates"].items():
        write("chat_template", name, source)


main()
