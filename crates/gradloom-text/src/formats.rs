//! Files that are given for a tokenizer and are something else, by their first bytes.

/// What the file is and what to do; `None` if it is nothing of that kind.
pub(crate) fn named(bytes: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    Some(if begins(b"version https://git-lfs") {
        "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"
    } else if begins(b"GGUF") {
        "a GGUF file; give its vocabulary to Tokenizer::from_gguf"
    } else if begins(b"PK\x03\x04") {
        "a zip archive; unpack the tokenizer's files first"
    } else if begins(&[0xba, 0x16, 0x4f, 0x2f]) {
        "a fastText model, which has word vectors and no tokenizer; words are its tokens"
    } else if begins(b"\x1f\x8b") {
        "a file that gzip has compressed; unpack it first"
    } else if begins(b"<!DOCTYPE") || begins(b"<html") || begins(b"<!doctype") {
        "a page of a web site, not the file itself; get it again from the link for downloads"
    } else {
        return None;
    })
}
