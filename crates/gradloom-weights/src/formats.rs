//! Files that are given for weights and are something else, by their first bytes: what they are and what to do.

/// What the file is and what to do with it, if it is known.
pub(crate) fn named(bytes: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let has =
        |magic: &[u8]| bytes[..bytes.len().min(64)].windows(magic.len()).any(|at| at == magic);
    Some(if begins(b"version https://git-lfs") {
        "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"
    } else if begins(b"\x89HDF\r\n\x1a\n") {
        "an HDF5 file, as Keras and others write; read it with h5py and save its arrays by \
         safetensors.numpy.save_file"
    } else if bytes.get(4..8) == Some(b"TFL3") {
        "a TensorFlow Lite model; convert the original model's weights to safetensors, as this format has \
         mostly integers for one kind of runtime"
    } else if begins(&[0xba, 0x16, 0x4f, 0x2f]) {
        "a fastText model; read it with fasttext.load_model and save get_input_matrix() by \
         safetensors.numpy.save_file"
    } else if bytes.first().is_some_and(|&version| (1..=9).contains(&version))
        && begins(&[bytes[0], 0, 0, 0])
        && has(b"Spec\0")
    {
        "a CTranslate2 model; convert the model that it was made of, which is in safetensors or PyTorch's format"
    } else if is_sentence_piece(bytes) {
        "a SentencePiece model, which has no weights; Tokenizer::from_file reads it"
    } else if is_onnx(bytes) {
        "an ONNX model; load it with onnx.load and save its initializers by safetensors.numpy.save_file"
    } else if begins(b"[PAD]\n") || begins(b"[PAD]\r\n") || has(b"\n[unused0]") {
        "a vocab.txt, which has no weights; Tokenizer::from_file reads it"
    } else if begins(b"\x1f\x8b") {
        "a file that gzip has compressed; unpack it first"
    } else if begins(b"7z\xbc\xaf\x27\x1c") || begins(b"BZh") || begins(b"\xfd7zXZ\0") {
        "a compressed file; unpack it first"
    } else if bytes.get(257..262) == Some(b"ustar") {
        "a tar archive; unpack it first"
    } else if begins(b"<!DOCTYPE") || begins(b"<!doctype") || begins(b"<html") {
        "a page of a web site, not the file itself; get it again from the link for downloads"
    } else {
        return None;
    })
}

/// The first piece of a vocabulary: a message with a text in it.
fn is_sentence_piece(bytes: &[u8]) -> bool {
    let [0x0a, outer @ ..=0x7f, 0x0a, inner, text @ ..] = bytes else { return false };
    inner < outer && text.get(*inner as usize) == Some(&0x15)
}

/// The version of the format, and then the producer, the graph or what it is an import of.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=20, 0x12 | 0x1a | 0x3a | 0x42, ..])
}
