"""Makes the tokenizers of the tests and the numbers that they give: python make.py, with tokenizers 0.23.3 installed."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent
CORPUS = [
    "the oak and the elm and the ash\n",
    "the ash is older than the oak, isn't it?\n",
    "কি আছে? কি নেই?\n",
    "שלום עולם, naïve café 🌳🌳\n",
]
TEXTS = ["the oak and the elm", "  two  spaces\n\nand lines\t", "কি আছে", "שלום 🌳!", "unseen: ζ 漢字 \U0001f9d1‍\U0001f680", "", "é"]

# As GPT-2: bytes, of which all 256 are known.
byte_level = Tokenizer(models.BPE())
byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
byte_level.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
byte_level.train_from_iterator(
    CORPUS, trainers.BpeTrainer(vocab_size=320, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False)
)
byte_level.enable_truncation(4)  # a text is not cut off for it

# As BERT: words in lower case and their parts, with a token for what is not known.
pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
pieces.decoder = decoders.WordPiece()
pieces.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=80, special_tokens=["[UNK]"], show_progress=False))

expected = {}
for name, tokenizer in (("bytes", byte_level), ("pieces", pieces)):
    tokenizer.save(str(HERE / f"{name}.json"), pretty=False)
    tokenizer.no_truncation()
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    expected[name] = {"size": tokenizer.get_vocab_size(), "ids": ids, "decoded": [tokenizer.decode(i, skip_special_tokens=False) for i in ids]}
(HERE / "expected.json").write_text(json.dumps({"texts": TEXTS, **expected}, ensure_ascii=True, indent=1) + "\n")
