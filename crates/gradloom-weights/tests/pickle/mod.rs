//! Pickles and the files around them.

#![allow(dead_code, reason = "each binary of tests uses some of it")]

/// A text of up to 255 bytes.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&[0x8c, text.len() as u8], text.as_bytes()].concat()
}

pub(crate) fn int(value: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &value.to_le_bytes()].concat()
}

pub(crate) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub(crate) fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> =
        items.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", &items[..], b"u"].concat()
}

pub(crate) fn call(global: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    [b"c", global.as_bytes(), b"\n", &tuple(arguments)[..], b"R"].concat()
}

/// A tensor in storage 0 of six floats.
pub(crate) fn tensor(offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let class = b"ctorch\nFloatStorage\n".to_vec();
    let parts = [text("storage"), class, text("0"), text("cpu"), int(6), b"N".to_vec()];
    let storage = [&tuple(&parts)[..], b"Q"].concat();
    let ints = |sizes: &[i64]| tuple(&sizes.iter().map(|&size| int(size)).collect::<Vec<_>>());
    call(
        "torch._utils\n_rebuild_tensor_v2",
        &[storage, int(offset), ints(shape), ints(strides), b"\x89".to_vec(), b"}".to_vec()],
    )
}

/// An old file of this object, with storage 0 if it has a tensor.
pub(crate) fn file(object: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    bytes.extend(b"\x80\x02M\xe9\x03.\x80\x02}.\x80\x02");
    bytes.extend(object);
    if object.windows(12).any(|part| part == b"FloatStorage") {
        bytes.extend(b".\x80\x02](\x8c\x010e.");
        bytes.extend(6u64.to_le_bytes());
        bytes.extend([0; 24]);
    } else {
        bytes.extend(b".\x80\x02].");
    }
    bytes
}
