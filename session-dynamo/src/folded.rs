//! Payloads that are stored compressed, because DynamoDB bills by size.

use bytes::Bytes;
use lz4_flex::block;

use crate::item::Damage;

/// Payloads of up to so many bytes are stored as they are.
const ABOVE: usize = 4_096;
/// What must be gained at least: a unit of each write.
const GAIN: usize = 1_024;
/// LZ4 cannot shrink anything further than this.
const MAX_RATIO: usize = 255;

/// The payload as an LZ4 block, where that is worth it.
pub(crate) fn fold(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() <= ABOVE {
        return None;
    }
    Some(block::compress(payload)).filter(|folded| folded.len() + GAIN <= payload.len())
}

/// The payload of so many bytes, of which there may be no more than `most`, out of its block.
pub(crate) fn unfold(block: &[u8], len: usize, most: usize) -> Result<Bytes, Damage> {
    if len > most || len > block.len().saturating_mul(MAX_RATIO) {
        return Err(Damage);
    }
    let payload = block::decompress(block, len).map_err(|_positions| Damage)?;
    if payload.len() == len { Ok(payload.into()) } else { Err(Damage) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 400 * 1_024;

    #[test]
    fn only_what_saves_a_unit_is_folded_and_it_comes_back_as_it_was() {
        let text = "name=value;".repeat(1_000).into_bytes();
        let folded = fold(&text).unwrap();
        assert!(folded.len() < text.len() / 10);
        assert_eq!(unfold(&folded, text.len(), MOST).unwrap(), text);
        assert_eq!(fold(&text[..ABOVE]), None, "a small one");
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(5_000).collect();
        assert_eq!(fold(&noise), None, "one that does not shrink");
        assert_eq!(fold(&[&noise[..], &[0; 1_000]].concat()), None, "one that shrinks too little");
        assert!(fold(&[&noise[..], &[0; 1_200]].concat()).is_some());
    }

    #[test]
    fn a_block_that_says_too_much_is_refused_before_it_is_unfolded() {
        let folded = fold(&vec![0; MOST]).unwrap();
        assert_eq!(unfold(&folded, MOST, MOST).unwrap().len(), MOST);
        assert_eq!(unfold(&folded, MOST, MOST - 1), Err(Damage), "more than there may be");
        assert_eq!(unfold(&folded, usize::MAX, usize::MAX), Err(Damage));
        assert_eq!(unfold(&folded, MOST - 1, MOST), Err(Damage), "less than there is");
        assert_eq!(unfold(&folded[..100], MOST, MOST), Err(Damage));
        assert_eq!(unfold(&[], 0, MOST), Err(Damage));
    }
}
