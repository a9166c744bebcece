//! Hexadecimal digits by table, with two look-ups for each byte and without allocation: every request needs them.

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// The mark of a byte that is no hexadecimal digit.
const NONE: u8 = 0xff;

/// The value of each byte as a hexadecimal digit of either case.
static VALUES: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 16 {
        table[LOWER[digit] as usize] = digit as u8;
        table[UPPER[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

/// Appends bytes as hexadecimal digits in lower case.
pub fn push_lower(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        out.push(char::from(LOWER[usize::from(byte >> 4)]));
        out.push(char::from(LOWER[usize::from(byte & 15)]));
    }
}

/// Appends a byte as `%XX` in upper case.
pub(super) fn push_percent(out: &mut String, byte: u8) {
    out.push('%');
    out.push(char::from(UPPER[usize::from(byte >> 4)]));
    out.push(char::from(UPPER[usize::from(byte & 15)]));
}

/// Returns the byte of two hexadecimal digits of either case, or `None` if one is no digit.
pub(super) fn byte(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (VALUES[usize::from(high)], VALUES[usize::from(low)]);
    (high != NONE && low != NONE).then_some(high << 4 | low)
}

/// Reads pairs of digits into the beginning of `out` and returns that part. Returns `None` if `text` has other
/// characters or does not fit.
pub fn read<'o>(text: &str, out: &'o mut [u8]) -> Option<&'o [u8]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let out = out.get_mut(..pairs.len())?;
    for (slot, [high, low]) in out.iter_mut().zip(pairs) {
        *slot = byte(*high, *low)?;
    }
    Some(out)
}
