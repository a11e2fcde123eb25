"""Makes plain.json and the files in plain/: vocabularies of before tokenizer.json, and what Python makes of texts.

    python plain.py

Needs the packages sentencepiece, tokenizers and transformers. The vocabularies are trained on the texts of make.py's
corpus, which is ours.
"""

import contextlib
import json
import pathlib
import shutil

import sentencepiece
import tokenizers
import transformers

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "plain"
source = (HERE / "make.py").read_text()
CORPUS = source.split('CORPUS = """')[1].split('"""')[0].replace("\\n", "\n").replace("\\t", "\t")
TEXTS = [
    "",
    " ",
    "The river carries small boats past the old mill.",
    "  two  spaces   and a tab\there ",
    "line\nbreak\n\n and more\r\n",
    "We'll see whether it's TRUE that they've 1984 been; 365!?",
    "Der Fluß trägt kleine Schiffe, le garçon a mangé une pêche à l'été.",
    "小船在河上慢慢地走, カタカナ",
    "naïve Ångström ﬁn ① ½",
    "unknown: ☃ 😀 \u200b",
    "▁signs ▁▁ of it",
    "a",
]


def write(name, text):
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sentence_piece(name, kind, **options):
    path = write(f"{name}/corpus.txt", CORPUS)
    model = FOLDER / name / "tokenizer"
    # A model keeps the names of the files it was made from: none of this machine's folders.
    with contextlib.chdir(FOLDER / name):
        sentencepiece.SentencePieceTrainer.train(
            input=path.name, model_prefix=model.name, model_type=kind, num_threads=1, minloglevel=2, **options
        )
    path.unlink()
    model.with_suffix(".vocab").unlink()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model.with_suffix(".model")))
    ids = [processor.encode(text) for text in TEXTS]
    return {"ids": ids, "decoded": [processor.decode(one) for one in ids]}


def of_class(name, make):
    tokenizer = make(FOLDER / name)
    return {
        "ids": [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS],
        "with_special": [tokenizer.encode(text) for text in TEXTS],
        "pair": tokenizer.encode(TEXTS[2], TEXTS[5]),
    }


shutil.rmtree(FOLDER, ignore_errors=True)
# What characters become, by their code points.
RULE = "../rule.tsv"
rule = write("rule.tsv", "FB01\t66 69\n2460\t31\n9\t20\nA\t20\nD\t20\n200B\t\nC5\t41 30A\n")
golden = {"texts": TEXTS, "files": {}, "folders": {}}
small = dict(vocab_size=300, character_coverage=0.98)
files = golden["files"]
files["unigram"] = sentence_piece(
    "unigram", "unigram", normalization_rule_tsv=RULE, user_defined_symbols=["mill"], **small
)
files["unigram_plain"] = sentence_piece(
    "unigram_plain",
    "unigram",
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    add_dummy_prefix=False,
    byte_fallback=True,
    **{**small, "vocab_size": 500},
)
files["bpe"] = sentence_piece(
    "bpe",
    "bpe",
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    byte_fallback=True,
    **{**small, "vocab_size": 500},
)
files["bpe_cleaned"] = sentence_piece("bpe_cleaned", "bpe", normalization_rule_tsv=RULE, **small)
rule.unlink()

trainer = tokenizers.BertWordPieceTokenizer(lowercase=True)
trainer.train_from_iterator(CORPUS.split("\n"), vocab_size=300, show_progress=False)
for name, lowercase in [("bert", True), ("bert_cased", False)]:
    tokens = sorted(trainer.get_vocab().items(), key=lambda pair: pair[1])
    write(f"{name}/vocab.txt", "".join(f"{token}\n" for token, _ in tokens))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase}
    write(f"{name}/tokenizer_config.json", json.dumps(config))
    golden["folders"][name] = of_class(name, transformers.BertTokenizer.from_pretrained)

trainer = tokenizers.ByteLevelBPETokenizer()
special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"]
trainer.train_from_iterator(CORPUS.split("\n"), vocab_size=500, special_tokens=special, show_progress=False)
for name, kind, more in [
    ("gpt2", "GPT2Tokenizer", {}),
    ("roberta", "RobertaTokenizer", {}),
    ("qwen2", "Qwen2Tokenizer", {}),
]:
    (FOLDER / name).mkdir()
    trainer.save_model(str(FOLDER / name))
    config = {"tokenizer_class": kind, **more}
    write(f"{name}/tokenizer_config.json", json.dumps(config))
    golden["folders"][name] = of_class(name, getattr(transformers, kind).from_pretrained)

(HERE / "plain.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
