#!/bin/sh
# The importance matrices that llama.cpp's llama-imatrix writes in both forms, of a Llama of 13,000 weights that
# `33-compress-language-model --tiny` leaves as whole.gguf. IMATRIX is the program; run it in this folder.
set -eu
for form in gguf dat; do
    "$IMATRIX" -m model.gguf -f text.txt -c 32 -b 32 -ub 32 -t 1 -fa off -ctk f32 -ctv f32 --no-ppl \
        --output-format "$form" -o "imatrix.$form"
done
